//! The headless image as a microVM, built and booted by the scripts of images/microvm.
//!
//! Where the processor helps (KVM), Playwright drives the browser in it, and the profile's disk is
//! tried. Emulated, a browser is too slow to be of use, and only the boot and the end are shown.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use browserd_e2e::{
    Api, Endpoints, Site, clients, patience, ports::Block, process::Launch, process::Process,
    settings,
};
use rustix::process::Signal;
use serde_json::json;
use tokio::process::Command;

use crate::Image;

/// How long building may take: a gigabyte is packed.
const BUILD: Duration = Duration::from_secs(600);
/// How long a boot may take until the daemon answers; emulated, on a busy machine.
const BOOT: Duration = Duration::from_secs(180);
/// How long until everything is ready, with KVM.
const READY: Duration = Duration::from_secs(60);
/// How long a stop may take: ten seconds of the machine's own time, which pass slowly when it is
/// emulated.
const STOP: Duration = Duration::from_secs(60);
/// This machine's loopback address, as qemu's user network shows it to the machine.
const HOST: &str = "10.0.2.2";

/// A microVM that runs. Dropping it ends it.
struct Machine {
    process: Process,
    at: Endpoints,
    log: PathBuf,
    _ports: Block,
}

impl Machine {
    fn boot(folder: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let ports = Block::claim()?;
        let log = folder.join("log");
        let port = |index| ports.port(index);
        let launch = Launch::new(script("run"))
            .args(settings)
            .env("OUT", folder)
            .env("STATE", folder.join("state"))
            .env("STATE_SIZE", "256M")
            .env("MEMORY", "2560")
            .env("PORT", port(0).to_string())
            .env("METRICS_PORT", port(1).to_string())
            .env("DEVTOOLS_PROXY_PORT", port(2).to_string())
            .grace(STOP)
            .output(&log);
        let local = |index| SocketAddr::from((Ipv4Addr::LOCALHOST, port(index)));
        let at = Endpoints {
            api: Api::new(local(0))?,
            metrics: local(1),
            devtools: local(2),
        };
        Ok(Self {
            process: launch.spawn()?,
            at,
            log,
            _ports: ports,
        })
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the daemon answers.
    async fn healthy(&self) -> anyhow::Result<()> {
        let healthy = async || self.at.api.get("/healthz").await?.expect(200).map(drop);
        patience::until(BOOT, healthy)
            .await
            .with_context(|| self.said())
    }

    async fn ready(&self) -> anyhow::Result<()> {
        self.at.ready(READY).await.with_context(|| self.said())
    }

    /// Presses the power button, and waits until the machine has switched itself off.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::TERM)?;
        let status = self.process.wait(STOP).await;
        let said = self.said();
        let status = status.with_context(|| said.clone())?;
        ensure!(status.success(), "{status}: {said}");
        for line in ["the power button", "all ended"] {
            ensure!(said.contains(line), "not a word of {line}: {said}");
        }
        Ok(())
    }
}

fn script(name: &str) -> PathBuf {
    settings::repository().join("images/microvm").join(name)
}

async fn build(image: &str, folder: &Path) -> anyhow::Result<()> {
    let building = Command::new(script("build"))
        .arg(image)
        .env("OUT", folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let built = tokio::time::timeout(settings::patience(BUILD), building).await;
    let built = built.context("the build does not end")??;
    let text = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "{}: {text}", built.status);
    Ok(())
}

pub(crate) async fn boots_and_is_driven(image: Image) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    build(&image, folder.path()).await?;
    let machine = Machine::boot(folder.path(), &["WIDTH=1280", "HEIGHT=720"])?;
    machine.healthy().await?;
    // Every part is told of, ready or not.
    let parts = machine.at.api.get("/readyz").await?.text();
    ensure!(parts.contains("devtools"), "{parts}");
    // The variables of the image and of the command line, and what the first process set up.
    let seen = machine
        .at
        .api
        .exec("echo $LANG $WIDTH $(hostname) $(cat /etc/resolv.conf) $(ulimit -n)")
        .await?
        .expect(200)?
        .json::<serde_json::Value>()?;
    let seen = browserd_e2e::spawned::decoded(&seen["stdout_b64"])?;
    let seen = String::from_utf8(seen)?;
    assert_eq!(
        seen.trim(),
        "C.UTF-8 1280 browser nameserver 10.0.2.3 65536"
    );
    if !machine.said().contains(", kvm,") {
        return machine.stop().await;
    }

    machine.ready().await?;
    let site = Site::start().await?;
    let home = format!("http://{HOST}:{}", site.port());
    let devtools = machine.at.devtools_url();
    let visited = clients::run("playwright.mjs", &["visit", &devtools, &home]).await?;
    assert_eq!(visited["title"], "home");

    // The profile is on a disk of its own, and outlives the machine.
    let own = "http://127.0.0.1:10001/healthz";
    clients::run("user_data.mjs", &["write", &devtools, own, "kept"]).await?;
    machine.stop().await?;
    let machine = Machine::boot(folder.path(), &[])?;
    machine.healthy().await?;
    machine.ready().await?;
    let devtools = machine.at.devtools_url();
    let read = clients::run("user_data.mjs", &["read", &devtools, own]).await?;
    let kept = json!({ "cookie": "kept", "local": "kept", "indexed": "kept" });
    assert_eq!(read, kept);
    machine.stop().await
}
