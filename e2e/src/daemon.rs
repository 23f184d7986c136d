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
    process::Launch,
    runner::{self, NOBODY, Role, Runner},
    settings,
};

/// How long the daemon may take to answer on a quiet machine.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end.
const GRACE: Duration = Duration::from_secs(12);

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
    process: Runner,
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
        let mut daemon = self.start_unready().await?;
        let limit = settings::patience(START);
        tokio::select! {
            answered = daemon.at.answers(START) => answered.context("the daemon does not answer")?,
            ended = daemon.process.wait(limit) => anyhow::bail!("the daemon ended: {ended:?}"),
        }
        Ok(daemon)
    }

    /// Starts it without waiting for anything.
    pub async fn start_unready(self) -> anyhow::Result<Daemon> {
        let block = Block::claim()?;
        let at = Endpoints::of(&block)?;
        let folder = TempDir::with_prefix("browserd-e2e-").context("no temporary directory")?;
        let logs = folder.path().join("log");
        std::fs::create_dir(&logs)?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut variables: Vec<(String, String)> = at.variables().to_vec();
        variables.extend([
            ("CHROMIUM_LOG_FILE".to_owned(), path("chromium.log")),
            ("SUPERVISOR_SOCKET".to_owned(), path("supervisor.sock")),
            ("DISPLAY_NUM".to_owned(), block.display().to_string()),
            // No part is coming up beside a daemon that is alone.
            ("PART_WAIT_SEC".to_owned(), "0".to_owned()),
        ]);
        variables.extend(self.environment);
        let log = logs.join("browserd");
        let role = if self.unprivileged && settings::is_root() {
            hand_over(folder.path())?;
            Role::Nobody
        } else {
            Role::Daemon
        };
        let process = if let Some(image) = settings::image() {
            runner::start(&image, role, &variables, &log, GRACE).await?
        } else {
            let binary = settings::browserd()?;
            let launch = match role {
                Role::Nobody => as_nobody(&binary, folder.path())?,
                _ => Launch::new(binary),
            };
            let launch = launch.arg("serve").folder(folder.path()).output(&log);
            Runner::Native(launch.grace(GRACE).envs(variables).spawn()?)
        };
        Ok(Daemon {
            at,
            process,
            block,
            folder,
        })
    }

    /// Runs a daemon that cannot start, to its end; returns what it printed.
    pub async fn fails(self) -> anyhow::Result<Output> {
        let block = Block::claim()?;
        let at = Endpoints::of(&block)?;
        let mut variables: Vec<(String, String)> = at.variables().to_vec();
        variables.extend(self.environment);
        let mut command = if let Some(image) = settings::image() {
            let (words, _) = runner::contain(&image, Role::Daemon, &variables);
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        } else {
            let mut command = Command::new(settings::browserd()?);
            command.arg("serve").env_clear().envs(variables);
            command
        };
        let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let limit = settings::patience(START);
        let output = tokio::time::timeout(limit, run).await;
        output
            .context("it runs, although it should not")?
            .context("cannot run browserd")
    }
}

/// Makes the daemon's folder nobody's.
fn hand_over(folder: &Path) -> anyhow::Result<()> {
    for path in [folder, &folder.join("log")] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

/// How to start a copy of a program, which lies where root alone may look, as nobody.
fn as_nobody(binary: &Path, folder: &Path) -> anyhow::Result<Launch> {
    let copy = folder.join("browserd");
    std::fs::copy(binary, &copy).context("cannot copy the daemon")?;
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

    /// The number of the X display that it was told of, which nobody serves.
    #[must_use]
    pub fn display(&self) -> u16 {
        self.block.display()
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
