//! Large messages and slow readers: the daemon's memory stays where it is.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use browserd_e2e::{Cdp, Daemon, assert_eventually, procfs};
use serde_json::json;

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

const MIB: u64 = 1024 * 1024;
/// What a session may add to the daemon's memory, however much flows through it.
const FLAT: u64 = 8 * MIB;

/// Remembers the memory now; the returned check fails where more than [`FLAT`] was added at
/// any time since.
fn memory_stays_flat(daemon: &Daemon) -> anyhow::Result<impl Fn(&str) -> Outcome> {
    let pid = daemon.pid();
    procfs::reset_peak(pid)?;
    let before = procfs::memory(pid)?.rss_bytes;
    Ok(move |what: &str| {
        let peak = procfs::memory(pid)?.peak_bytes;
        let added = peak.saturating_sub(before);
        anyhow::ensure!(added <= FLAT, "{what}: {before} bytes became {peak}");
        Ok(())
    })
}

pub(crate) async fn ninety_mebibytes_in_and_two_hundred_out(suite: Suite) -> Outcome {
    let daemon = suite.daemon().await?;
    let mut browser = daemon.at.browser().await?;
    let (target, session) = browser.open("about:blank").await?;
    // Chromium itself takes ten seconds and more for either, without anyone in between.
    browser.set_limit(Duration::from_secs(120));
    let is_flat = memory_stays_flat(&daemon)?;

    let global = json!({ "expression": "globalThis" });
    let global = browser
        .call_in(Some(&session), "Runtime.evaluate", global)
        .await?;
    let params = json!({
        "functionDeclaration": "function(text) { return text.length; }",
        "objectId": global["result"]["objectId"],
        "arguments": [{ "value": "x".repeat(usize::try_from(90 * MIB)?) }],
        "returnByValue": true,
    });
    let result = browser
        .call_in(Some(&session), "Runtime.callFunctionOn", params)
        .await?;
    assert_eq!(result["result"]["value"], 90 * MIB);
    is_flat("90 MiB in")?;

    let text = browser
        .evaluate(&session, "'y'.repeat(200 * 1024 * 1024)")
        .await?;
    let text = text.as_str().context("no text")?;
    assert_eq!(u64::try_from(text.len())?, 200 * MIB);
    assert!(text.bytes().all(|byte| byte == b'y'));
    is_flat("200 MiB out")?;
    browser
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    Ok(())
}

pub(crate) async fn a_stalled_client_costs_nothing_and_disturbs_nobody(suite: Suite) -> Outcome {
    // 64 MiB; what the kernel buffers on the way is a few.
    const EVENTS: usize = 256;
    let daemon = suite.daemon().await?;
    let mut other = daemon.at.browser().await?;
    let (target, session) = other.open("about:blank").await?;
    let page = daemon.at.devtools_ws(&format!("/devtools/page/{target}"));
    let mut stalled = Cdp::connect(&page).await?;
    stalled.call("Runtime.enable", json!({})).await?;
    other.call("Browser.getVersion", json!({})).await?;
    let is_flat = memory_stays_flat(&daemon)?;

    // From here on it does not read.
    let flood = format!(
        "for (let i = 0; i < {EVENTS}; i++) console.log(i + ' ' + 'z'.repeat(256 * 1024)); {EVENTS}"
    );
    assert_eq!(other.evaluate(&session, &flood).await?, EVENTS);
    let mut trips = Vec::new();
    for _ in 0..300 {
        let started = Instant::now();
        other.call("Browser.getVersion", json!({})).await?;
        trips.push(started.elapsed());
    }
    trips.sort();
    // Chromium itself may pause while it has so much to send; a client that is held up by the
    // stalled one would wait each time.
    let (usual, limit) = (trips[270], Duration::from_secs(1));
    assert!(
        usual < browserd_e2e::settings::patience(limit),
        "round trips beside the stalled client took {usual:?}, at most {:?}",
        trips[299]
    );
    is_flat("a client that does not read")?;

    // Nothing was lost on the way.
    for index in 0..EVENTS {
        let event = stalled.event("Runtime.consoleAPICalled").await?;
        let text = event["params"]["args"][0]["value"]
            .as_str()
            .unwrap_or_default();
        assert!(text.starts_with(&format!("{index} z")), "event {index}");
    }
    is_flat("a client that reads late")?;
    assert_eventually!(
        "the sessions are counted",
        daemon.at.scrape().await?.value("browserd_cdp_sessions")? >= 2.0
    );
    other
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    Ok(())
}
