//! What the routes work with: the handles of the domains, and the settings of this layer.

use std::{
    future::pending,
    panic::resume_unwind,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use browserd_blocking::Pool;
use browserd_devtools::upstream::Upstream;
use browserd_display::Desktop;
use browserd_files::Files;
use browserd_process as process;
use browserd_supervisor as supervisor;
use browserd_ws::relay;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{listener::Limits, metrics::Metrics, middleware::caller::Rules, session::Sessions};

/// The settings of the HTTP layer.
#[derive(Debug, Clone)]
pub struct Config {
    /// What bounds connections.
    pub limits: Limits,
    /// Who may call.
    pub rules: Rules,
    /// How long a request for DevTools waits while Chromium restarts.
    pub devtools_wait: Duration,
    /// How long a request waits for another part that is coming up.
    pub part_wait: Duration,
    /// How DevTools sessions are relayed.
    pub relay: relay::Options,
    /// The folder of the browser's profile, which needs room.
    pub data_dir: PathBuf,
}

/// The handles of the domains that the routes call.
#[derive(Debug, Clone)]
pub struct Domains {
    /// Where Chromium's DevTools endpoint is.
    pub upstream: Upstream,
    /// Commands and spawned processes.
    pub process: process::Handle,
    /// The files of the machine.
    pub files: Files,
    /// The X display; none on a machine without one.
    pub desktop: Option<Desktop>,
    /// supervisord.
    pub supervisor: supervisor::Client,
    /// The threads of what blocks.
    pub pools: Pools,
}

/// The threads of what blocks outside of the domains that have their own.
#[derive(Debug, Clone)]
pub struct Pools {
    /// Reading logs that are streamed.
    pub logs: Pool,
    /// Looking at the disk and at the services' logs for `/readyz`.
    pub readiness: Pool,
}

/// The state of every router; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) domains: Domains,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Sessions,
    /// Cancelled when streams that would go on for ever have to end.
    pub(crate) streams: CancellationToken,
    /// The connections, and the work that outlives its request.
    pub(crate) tasks: TaskTracker,
    draining: Arc<AtomicBool>,
}

impl App {
    pub(crate) fn new(config: Config, domains: Domains) -> Self {
        let metrics = Metrics::new();
        let sessions = Sessions::new(metrics.clone(), config.relay);
        Self {
            domains,
            config: Arc::new(config),
            metrics,
            sessions,
            streams: CancellationToken::new(),
            tasks: TaskTracker::new(),
            draining: Arc::default(),
        }
    }

    /// What the machine has of a screen.
    pub(crate) fn desktop(&self) -> Result<&Desktop, browserd_display::Error> {
        let desktop = self.domains.desktop.as_ref();
        desktop.ok_or(browserd_display::Error::NoDisplay)
    }

    /// Does to its end what must not be left half-done when the client goes away meanwhile.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.tasks.spawn(work.in_current_span()).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime goes down, and the caller with it.
                Err(_) => pending().await,
            },
        }
    }

    /// All pools of threads, to be counted.
    pub(crate) fn pools(&self) -> Vec<&Pool> {
        let own = &self.domains.pools;
        let mut pools = vec![&own.logs, &own.readiness];
        pools.extend(self.domains.files.pools());
        pools
    }

    /// Makes `/readyz` say no from now on, and ends the event streams.
    pub(crate) fn begin_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.streams.cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
