//! The orderly end: not ready, stop accepting, end the sessions, wait for what is being
//! answered, stop the background work. All inside ten seconds, each step logged.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use browserd_server::Running;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long the sessions may take to send their close frame and see it answered.
const SESSIONS: Duration = Duration::from_secs(4);
/// How long requests that are being answered may take.
const CONNECTIONS: Duration = Duration::from_secs(4);
/// How long background tasks may take.
const BACKGROUND: Duration = Duration::from_secs(1);
/// How long the runtime waits for blocking work, at the very end.
pub(crate) const LAST_WAIT: Duration = Duration::from_millis(500);

/// Ends everything, in order; what has not ended by its deadline is dropped.
pub(crate) async fn drain(running: &Running, stop: &CancellationToken, background: &TaskTracker) {
    running.stop_accepting();
    step("devtools sessions", SESSIONS, running.end_sessions()).await;
    step("connections", CONNECTIONS, running.end_connections()).await;
    stop.cancel();
    background.close();
    step("background tasks", BACKGROUND, background.wait()).await;
}

async fn step(name: &'static str, limit: Duration, work: impl Future<Output = ()>) {
    let started = Instant::now();
    let in_time = timeout(limit, work).await.is_ok();
    let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
    if in_time {
        tracing::info!(step = name, duration_ms, "ended");
    } else {
        tracing::warn!(step = name, duration_ms, "not ended in time, dropped");
    }
}
