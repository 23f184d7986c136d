//! SIGTERM: everything ends in under ten seconds, and everyone is told.

use std::time::{Duration, Instant};

use browserd_e2e::{Cdp, Daemon, assert_eventually, procfs, settings};
use futures_util::future::try_join_all;
use rustix::process::Signal;
use serde_json::json;

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// The limit of the whole shutdown.
const LIMIT: Duration = Duration::from_secs(10);

/// Ends the daemon by TERM; returns how long that took.
async fn terminate(daemon: &mut Daemon) -> anyhow::Result<Duration> {
    let started = Instant::now();
    daemon.signal(Signal::TERM)?;
    let status = daemon.wait(LIMIT).await?;
    assert_eq!(status.code(), Some(0), "{status:?}");
    Ok(started.elapsed())
}

pub(crate) async fn every_session_ends_with_1001(suite: Suite) -> Outcome {
    let mut daemon = suite.daemon().await?;
    let mut clients = try_join_all((0..20).map(|_| daemon.at.browser())).await?;
    let (target, session) = clients[0].open("about:blank").await?;
    let url = daemon.at.devtools_ws(&format!("/devtools/page/{target}"));
    clients.push(Cdp::connect(&url).await?);
    // One with a request under way.
    let params = json!({ "expression": "new Promise(() => {})", "awaitPromise": true });
    clients[0]
        .send(Some(&session), "Runtime.evaluate", params)
        .await?;

    let ended = try_join_all(clients.iter_mut().map(|client| client.ended(LIMIT)));
    let (endings, took) = tokio::join!(ended, terminate(&mut daemon));
    for ending in endings? {
        assert_eq!(
            (ending.code, &*ending.reason),
            (1001, "browserd is shutting down")
        );
    }
    let took = took?;
    assert!(took < settings::patience(LIMIT), "it took {took:?}");
    let events = daemon.journal().events();
    let has_duration = |event: &browserd_e2e::journal::Event| {
        event.0.get("duration_ms").is_some() && !event.is_request()
    };
    assert!(
        events.iter().any(has_duration),
        "no step is logged with its duration"
    );
    let sessions = daemon.journal().sessions(0);
    assert_eq!(sessions.len(), 21);

    let mut browser = Cdp::connect(suite.chromium().await?.url()).await?;
    browser
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    Ok(())
}

pub(crate) async fn a_stalled_session_does_not_hold_it_up(suite: Suite) -> Outcome {
    let mut daemon = suite.daemon().await?;
    let mut other = daemon.at.browser().await?;
    let (target, session) = other.open("about:blank").await?;
    let url = daemon.at.devtools_ws(&format!("/devtools/page/{target}"));
    let mut stalled = Cdp::connect(&url).await?;
    stalled.call("Runtime.enable", json!({})).await?;
    let flood = "for (let i = 0; i < 64; i++) console.log('z'.repeat(256 * 1024)); 1";
    other.evaluate(&session, flood).await?;

    let (ending, took) = tokio::join!(other.ended(LIMIT), terminate(&mut daemon));
    assert_eq!(ending?.code, 1001);
    let took = took?;
    assert!(took < settings::patience(LIMIT), "it took {took:?}");
    let mut browser = Cdp::connect(suite.chromium().await?.url()).await?;
    browser
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    Ok(())
}

pub(crate) async fn connections_that_wait_are_let_go(_: Suite) -> Outcome {
    let mut daemon = Daemon::builder()
        .env("DEVTOOLS_WAIT_SEC", "60")
        .start()
        .await?;
    let port = daemon.at.devtools.port();
    let url = daemon.at.devtools_ws("/");
    let endpoints = daemon.at.clone();
    let socket = Cdp::connect(&url);
    let document = endpoints.discover("/json/version");
    let terminate = async {
        assert_eventually!("both wait", procfs::connections_at(port) >= 2);
        terminate(&mut daemon).await
    };
    let (socket, document, took) = tokio::join!(socket, document, terminate);
    assert!(socket.is_err(), "there is nothing to connect to");
    // An answer, or none if the connection was ended first: but no wait to the end.
    if let Ok(answer) = document {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    let took = took?;
    assert!(took < settings::patience(LIMIT), "it took {took:?}");
    Ok(())
}
