//! Waiting for a part of the machine that is coming up: the X server, supervisord. The daemon
//! answers from its first millisecond, and clients call as soon as its port is open.

use std::time::Duration;

use browserd_display::{self as display, Desktop};
use browserd_supervisor as supervisor;
use tokio::time::{Instant, sleep};

use crate::app::App;

/// How long to wait before the next attempt to reach a part.
const PAUSE: Duration = Duration::from_millis(50);

impl App {
    /// Does its work on the desktop, once the X server can be reached: until then nothing of it
    /// is begun. A machine without a display says so at once.
    ///
    /// # Cancel safety
    /// That of the work.
    pub(crate) async fn on_desktop<R: Clone, T, F>(
        &self,
        request: R,
        work: impl Fn(Desktop, R) -> F,
    ) -> Result<T, display::Error>
    where
        F: Future<Output = Result<T, display::Error>>,
    {
        let desktop = self.desktop()?;
        let is_coming = |error: &_| matches!(error, display::Error::Unreachable { .. });
        let work = || work(desktop.clone(), request.clone());
        self.once_there(work, is_coming).await
    }

    /// Asks supervisord, once it can be reached.
    ///
    /// # Cancel safety
    /// That of the question.
    pub(crate) async fn of_supervisor<T, F>(
        &self,
        ask: impl Fn(supervisor::Client) -> F,
    ) -> Result<T, supervisor::Error>
    where
        F: Future<Output = Result<T, supervisor::Error>>,
    {
        let client = &self.domains.supervisor;
        let is_coming = |error: &_| matches!(error, supervisor::Error::Unreachable { .. });
        self.once_there(|| ask(client.clone()), is_coming).await
    }

    /// Tries again while the part cannot be reached, until the wait for it is over or the daemon
    /// stops.
    async fn once_there<T, E, F>(
        &self,
        work: impl Fn() -> F,
        is_coming: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let until = Instant::now() + self.config.part_wait;
        loop {
            let done = work().await;
            if !done.as_ref().is_err_and(&is_coming) || Instant::now() >= until {
                return done;
            }
            let stopped = self.streams.run_until_cancelled(sleep(PAUSE)).await;
            if stopped.is_none() {
                return done;
            }
        }
    }
}
