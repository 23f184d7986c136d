//! The whole stack as users run it: supervisord with X, D-Bus, Chromium and the daemon.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Journal, case, endpoints::Endpoints, ports::Block, process::Launch, process::Process, settings,
};

/// Keeps Chromium from calling out: the machines that tests run on may have no network, and
/// what it tries in vain shows up as errors.
pub const CLOSED_NETWORK_FLAGS: &str = "--disable-background-networking \
     --disable-component-update --disable-sync --disable-quic --disable-default-apps \
     --disable-domain-reliability --no-first-run --no-pings";

/// How long everything may take to be ready on a quiet machine.
const START: Duration = Duration::from_secs(60);
/// supervisord stops its programs one after the other, each within its own limit.
const STOP: Duration = Duration::from_secs(30);

/// The settings of `supervisorctl`, in the stack's directory.
const CONTROL: &str = "supervisorctl.conf";

/// How to bring a stack up.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    chromium_flags: String,
    environment: BTreeMap<String, String>,
}

/// A running stack. Dropping it takes everything down.
#[derive(Debug)]
pub struct Stack {
    /// Where its daemon is.
    pub at: Endpoints,
    supervisord: Process,
    block: Block,
    folder: TempDir,
}

impl Builder {
    /// Gives Chromium more flags.
    pub fn chromium_flags(mut self, flags: &str) -> Self {
        self.chromium_flags.push(' ');
        self.chromium_flags.push_str(flags);
        self
    }

    /// Sets a variable for supervisord, and so for the daemon and the launcher.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Starts it, and waits until `/readyz` says so.
    pub async fn start(self) -> anyhow::Result<Stack> {
        let stack = self.start_unready()?;
        stack
            .at
            .ready(START)
            .await
            .context("the stack does not become ready")?;
        Ok(stack)
    }

    /// Starts it without waiting for anything.
    pub fn start_unready(self) -> anyhow::Result<Stack> {
        let browserd = settings::browserd()?;
        let block = Block::claim()?;
        let at = Endpoints::of(&block)?;
        let folder = TempDir::with_prefix("browserd-e2e-").context("no temporary directory")?;
        let path = folder.path();
        for name in ["home", "log", "run", "tmp"] {
            fs::create_dir(path.join(name))?;
        }
        let socket = path.join("run/supervisor.sock");
        let control = format!("[supervisorctl]\nserverurl=unix://{}\n", socket.display());
        fs::write(path.join(CONTROL), control)?;
        let flags = format!("{CLOSED_NETWORK_FLAGS}{}", self.chromium_flags);
        let launch = Launch::new(settings::repository().join("supervisord/stack"))
            .folder(path)
            .output(&path.join("log/stack"))
            .grace(STOP)
            .envs(at.variables())
            .env("HOME", path.join("home"))
            .env("TMPDIR", path.join("tmp"))
            .env("RUN_DIR", path.join("run"))
            .env("LOG_DIR", path.join("log"))
            .env("SUPERVISOR_SOCKET", socket)
            .env("BROWSERD_BINARY", browserd)
            .env("BROWSER_DATA_DIR", path.join("profile"))
            .env("CHROMIUM_FLAGS_FILE", path.join("flags"))
            .env("CHROMIUM_FLAGS", flags)
            .env("INTERNAL_PORT", block.port(3).to_string())
            .env("DISPLAY_NUM", block.display().to_string())
            .env("RUN_AS_ROOT", settings::is_root().to_string())
            .env("WIDTH", "1280")
            .env("HEIGHT", "720")
            .envs(self.environment);
        let supervisord = launch.spawn()?;
        Ok(Stack {
            at,
            supervisord,
            block,
            folder,
        })
    }
}

impl Stack {
    /// Begins with the settings of an image, on ports and paths of its own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Notes that the running test uses this stack, so that its failure shows the logs.
    pub fn attach(&self) {
        case::uses(&self.logs());
    }

    /// The directory with one log for each service.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// A directory that goes away with the stack.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The log that Chromium announces its endpoint in.
    #[must_use]
    pub fn chromium_log(&self) -> PathBuf {
        self.logs().join("chromium")
    }

    /// The daemon's log.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(self.logs().join("browserd"))
    }

    /// The port of Chromium's own DevTools server.
    #[must_use]
    pub fn internal_port(&self) -> u16 {
        self.block.port(3)
    }

    /// The number of the X display.
    #[must_use]
    pub fn display(&self) -> u16 {
        self.block.display()
    }

    /// The process id of supervisord.
    #[must_use]
    pub fn supervisord_pid(&self) -> u32 {
        self.supervisord.pid()
    }

    /// Runs `supervisorctl` against this stack, and returns what it printed.
    pub async fn supervisorctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("supervisorctl")
            .arg("-c")
            .arg(self.folder.path().join(CONTROL))
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run supervisorctl")?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        anyhow::ensure!(
            output.status.success(),
            "supervisorctl {arguments:?}: {text}"
        );
        Ok(text)
    }

    /// The process id of a service.
    pub async fn pid(&self, program: &str) -> anyhow::Result<u32> {
        let text = self.supervisorctl(&["pid", program]).await?;
        let pid = text.parse().ok().filter(|pid| *pid != 0);
        pid.with_context(|| format!("{program} does not run: {text}"))
    }

    /// Kills Chromium's main process with SIGKILL; returns its process id.
    pub async fn kill_chromium(&self) -> anyhow::Result<u32> {
        let pid = self.pid("chromium").await?;
        kill(pid, Signal::KILL)?;
        Ok(pid)
    }

    /// Takes everything down, and tells whether that went by TERM alone.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.supervisord.stop()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.supervisord.stop();
        for path in self.block.display_files() {
            // Xvfb removes them itself, unless it was killed.
            drop(fs::remove_file(path));
        }
        case::leaves(&self.logs());
    }
}

/// Sends a signal to a process that a stack of this test has started.
pub fn kill(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let raw = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("no process id")?;
    kill_process(raw, signal).with_context(|| format!("cannot signal {pid}"))
}

impl AsRef<Path> for Stack {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}
