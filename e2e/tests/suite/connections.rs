//! The daemon at its limit of connections.

use browserd_e2e::{Daemon, Echo, assert_eventually};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

pub(crate) async fn count_behind_their_upgrade_too(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .env("MAX_CONNECTIONS", "2")
        .start()
        .await?;
    let api = &daemon.at.api;
    // Each client that waited for the start may hold a place for a moment.
    let first = assert_eventually!("a place is free", daemon.at.browser().await.ok());
    let second = assert_eventually!("another is", daemon.at.browser().await.ok());

    // It is told before it asks, which a client of HTTP takes for a broken connection.
    let mut turned_away = TcpStream::connect(api.address()).await?;
    let mut told = String::new();
    turned_away.read_to_string(&mut told).await?;
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(told.contains("MAX_CONNECTIONS"), "{told}");
    drop(turned_away);

    first.close().await?;
    assert_eventually!("its place is free again", {
        let answer = api.get("/healthz").await;
        answer.is_ok_and(|answer| answer.status == 200)
    });
    second.close().await?;
    Ok(())
}
