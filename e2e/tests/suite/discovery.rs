//! Chromium's endpoint in a log that the test writes, with two real browsers to point at.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use browserd_e2e::{Chromium, Daemon, assert_eventually, settings};
use serde_json::{Value, json};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// Longer than anything here takes, so that a wrong endpoint shows as such.
const WAIT: &str = "20";
const NOISE: &str = "[1:1:1121/000000.1:ERROR:bus.cc(408)] Failed to connect to the bus: none\n";
/// A port that nothing listens on: `tcpmux`, which no browser takes.
const DEAD: &str = "DevTools listening on ws://127.0.0.1:1/devtools/browser/00000000-dead-4000-8000-000000000000\n";

async fn daemon() -> anyhow::Result<Daemon> {
    let wait = settings::patience(Duration::from_secs(WAIT.parse()?))
        .as_secs()
        .to_string();
    Daemon::builder()
        .env("DEVTOOLS_WAIT_SEC", wait)
        .start()
        .await
}

fn append(path: &Path, text: &str) -> Outcome {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
        .context("cannot write the log")
}

/// The id of the browser that the proxy leads to now.
async fn current(daemon: &Daemon) -> anyhow::Result<String> {
    let version: Value = daemon
        .at
        .discover("/json/version")
        .await?
        .expect(200)?
        .json()?;
    let url = version["webSocketDebuggerUrl"].as_str().context("no URL")?;
    Ok(url.rsplit('/').next().unwrap_or_default().to_owned())
}

/// Waits until the proxy leads to this browser, by its document and by a WebSocket.
async fn leads_to(daemon: &Daemon, chromium: &Chromium) -> Outcome {
    assert_eventually!("the proxy leads to the right browser", {
        let id = current(daemon).await.unwrap_or_default();
        if id == chromium.id() { Ok(()) } else { Err(id) }
    });
    let mut browser = daemon.at.browser().await?;
    let seen = browser
        .call("Browser.getBrowserCommandLine", json!({}))
        .await;
    // The command line is told only to a browser started for tests; the profile is in both.
    match seen {
        Ok(line) => {
            let profile = chromium.profile().display().to_string();
            assert!(line.to_string().contains(&profile), "{line}");
        }
        Err(error) => assert!(error.to_string().contains("enable-automation"), "{error}"),
    }
    Ok(())
}

pub(crate) async fn a_log_that_is_absent_at_first(suite: Suite) -> Outcome {
    let chromium = suite.chromium().await?;
    let wait = settings::patience(Duration::from_secs(20))
        .as_secs()
        .to_string();
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("not/yet/there");
    let daemon = Daemon::builder()
        .env("DEVTOOLS_WAIT_SEC", wait)
        .env("CHROMIUM_LOG_FILE", log.display().to_string())
        .start()
        .await?;
    let waiting = daemon.at.browser();
    let write = async {
        fs::create_dir_all(log.parent().context("no parent")?)?;
        append(&log, &format!("{NOISE}{}", chromium.line()))
    };
    let (mut browser, ()) = tokio::try_join!(waiting, write)?;
    browser.call("Browser.getVersion", json!({})).await?;
    leads_to(&daemon, chromium).await
}

pub(crate) async fn a_log_rotated_by_rename(suite: Suite) -> Outcome {
    let (one, two) = (suite.chromium().await?, Chromium::start().await?);
    let daemon = daemon().await?;
    let log = daemon.chromium_log();
    append(&log, &one.line())?;
    leads_to(&daemon, one).await?;
    for (index, chromium) in [&two, one, &two].into_iter().enumerate() {
        fs::rename(&log, log.with_extension(index.to_string()))?;
        append(&log, &format!("{NOISE}{}", chromium.line()))?;
        leads_to(&daemon, chromium).await?;
    }
    Ok(())
}

pub(crate) async fn a_log_rotated_by_copytruncate(suite: Suite) -> Outcome {
    let (one, two) = (suite.chromium().await?, Chromium::start().await?);
    let daemon = daemon().await?;
    let log = daemon.chromium_log();
    append(&log, &format!("{}{}", NOISE.repeat(100), one.line()))?;
    leads_to(&daemon, one).await?;
    for (index, chromium) in [&two, one, &two].into_iter().enumerate() {
        fs::copy(&log, log.with_extension(index.to_string()))?;
        OpenOptions::new().write(true).open(&log)?.set_len(0)?;
        // As long as before: by its length alone the truncation would not show.
        append(&log, &format!("{}{}", NOISE.repeat(100), chromium.line()))?;
        leads_to(&daemon, chromium).await?;
    }
    Ok(())
}

pub(crate) async fn a_line_of_100_kib_before_the_url(suite: Suite) -> Outcome {
    let chromium = suite.chromium().await?;
    let daemon = daemon().await?;
    let long = "x".repeat(100 * 1024);
    append(
        &daemon.chromium_log(),
        &format!("{long}\n{}{long}\n", chromium.line()),
    )?;
    leads_to(&daemon, chromium).await
}

pub(crate) async fn a_url_written_in_two_halves(suite: Suite) -> Outcome {
    let chromium = suite.chromium().await?;
    let daemon = daemon().await?;
    let log = daemon.chromium_log();
    let line = chromium.line();
    // Within the port, so that the first half is a URL too, and a wrong one.
    let middle = line.find("/devtools").context("no path")? - 1;
    append(&log, &line[..middle])?;
    let waiting = daemon.at.browser();
    let second = async {
        // Time in which the first half is read by itself.
        tokio::time::sleep(Duration::from_millis(300)).await;
        append(&log, &line[middle..])
    };
    let (mut browser, ()) = tokio::try_join!(waiting, second)?;
    browser.call("Browser.getVersion", json!({})).await?;
    leads_to(&daemon, chromium).await
}

pub(crate) async fn two_urls_within_a_second(suite: Suite) -> Outcome {
    let (one, two) = (suite.chromium().await?, Chromium::start().await?);
    let daemon = daemon().await?;
    let log = daemon.chromium_log();
    append(&log, &format!("{}{}", one.line(), two.line()))?;
    leads_to(&daemon, &two).await?;
    append(&log, &two.line())?;
    append(&log, &one.line())?;
    leads_to(&daemon, one).await?;
    append(&log, &two.line())?;
    append(&log, DEAD)?;
    append(&log, &two.line())?;
    leads_to(&daemon, &two).await
}

pub(crate) async fn a_stale_url_at_the_start(suite: Suite) -> Outcome {
    let chromium = suite.chromium().await?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("chromium");
    append(&log, &format!("{NOISE}{DEAD}{NOISE}"))?;
    let builder = || Daemon::builder().env("CHROMIUM_LOG_FILE", log.display().to_string());
    let daemon = builder().env("DEVTOOLS_WAIT_SEC", "1").start().await?;
    daemon.at.discover("/json/version").await?.expect(503)?;
    append(&log, &chromium.line())?;
    leads_to(&daemon, chromium).await
}

pub(crate) async fn a_stale_url_behind_a_live_one(suite: Suite) -> Outcome {
    let chromium = suite.chromium().await?;
    let daemon = daemon().await?;
    let log = daemon.chromium_log();
    append(&log, &chromium.line())?;
    leads_to(&daemon, chromium).await?;
    let mut open = daemon.at.browser().await?;
    append(&log, DEAD)?;
    // The browser lives, whatever the log says: what is open goes on, and new ones get in.
    for _ in 0..20 {
        open.call("Browser.getVersion", json!({})).await?;
        assert_eq!(current(&daemon).await?, chromium.id());
    }
    Ok(())
}

pub(crate) async fn a_death_without_a_new_line(suite: Suite) -> Outcome {
    let (one, mut two) = (suite.chromium().await?, Chromium::start().await?);
    let daemon = Daemon::builder()
        .env("DEVTOOLS_WAIT_SEC", "2")
        .start()
        .await?;
    let log = daemon.chromium_log();
    append(&log, &two.line())?;
    leads_to(&daemon, &two).await?;
    let mut open = daemon.at.browser().await?;
    two.kill()?;
    assert_eq!(open.ended(Duration::from_secs(5)).await?.code, 1012);
    daemon.at.discover("/json/version").await?.expect(503)?;
    append(&log, &one.line())?;
    leads_to(&daemon, one).await
}
