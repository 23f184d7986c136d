//! What tests share: one stack, one browser without a daemon, one web site.

use std::sync::Arc;

use browserd_e2e::{Chromium, Daemon, Site, Stack};
use tokio::sync::{OnceCell, RwLock};

/// Handed to every test.
pub(crate) type Suite = Arc<Shared>;

/// Each is started by the first test that asks for it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stack: OnceCell<Stack>,
    site: OnceCell<Site>,
    chromium: OnceCell<Chromium>,
    /// Held for reading by each Playwright at the shared stack, and for writing by one that has
    /// to be alone: on connecting, each sends all downloads of the browser to itself.
    pub(crate) playwrights: RwLock<()>,
}

impl Shared {
    /// A stack whose daemon and browser stay up. A test leaves no target behind in it.
    pub(crate) async fn stack(&self) -> anyhow::Result<&Stack> {
        let stack = self
            .stack
            .get_or_try_init(|| Stack::builder().start())
            .await?;
        stack.attach();
        Ok(stack)
    }

    /// A web site.
    pub(crate) async fn site(&self) -> anyhow::Result<&Site> {
        self.site.get_or_try_init(Site::start).await
    }

    /// A headless browser that stays up, for daemons of the tests' own.
    pub(crate) async fn chromium(&self) -> anyhow::Result<&Chromium> {
        self.chromium.get_or_try_init(Chromium::start).await
    }

    /// A daemon of the test's own in front of that browser.
    pub(crate) async fn daemon(&self) -> anyhow::Result<Daemon> {
        let chromium = self.chromium().await?;
        Daemon::builder()
            .env("DEVTOOLS_UPSTREAM", chromium.url())
            .start()
            .await
    }
}
