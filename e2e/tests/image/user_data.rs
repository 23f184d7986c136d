//! What a user leaves in the browser outlives browsers and containers.

use anyhow::ensure;
use browserd_e2e::{
    Endpoints, assert_eventually, clients,
    container::{Builder, Container, Volume},
};
use serde_json::{Value, json};

use crate::Image;

/// A site in every machine of these tests.
const SITE: &str = "http://127.0.0.1:8000/";
/// Serves it.
const SERVE: &str = "mkdir -p /tmp/site && echo '<!doctype html><title>kept</title>' \
     >/tmp/site/index.html && exec python3 -m http.server 8000 --bind 127.0.0.1 --directory /tmp/site";
/// An unpacked extension that counts its starts in a storage of its own.
const EXTENSION: &str = r#"mkdir -p /home/kernel/user-data/counting && cd /home/kernel/user-data/counting
cat >manifest.json <<'END'
{"manifest_version": 3, "name": "counting", "version": "1", "permissions": ["storage"],
 "background": {"service_worker": "counting.js"}}
END
cat >counting.js <<'END'
chrome.runtime.onInstalled.addListener(() => {});
chrome.runtime.onStartup.addListener(() => {});
globalThis.counted = 0;
chrome.storage.local.get({ starts: 0 }).then(async ({ starts }) => {
    await chrome.storage.local.set({ starts: starts + 1 });
    globalThis.counted = starts + 1;
});
END
chown -R kernel: ."#;

/// Waits until the machine is ready, and begins to serve the site there.
async fn ready(container: &Container) -> anyhow::Result<Endpoints> {
    let at = container.ready().await?;
    container.detach(&["sh", "-c", SERVE]).await?;
    assert_eventually!("the site is served", {
        let ask = ["curl", "--silent", "--fail", SITE];
        container.run(&ask).await?;
    });
    Ok(at)
}

async fn write(container: &Container, value: &str) -> anyhow::Result<()> {
    let at = ready(container).await?;
    let arguments = ["write", &at.devtools_url(), SITE, value];
    clients::run("user_data.mjs", &arguments).await.map(drop)
}

async fn read(at: &Endpoints) -> anyhow::Result<Value> {
    clients::run("user_data.mjs", &["read", &at.devtools_url(), SITE]).await
}

async fn expect(container: &Container, value: &str, after: &str) -> anyhow::Result<()> {
    let seen = read(&ready(container).await?).await?;
    let kept = json!({ "cookie": value, "local": value, "indexed": value });
    ensure!(seen == kept, "after {after}: {seen}, not {kept}");
    Ok(())
}

/// Restarts the browser in another way each time; an answer comes from the new one.
async fn restart_chromium(container: &Container, how: &[&str]) -> anyhow::Result<()> {
    let old = container.run(&["pgrep", "--oldest", "lib/chromium", "--full"]);
    let old = old.await?;
    container.run(how).await?;
    assert_eventually!("there is another browser", {
        let find = ["pgrep", "--oldest", "lib/chromium", "--full"];
        let new = container.run(&find).await?;
        !new.is_empty() && new != old
    });
    Ok(())
}

/// The steps in which a user's browser comes to an end and begins anew.
pub(crate) async fn survives_a_restart_a_stop_and_a_new_container(
    image: Image,
) -> anyhow::Result<()> {
    let volume = Volume::new().await?;
    let container = Builder::new(&image).user_data(&volume).start().await?;
    write(&container, "first").await?;
    expect(&container, "first", "writing").await?;
    // Each is written at once before, so that Chromium has it in memory alone.
    write(&container, "restarted").await?;
    restart_chromium(&container, &["supervisorctl", "restart", "chromium"]).await?;
    expect(&container, "restarted", "a restart by supervisorctl").await?;
    write(&container, "asked").await?;
    restart_chromium(
        &container,
        &["pkill", "-TERM", "--full", "browserd chromium"],
    )
    .await?;
    expect(&container, "asked", "a TERM to the launcher").await?;
    write(&container, "stopped").await?;
    container.command(&["stop"]).await?;
    container.command(&["start"]).await?;
    expect(&container, "stopped", "a stop and a start").await?;
    write(&container, "removed").await?;
    container.command(&["stop"]).await?;
    drop(container);
    let container = Builder::new(&image)
        .user_data(&volume)
        .option("--hostname=another")
        .start()
        .await?;
    expect(&container, "removed", "a new container").await?;
    let owner = ["stat", "--format=%U", "/home/kernel/user-data"];
    assert_eq!(container.run(&owner).await?.trim(), "kernel");
    Ok(())
}

/// A kill leaves a locked profile. What Chromium has on disk by then is still there: it writes
/// cookies every 30 s, and the rest at once.
pub(crate) async fn survives_a_kill(image: Image) -> anyhow::Result<()> {
    let volume = Volume::new().await?;
    let container = Builder::new(&image).user_data(&volume).start().await?;
    write(&container, "kept").await?;
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
    let logs = container.logs().await?;
    ensure!(
        logs.contains("removing the lock of a Chromium that is gone"),
        "{logs}"
    );
    Ok(())
}

/// What an extension keeps in the profile: it counts its starts there.
pub(crate) async fn what_extensions_keep_survives(image: Image) -> anyhow::Result<()> {
    let volume = Volume::new().await?;
    let prepare = Builder::new(&image)
        .user_data(&volume)
        .option("--entrypoint=sh")
        .argument("-c")
        .argument(EXTENSION);
    prepare.start_unready().await?.ended().await?;
    let machine = || {
        Builder::new(&image)
            .user_data(&volume)
            .env(
                "CHROMIUM_FLAGS",
                "--load-extension=/home/kernel/user-data/counting \
                --disable-features=DisableLoadExtensionCommandLineSwitch",
            )
            .start()
    };
    let container = machine().await?;
    let first = starts(&container).await?;
    container.command(&["stop"]).await?;
    drop(container);
    let container = machine().await?;
    let second = starts(&container).await?;
    ensure!(second > first, "{first} starts, then {second}");
    Ok(())
}

/// How often the extension says that it was started.
async fn starts(container: &Container) -> anyhow::Result<u64> {
    let mut browser = container.at().await?.browser().await?;
    let counted = assert_eventually!("the extension has counted", {
        let targets = browser.call("Target.getTargets", json!({})).await?;
        let targets = targets["targetInfos"].as_array().cloned();
        let mut counted = None;
        for target in targets.unwrap_or_default() {
            let url = target["url"].as_str().unwrap_or_default();
            if url.starts_with("chrome-extension://") && url.ends_with("/counting.js") {
                let session = browser.attach(target["targetId"].as_str().unwrap_or_default());
                let session = session.await?;
                counted = browser.evaluate(&session, "counted").await?.as_u64();
            }
        }
        counted.filter(|counted| *counted > 0)
    });
    Ok(counted)
}
