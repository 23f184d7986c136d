//! The daemon at its limit of connections.

use browserd_e2e::{Daemon, Echo, assert_eventually};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

pub(crate) async fn count_behind_their_upgrade_too(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .env("MAX_CONNECTIONS", "2")
        .start()
        .await?;
    let is_free = async || anyhow::Ok(daemon.at.api.get("/healthz").await?.status == 200);
    // What asked whether it is up may hold its connection for a moment.
    assert_eventually!("both places are free", {
        let (one, other) = tokio::join!(is_free(), is_free());
        one? && other?
    });
    let first = daemon.at.browser().await?;
    let second = daemon.at.browser().await?;

    let refusal = daemon.at.api.get("/healthz").await?.expect(503)?;
    let text = refusal.text();
    assert!(text.contains("MAX_CONNECTIONS"), "{text}");

    first.close().await?;
    assert_eventually!("its place is free again", is_free().await?);
    second.close().await?;
    Ok(())
}
