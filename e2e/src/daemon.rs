//! The daemon alone, in front of what the test puts there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Journal, case,
    endpoints::Endpoints,
    patience,
    ports::Block,
    process::{Launch, Process},
    settings,
};

/// How long the daemon may take to answer on a quiet machine.
const START: Duration = Duration::from_secs(10);

/// The user and the group of nobody, on every Debian.
const NOBODY: u32 = 65_534;

/// How to start a daemon.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    environment: BTreeMap<String, String>,
    unprivileged: bool,
}

/// A running daemon. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    /// Where it is.
    pub at: Endpoints,
    process: Process,
    block: Block,
    folder: TempDir,
}

impl Builder {
    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Runs it as nobody where the test is root.
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// Starts it, and waits until it answers. Its parts need not be ready.
    pub async fn start(self) -> anyhow::Result<Daemon> {
        let block = Block::claim()?;
        let at = Endpoints::of(&block)?;
        let folder = TempDir::with_prefix("browserd-e2e-").context("no temporary directory")?;
        let logs = folder.path().join("log");
        std::fs::create_dir(&logs)?;
        let binary = settings::browserd()?;
        let launch = if self.unprivileged && settings::is_root() {
            as_nobody(&binary, folder.path())?
        } else {
            Launch::new(binary)
        };
        let process = launch
            .arg("serve")
            .folder(folder.path())
            .output(&logs.join("browserd"))
            .grace(Duration::from_secs(12))
            .env("CHROMIUM_LOG_FILE", folder.path().join("chromium.log"))
            .env("SUPERVISOR_SOCKET", folder.path().join("supervisor.sock"))
            .env("DISPLAY_NUM", block.display().to_string())
            .envs(at.variables())
            .envs(self.environment)
            .spawn()?;
        let mut daemon = Daemon {
            at,
            process,
            block,
            folder,
        };
        let limit = settings::patience(START);
        tokio::select! {
            answered = daemon.at.answers(START) => answered.context("the daemon does not answer")?,
            ended = daemon.process.wait(limit) => anyhow::bail!("the daemon ended: {ended:?}"),
        }
        Ok(daemon)
    }

    /// Runs a daemon that cannot start, to its end; returns what it printed.
    pub async fn fails(self) -> anyhow::Result<Output> {
        let block = Block::claim()?;
        let at = Endpoints::of(&block)?;
        let run = Command::new(settings::browserd()?)
            .arg("serve")
            .env_clear()
            .envs(at.variables())
            .envs(self.environment)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let limit = settings::patience(START);
        let output = tokio::time::timeout(limit, run).await;
        output
            .context("it runs, although it should not")?
            .context("cannot run browserd")
    }
}

/// How to start a copy of a program, which lies where root alone may look, as nobody; in a
/// folder that is nobody's from now on.
fn as_nobody(binary: &Path, folder: &Path) -> anyhow::Result<Launch> {
    let copy = folder.join("browserd");
    std::fs::copy(binary, &copy).context("cannot copy the daemon")?;
    for path in [folder, &folder.join("log")] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    let id = NOBODY.to_string();
    // A change of the user takes the death signal back: it is set anew.
    Ok(Launch::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .args(["--pdeathsig", "TERM", "--"])
        .arg(copy))
}

impl Daemon {
    /// Begins with a Chromium log in the daemon's own directory, which does not exist yet.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A directory that goes away with the daemon.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The log that the daemon looks for Chromium in, for the test to write.
    #[must_use]
    pub fn chromium_log(&self) -> PathBuf {
        self.folder.path().join("chromium.log")
    }

    /// The daemon's own log.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(self.folder.path().join("log/browserd"))
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A port that is free, and stays so.
    #[must_use]
    pub fn spare_port(&self) -> u16 {
        self.block.port(8)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.process.wait(limit).await
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.stop();
        case::leaves(&self.folder.path().join("log"));
    }
}

impl Endpoints {
    async fn answers(&self, limit: Duration) -> anyhow::Result<()> {
        patience::until(limit, async || {
            self.api.get("/healthz").await?.expect(200).map(drop)
        })
        .await
    }
}
