//! The orderly end: not ready, stop accepting, last events to the streams, close frames to the
//! WebSockets, stop the processes, wait for what is being answered, stop the background work.
//! All inside ten seconds, each step logged.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use browserd_server::Running;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long the WebSockets may take to send their close frame and see it answered.
const SESSIONS: Duration = Duration::from_millis(3_500);
/// How long the processes may take: 2 s between TERM and KILL, and a while to be reaped.
pub(crate) const PROCESSES: Duration = Duration::from_secs(3);
/// How much later than that their step is given up.
const MARGIN: Duration = Duration::from_millis(100);
/// How long requests that are being answered may take, after everything that they wait for
/// has ended.
const CONNECTIONS: Duration = Duration::from_millis(1_500);
/// How long background tasks may take.
const BACKGROUND: Duration = Duration::from_millis(500);
/// How long the runtime waits for blocking work, at the very end.
pub(crate) const LAST_WAIT: Duration = Duration::from_millis(500);

/// Tasks that end when they are told to.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Work {
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Ends everything, in order; what has not ended by its deadline is dropped.
pub(crate) async fn drain(running: &Running, processes: Work, background: Work) {
    // This also sends the streams their last events.
    running.stop_accepting();
    step("websockets", SESSIONS, running.end_sessions()).await;
    step("processes", PROCESSES + MARGIN, processes.end()).await;
    step("connections", CONNECTIONS, running.end_connections()).await;
    step("background tasks", BACKGROUND, background.end()).await;
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
