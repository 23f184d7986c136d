//! What a user leaves in the browser outlives browsers and containers.

use anyhow::ensure;
use browserd_e2e::{
    Endpoints, clients,
    container::{Builder, Container, Volume},
};
use serde_json::{Value, json};

use crate::Image;

/// A site that every machine has: its own API. A page of it is a document like any other.
const SITE: &str = "http://127.0.0.1:10001/healthz";

async fn write(at: &Endpoints, value: &str) -> anyhow::Result<()> {
    let arguments = ["write", &at.devtools_url(), SITE, value];
    clients::run("user_data.mjs", &arguments).await.map(drop)
}

async fn read(at: &Endpoints) -> anyhow::Result<Value> {
    clients::run("user_data.mjs", &["read", &at.devtools_url(), SITE]).await
}

async fn expect(container: &Container, value: &str, after: &str) -> anyhow::Result<()> {
    let seen = read(&container.ready().await?).await?;
    let kept = json!({ "cookie": value, "local": value, "indexed": value });
    ensure!(seen == kept, "after {after}: {seen}, not {kept}");
    Ok(())
}

pub(crate) async fn survives_a_restart_a_stop_and_a_new_container(
    image: Image,
) -> anyhow::Result<()> {
    let volume = Volume::new().await?;
    let container = Builder::new(&image).user_data(&volume).start().await?;
    write(&container.at().await?, "first").await?;
    expect(&container, "first", "writing").await?;
    container.command(&["stop"]).await?;
    container.command(&["start"]).await?;
    expect(&container, "first", "a stop and a start").await?;
    write(&container.ready().await?, "second").await?;
    container.command(&["stop"]).await?;
    drop(container);
    let container = Builder::new(&image)
        .user_data(&volume)
        .option("--hostname=another")
        .start()
        .await?;
    expect(&container, "second", "a new container").await?;
    let owner = ["stat", "--format=%U", "/home/kernel/user-data"];
    assert_eq!(container.run(&owner).await?.trim(), "kernel");
    Ok(())
}

/// A kill leaves a locked profile. What Chromium has on disk by then is still there: it writes
/// cookies every 30 s, and the rest at once.
pub(crate) async fn survives_a_kill(image: Image) -> anyhow::Result<()> {
    let volume = Volume::new().await?;
    let container = Builder::new(&image).user_data(&volume).start().await?;
    write(&container.at().await?, "kept").await?;
    container.command(&["stop"]).await?;
    container.command(&["start"]).await?;
    container.ready().await?;
    container.command(&["kill", "--signal=KILL"]).await?;
    drop(container);
    let container = Builder::new(&image)
        .user_data(&volume)
        .option("--hostname=another")
        .start()
        .await?;
    expect(&container, "kept", "a kill, on another host").await?;
    Ok(())
}
