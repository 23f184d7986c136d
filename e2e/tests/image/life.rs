//! Starting, running, stopping.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use browserd_e2e::{
    assert_eventually,
    container::{Builder, Container},
};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::Image;

/// How long the first check of the health may take: they come every 5 s.
const HEALTH: Duration = Duration::from_secs(30);
/// How long a service may take to come again.
const START: Duration = Duration::from_secs(30);
/// How long an engine waits before it kills.
const STOP: Duration = Duration::from_secs(10);

pub(crate) async fn is_ready_and_healthy_without_privileges(image: Image) -> anyhow::Result<()> {
    let container = Builder::new(&image).start().await?;
    let privileged = container.inspect("{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}}");
    assert_eq!(privileged.await?, "false []");
    assert_eventually!(
        within: HEALTH,
        "the engine finds the container healthy",
        container.inspect("{{.State.Health.Status}}").await? == "healthy"
    );
    // By these a fleet finds its machines.
    let label = async |name: &str| {
        let format = format!("{{{{index .Config.Labels \"org.opencontainers.image.{name}\"}}}}");
        container.inspect(&format).await
    };
    assert!(image.starts_with(&label("title").await?.replace(' ', "-")));
    assert_eq!(label("version").await?, env!("CARGO_PKG_VERSION"));
    let sbom = container
        .run(&["cat", "/usr/share/browserd/sbom.json"])
        .await?;
    let sbom: Value = serde_json::from_str(&sbom).context("the bill of materials is no JSON")?;
    let names = sbom["packages"].as_array().context("it has no packages")?;
    assert!(names.iter().any(|package| package["name"] == "chromium"));
    // No build tool, and nothing of apt.
    let left = container
        .run(&[
            "sh",
            "-c",
            "command -v cargo gcc make; ls -A /var/lib/apt/lists",
        ])
        .await?;
    assert_eq!(left, "");
    Ok(())
}

pub(crate) async fn renderers_are_sandboxed(image: Image) -> anyhow::Result<()> {
    let container = Builder::new(&image).start().await?;
    let mut browser = container.at().await?.browser().await?;
    let (_, session) = browser.open("chrome://sandbox/").await?;
    assert_eventually!(
        "the page says that the sandbox is there",
        browser
            .evaluate(&session, "document.body.innerText")
            .await?
            .as_str()
            .is_some_and(|text| text.contains("You are adequately sandboxed."))
    );
    Ok(())
}

pub(crate) async fn stops_in_time_and_starts_again(image: Image) -> anyhow::Result<()> {
    let container = Builder::new(&image).start().await?;
    let started = Instant::now();
    container.command(&["stop"]).await?;
    assert!(started.elapsed() < STOP, "{:?}", started.elapsed());
    assert_eq!(container.inspect("{{.State.ExitCode}}").await?, "0");
    container.command(&["start"]).await?;
    container.ready().await?;
    container.command(&["kill", "--signal=KILL"]).await?;
    container.command(&["start"]).await?;
    container.ready().await?;
    Ok(())
}

/// Each is killed, which `/readyz` sees, and comes again: all but the daemon, which answers it.
pub(crate) async fn services_that_die_come_again(image: Image) -> anyhow::Result<()> {
    let container = Builder::new(&image).start().await?;
    let mut victims = vec![
        ("browserd chromium", "devtools", ""),
        ("lib/chromium", "devtools", ""),
        ("Xvfb", "supervisor", "xvfb "),
        ("dbus-daemon", "supervisor", "dbus "),
        ("bin/supervisord", "supervisor", ""),
    ];
    if image.contains("headful") {
        victims.extend([
            ("openbox", "supervisor", "openbox "),
            ("pulseaudio", "supervisor", "pulseaudio "),
        ]);
    }
    for (victim, part, told) in victims {
        let killed = async {
            let pid = kill(&container, victim).await?;
            comes_again(&container, victim, &pid).await
        };
        let (told_of, again) = tokio::join!(container.lacks(part), killed);
        let detail = told_of.with_context(|| format!("after the end of {victim}"))?;
        ensure!(detail.contains(told), "{victim}: {detail}");
        again?;
        container
            .ready()
            .await
            .with_context(|| format!("after the end of {victim}"))?;
        let mut browser = container.at().await?.browser().await?;
        browser.open("about:blank").await?;
    }
    let pid = kill(&container, "browserd serve").await?;
    comes_again(&container, "browserd serve", &pid).await?;
    container.ready().await.map(drop)
}

/// Kills the oldest process with that command line; returns its number.
async fn kill(container: &Container, victim: &str) -> anyhow::Result<String> {
    let find = ["pgrep", "--oldest", "--full", victim];
    let pid = container.run(&find).await?;
    container.run(&["kill", "-KILL", pid.trim()]).await?;
    Ok(pid)
}

async fn comes_again(container: &Container, victim: &str, old: &str) -> anyhow::Result<()> {
    let find = ["pgrep", "--oldest", "--full", victim];
    assert_eventually!(
        within: START,
        "another one runs",
        container.run(&find).await? != old
    );
    Ok(())
}

/// Each with ports, a profile and a name of its own.
pub(crate) async fn ten_run_at_once(image: Image) -> anyhow::Result<()> {
    const COUNT: usize = 10;
    let starting = (0..COUNT).map(|_| Builder::new(&image).start_unready());
    let containers = try_join_all(starting).await?;
    let mut ports = HashSet::new();
    for container in &containers {
        let at = container.ready().await?;
        ensure!(
            ports.insert(at.api.address()) && ports.insert(at.devtools),
            "{at:?}"
        );
        let mut browser = at.browser().await?;
        browser.open("about:blank").await?;
    }
    // All are still there with the last.
    for container in &containers {
        container
            .at()
            .await?
            .api
            .get("/readyz")
            .await?
            .expect(200)?;
    }
    Ok(())
}

pub(crate) async fn runs_with_the_options_of_the_compose_file(image: Image) -> anyhow::Result<()> {
    let mut builder = Builder::new(&image)
        .option("--security-opt=no-new-privileges")
        .option("--read-only")
        .option("--cap-drop=ALL");
    for capability in [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "KILL",
        "SETGID",
        "SETUID",
        "SYS_CHROOT",
    ] {
        builder = builder.option(&format!("--cap-add={capability}"));
    }
    for folder in [
        "/tmp",
        "/run:mode=755",
        "/var/log/supervisord",
        "/recordings",
        "/chromium",
        "/home/kernel:uid=1000,gid=1000,mode=700",
    ] {
        builder = builder.option(&format!("--tmpfs={folder}"));
    }
    let container = builder.start().await?;
    container.command(&["stop"]).await?;
    assert_eq!(container.inspect("{{.State.ExitCode}}").await?, "0");
    Ok(())
}
