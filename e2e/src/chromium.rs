//! A headless Chromium without a daemon.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{
    patience,
    process::{Launch, Process},
    settings,
    stack::CLOSED_NETWORK_FLAGS,
};

/// How long Chromium may take to announce its endpoint on a quiet machine.
const START: Duration = Duration::from_secs(30);

/// A running Chromium. Dropping it ends it.
#[derive(Debug)]
pub struct Chromium {
    process: Process,
    folder: TempDir,
    url: String,
}

impl Chromium {
    /// Starts one on a port that it picks itself, and waits for its endpoint.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("browserd-e2e-").context("no temporary directory")?;
        let path = folder.path();
        let log = path.join("log");
        let mut launch = Launch::new("/usr/bin/chromium")
            .args(["--headless", "--remote-debugging-port=0", "--disable-gpu"])
            .args(CLOSED_NETWORK_FLAGS.split_whitespace())
            .arg(format!(
                "--user-data-dir={}",
                path.join("profile").display()
            ))
            .env("HOME", path)
            .env("TMPDIR", path)
            .output(&log);
        if settings::is_root() {
            launch = launch.arg("--no-sandbox");
        }
        let process = launch.arg("about:blank").spawn()?;
        let url = patience::until(START, async || announced(&log)).await;
        let url = url.context("Chromium does not announce its endpoint")?;
        Ok(Self {
            process,
            folder,
            url,
        })
    }

    /// Its WebSocket URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The line that it announced itself with, as in the log that the daemon reads.
    #[must_use]
    pub fn line(&self) -> String {
        format!("DevTools listening on {}\n", self.url)
    }

    /// The id in its URL, by which it is told from another one.
    #[must_use]
    pub fn id(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Kills it with everything it started.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.signal(rustix::process::Signal::KILL)?;
        self.process.stop();
        Ok(())
    }

    /// Its profile's directory.
    #[must_use]
    pub fn profile(&self) -> PathBuf {
        self.folder.path().join("profile")
    }
}

fn announced(log: &std::path::Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let (_, rest) = text.split_once("DevTools listening on ")?;
    rest.split_once('\n').map(|(url, _)| url.trim().to_owned())
}
