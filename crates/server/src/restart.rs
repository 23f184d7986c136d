//! Restarting Chromium, so that it loses nothing and is back when the caller is told so.

use std::time::Duration;

use browserd_supervisor as supervisor;
use tokio::time::timeout;

use crate::{app::App, error::Result};

/// The name by which supervisord knows Chromium.
const CHROMIUM: &str = "chromium";
/// How long Chromium may take to close by itself before supervisord ends it.
const CLOSE: Duration = Duration::from_secs(10);
/// How long the next one may take to answer.
const READY: Duration = Duration::from_secs(30);

impl App {
    /// Restarts Chromium, and returns once the next one answers.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing: given up half-way, Chromium would stay away.
    pub(crate) async fn restart_chromium(&self) -> Result<()> {
        let app = self.clone();
        self.to_the_end(async move { app.close_and_start().await })
            .await
    }

    async fn close_and_start(&self) -> Result<()> {
        let supervisor = &self.domains.supervisor;
        let upstream = &self.domains.upstream;
        // Without supervisord nobody would start the next one.
        supervisor.process(CHROMIUM).await?;
        let before = upstream.generation();
        let closed = match timeout(CLOSE, upstream.quit()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::info!(error, "Chromium cannot be asked to close");
                false
            }
            Err(_) => {
                tracing::warn!("Chromium does not close within {CLOSE:?}");
                false
            }
        };
        if closed {
            match supervisor.start(CHROMIUM, true).await {
                // supervisord was faster.
                Ok(()) | Err(supervisor::Error::AlreadyStarted(_)) => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            supervisor.restart(CHROMIUM, true).await?;
        }
        upstream.wait_past(before, READY).await?;
        Ok(())
    }
}
