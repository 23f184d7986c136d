//! The daemon that is measured, and the echo server behind it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use browserd_e2e::{
    ports::Block,
    process::{Launch, Process},
};
use tempfile::TempDir;

use crate::{
    Bench,
    client::{Client, connect},
};

/// Ports that rows use beside the daemon's, within one block.
const ECHO: u16 = 8;
/// The first of those for splices.
pub(crate) const SPLICES: u16 = 9;

/// The variables that put a daemon onto a block of ports and into a folder.
pub(crate) fn variables(block: &Block, folder: &Path) -> Vec<(&'static str, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    vec![
        ("PORT", block.port(0).to_string()),
        ("METRICS_PORT", block.port(1).to_string()),
        ("DEVTOOLS_PROXY_PORT", block.port(2).to_string()),
        ("DISPLAY_NUM", block.display().to_string()),
        ("CHROMIUM_LOG_FILE", path("chromium.log")),
        ("SUPERVISOR_SOCKET", path("supervisor.sock")),
    ]
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    block: Block,
    folder: TempDir,
}

impl Daemon {
    /// Starts one in front of a fixed upstream, or, without one, with a log of its own.
    pub(crate) fn start(
        bench: &Bench,
        block: Block,
        upstream: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        Self::start_with(bench, block, upstream, &[])
    }

    /// The same with other settings.
    pub(crate) fn start_with(
        bench: &Bench,
        block: Block,
        upstream: Option<SocketAddr>,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("browserd-bench-").context("no temporary directory")?;
        let mut launch = Launch::new(&bench.browserd)
            .arg("serve")
            .envs(variables(&block, folder.path()))
            .env("LOG_LEVEL", "warn")
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .output(&folder.path().join("browserd.log"));
        if let Some(upstream) = upstream {
            launch = launch.env("DEVTOOLS_UPSTREAM", format!("http://{upstream}"));
        }
        let daemon = Self {
            process: launch.spawn()?,
            block,
            folder,
        };
        drop(connect(daemon.devtools())?);
        Ok(daemon)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The HTTP API.
    pub(crate) fn api(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.block.port(0)).into()
    }

    /// The DevTools proxy.
    pub(crate) fn devtools(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.block.port(2)).into()
    }

    /// A port that is free.
    pub(crate) fn port(&self, index: u16) -> u16 {
        self.block.port(index)
    }

    /// Opens a session.
    pub(crate) fn session(&self) -> anyhow::Result<Client> {
        Client::open(self.devtools(), "/").with_context(|| self.last_words())
    }

    /// The log that it looks for Chromium in.
    pub(crate) fn chromium_log(&self) -> PathBuf {
        self.folder.path().join("chromium.log")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("browserd.log"));
        format!("the daemon refuses; its log: {}", log.unwrap_or_default())
    }
}

/// A running echo server, in a process of its own.
#[derive(Debug)]
pub(crate) struct Echo {
    process: Process,
    address: SocketAddr,
}

impl Echo {
    /// Starts one on a port of the block.
    pub(crate) fn start(block: &Block) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find the path of this program")?;
        let address = (Ipv4Addr::LOCALHOST, block.port(ECHO)).into();
        let process = Launch::new(own)
            .arg("echo")
            .arg(format!("{address}"))
            .spawn()?;
        drop(connect(address)?);
        Ok(Self { process, address })
    }

    /// Where it is.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}
