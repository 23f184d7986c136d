//! Chromium ends, by force or by order, and comes back under supervisord.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use browserd_e2e::{
    Call, Cdp, Daemon, Stack, assert_eventually, cdp::Ending, procfs, settings, stack,
};
use futures_util::future::try_join_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// How soon after a kill a new connection has to work.
pub(crate) const BACK: Duration = Duration::from_secs(10);

/// How a session ends when its browser goes.
pub(crate) fn restarted() -> Ending {
    Ending {
        code: 1012,
        reason: "browser restarted".to_owned(),
    }
}

/// What the daemon holds when nobody is connected.
async fn holdings(stack: &Stack, pid: u32) -> anyhow::Result<(usize, u64)> {
    let metrics = stack.at.scrape().await?;
    anyhow::ensure!(
        metrics.value("browserd_cdp_sessions")? < 0.5,
        "a session is open"
    );
    let tasks = metrics.value("browserd_tasks_alive")?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    Ok((procfs::open_files(pid)?, tasks as u64))
}

/// A stack whose connections wait for the browser longer than the ten seconds of an image, for a
/// machine that is busy with other tests.
async fn patient_stack() -> anyhow::Result<Stack> {
    let wait = settings::patience(Duration::from_secs(30)).as_secs();
    let stack = Stack::builder().env("DEVTOOLS_WAIT_SEC", wait.to_string());
    stack.start().await
}

pub(crate) async fn fifty_kills_leave_nothing_behind(_: Suite) -> Outcome {
    const KILLS: usize = 50;
    let stack = patient_stack().await?;
    let pid = stack.pid("browserd").await?;
    // One round first, so that what is made once and kept is there before the count.
    kill_once(&stack).await.context("the first kill")?;
    let before = assert_eventually!("the daemon is idle", holdings(&stack, pid).await);
    let mut slowest = Duration::ZERO;
    for round in 1..=KILLS {
        let took = kill_once(&stack)
            .await
            .with_context(|| format!("kill {round}"))?;
        slowest = slowest.max(took);
    }
    assert!(
        slowest <= settings::patience(BACK),
        "a connection came back after {slowest:?}"
    );
    assert_eventually!("descriptors and tasks are as before", {
        match holdings(&stack, pid).await {
            Ok(after) if after.0 <= before.0 && after.1 <= before.1 => Ok(()),
            other => Err((before, other, procfs::open_file_names(pid))),
        }
    });
    assert_eq!(
        stack.pid("browserd").await?,
        pid,
        "the daemon was restarted"
    );
    Ok(())
}

/// The process id of the browser behind a connection.
async fn browser_pid(cdp: &mut Cdp) -> anyhow::Result<u32> {
    let info = cdp.call("SystemInfo.getProcessInfo", json!({})).await?;
    let processes = info["processInfo"].as_array().context("no processes")?;
    let browser = processes
        .iter()
        .find(|process| process["type"] == "browser");
    let pid = browser
        .and_then(|process| process["id"].as_u64())
        .context("no browser process")?;
    Ok(u32::try_from(pid)?)
}

/// Kills Chromium under an open connection; returns how long a new one then took to work.
async fn kill_once(stack: &Stack) -> anyhow::Result<Duration> {
    let mut old = stack.at.browser().await?;
    let pid = browser_pid(&mut old).await?;
    stack::kill(stack.on_host(pid)?, Signal::KILL)?;
    let killed = Instant::now();
    assert_eq!(old.ended(BACK).await?, restarted());
    // One attempt: it waits in the proxy, not here.
    let mut new = stack.at.browser().await?;
    let now = browser_pid(&mut new).await?;
    let took = killed.elapsed();
    anyhow::ensure!(now != pid, "still the browser that was killed");
    new.close().await?;
    Ok(took)
}

pub(crate) async fn connections_wait_while_chromium_restarts(_: Suite) -> Outcome {
    let stack = patient_stack().await?;
    let mut old = stack.at.browser().await?;

    stack.supervisorctl(&["stop", "chromium"]).await?;
    assert_eq!(old.ended(BACK).await?, restarted());
    let readyz = stack.at.api.get("/readyz").await?.expect(503)?;
    let parts: Value = readyz.json()?;
    assert_eq!(parts["parts"]["devtools"]["ready"], false, "{parts}");

    let sockets = try_join_all((0..8).map(|_| async {
        let mut browser = stack.at.browser().await?;
        browser.call("Browser.getVersion", json!({})).await
    }));
    let documents = try_join_all((0..8).map(|_| async {
        let version: Value = stack
            .at
            .discover("/json/version")
            .await?
            .expect(200)?
            .json()?;
        anyhow::Ok(version)
    }));
    let start = async {
        // The others have to be waiting by then.
        assert_eventually!(
            "sixteen connections wait",
            procfs::connections_at(stack.at.devtools.port()) >= 16
        );
        stack.supervisorctl(&["start", "chromium"]).await
    };
    let (versions, documents, _) = tokio::try_join!(sockets, documents, start)?;
    assert_eq!((versions.len(), documents.len()), (8, 8));
    stack.at.ready(BACK).await?;
    Ok(())
}

/// Chromium keeps cookies in memory for 30 s, and a page that was typed into holds up its end.
pub(crate) async fn a_restart_loses_no_cookie(suite: Suite) -> Outcome {
    const PAGE: &str = "document.cookie = 'kept=yes; max-age=86400';
        onbeforeunload = event => event.preventDefault();
        document.body.innerHTML = '<input autofocus>';
        document.querySelector('input').focus()";
    let stack = Stack::builder().start().await?;
    let address = suite.site().await?.url("/frame");
    let mut browser = stack.at.browser().await?;
    let (_, session) = browser.open(&address).await?;
    assert_eventually!(
        "the page is there",
        browser
            .evaluate(
                &session,
                "document.readyState === 'complete' && origin !== 'null'"
            )
            .await?
            == true
    );
    browser.evaluate(&session, PAGE).await?;
    let text = json!({ "text": "unsaved" });
    for (kind, key) in [("keyDown", "a"), ("keyUp", "a")] {
        let event = json!({ "type": kind, "key": key, "text": key });
        browser
            .call_in(Some(&session), "Input.dispatchKeyEvent", event)
            .await?;
    }
    browser
        .call_in(Some(&session), "Input.insertText", text)
        .await?;
    stack.supervisorctl(&["restart", "chromium"]).await?;
    stack.at.ready(BACK).await?;
    let mut browser = stack.at.browser().await?;
    let (_, session) = browser.open(&address).await?;
    assert_eventually!("the cookie is there", {
        let cookie = browser.evaluate(&session, "document.cookie").await?;
        anyhow::ensure!(cookie == "kept=yes", "{cookie}");
    });
    Ok(())
}

pub(crate) async fn nothing_to_wait_for_is_said_with_503(_: Suite) -> Outcome {
    let daemon = Daemon::builder()
        .env("DEVTOOLS_WAIT_SEC", "1")
        .start()
        .await?;
    let started = Instant::now();
    let answer = daemon.at.discover("/json/version").await?;
    assert!(
        started.elapsed() >= Duration::from_millis(900),
        "it did not wait"
    );
    let retry = answer
        .header("retry-after")
        .context("no Retry-After")?
        .to_owned();
    assert!(retry.parse::<u64>().is_ok(), "{retry}");
    let error: Value = answer.expect(503)?.json()?;
    assert_eq!(error["code"], "upstream_unavailable", "{error}");

    let refused = tokio_tungstenite::connect_async(daemon.at.devtools_ws("/")).await;
    let Err(tungstenite::Error::Http(response)) = refused else {
        anyhow::bail!("not refused: {refused:?}")
    };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let body: Value = serde_json::from_slice(response.body().as_deref().unwrap_or_default())?;
    assert_eq!(body["code"], "upstream_unavailable", "{body}");

    let metrics = Call::get("/metrics")
        .send(daemon.at.metrics)
        .await?
        .expect(200)?;
    assert!(
        metrics.text().contains("browserd_devtools_up"),
        "{}",
        metrics.text()
    );
    Ok(())
}

pub(crate) async fn the_stack_stops_by_term_alone(_: Suite) -> Outcome {
    let stack = Stack::builder().start().await?;
    let mut client = stack.at.browser().await?;
    client.call("Browser.getVersion", json!({})).await?;
    let ended = async { client.ended(Duration::from_secs(30)).await };
    let stop = tokio::task::spawn_blocking(move || stack.stop());
    let (ending, is_clean) = tokio::join!(ended, stop);
    // The daemon goes first, so that its clients hear of the stop rather than of a crash.
    assert_eq!(ending?.code, 1001);
    assert!(is_clean?, "something had to be killed");
    Ok(())
}
