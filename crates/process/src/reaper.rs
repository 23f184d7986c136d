//! What goes on beside the processes: orphans are reaped, old processes forgotten, and at the
//! end everything is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::children::{self, Swept};
use crate::handle::Shared;
use crate::spare;
use crate::{Config, Error, Handle, group, pool};

/// Between two sweeps: a busy machine is not swept at every exit.
const REST: Duration = Duration::from_millis(50);
/// Between two sweeps that nothing asked for.
const TICK: Duration = Duration::from_secs(5);

/// Makes the daemon the parent of its descendants' orphans, and returns the handle together with
/// the work to be kept running.
///
/// The work ends some time after `token` is cancelled: the groups of all running processes are
/// asked to end, killed after the grace, and waited for, all within [`Config::stop_within`].
/// What exited processes have left behind on purpose is left alone.
///
/// Must be called within a runtime.
pub fn start(
    config: Config,
    token: CancellationToken,
) -> Result<(Handle, impl Future<Output = ()> + Send), Error> {
    // Listening to SIGCHLD also undoes an inherited "ignore", with which exit codes are lost.
    let children = signal(SignalKind::child()).map_err(Error::system("listen to SIGCHLD"))?;
    children::become_subreaper().map_err(Error::system("become a subreaper"))?;
    spare::fill().map_err(Error::system("keep descriptors in reserve"))?;
    let handle = Handle::new(config, token)?;
    let work = work(handle.shared(), children);
    Ok((handle, work))
}

async fn work(shared: Arc<Shared>, mut children: Listener) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut again, mut pause) = (false, REST);
    loop {
        tokio::select! {
            // The stop first, or a stream of exits could hold it up.
            biased;
            () = shared.token.cancelled() => break,
            _ = children.recv() => pause = REST,
            // A zombie whose owner takes its time is looked at more and more rarely.
            () = sleep(pause), if again => pause = (2 * pause).min(TICK),
            _ = tick.tick() => shared.table().expire(shared.config.retention),
        }
        again = sweep().await;
        tokio::select! {
            () = shared.token.cancelled() => break,
            () = sleep(REST) => {}
        }
    }
    stop(&shared, children).await;
}

/// Returns whether to look again soon.
async fn sweep() -> bool {
    match pool::run(children::sweep).await {
        Some(Ok(swept)) => swept == Swept::Again,
        Some(Err(error)) => {
            tracing::warn!(%error, "orphans cannot be reaped just now");
            true
        }
        None => false,
    }
}

async fn stop(shared: &Arc<Shared>, mut children: Listener) {
    let started = Instant::now();
    let groups = shared.table().running();
    let count = groups.len();
    group::ask(&groups);
    let grace = shared.config.grace;
    shared.tracker.spawn(group::finish(groups, grace));
    shared.tracker.close();
    let ended = timeout(shared.config.stop_within, async {
        let wait = shared.tracker.wait();
        let mut wait = std::pin::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                // Killed processes leave orphans, and a group with a zombie is not gone.
                _ = children.recv() => {
                    sweep().await;
                }
                () = sleep(REST) => {
                    sweep().await;
                }
            }
        }
    });
    let in_time = ended.await.is_ok();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(processes = count, in_time, duration_ms, "processes stopped");
}
