//! Restarting Chromium, so that it loses nothing and is back when the caller is told so.

use std::time::Duration;

use crate::{app::App, error::Result};

/// The name by which supervisord knows Chromium.
const CHROMIUM: &str = "chromium";
/// How long the next one may take to answer.
const READY: Duration = Duration::from_secs(30);

impl App {
    /// Restarts Chromium, and returns once the next one answers.
    ///
    /// Its launcher closes it in good order; supervisord kills one that does not end within its
    /// `stopwaitsecs`.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing: given up half-way, Chromium would stay away.
    pub(crate) async fn restart_chromium(&self) -> Result<()> {
        let app = self.clone();
        self.to_the_end(async move {
            let upstream = &app.domains.upstream;
            let before = upstream.generation();
            app.of_supervisor(|supervisor| async move { supervisor.restart(CHROMIUM, true).await })
                .await?;
            Ok(upstream.wait_past(before, READY).await?)
        })
        .await
    }
}
