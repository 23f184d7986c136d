//! The whole stack as users run it: supervisord with X, D-Bus, Chromium and the daemon.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Call, Journal, case,
    endpoints::Endpoints,
    patience,
    ports::Block,
    process::Launch,
    procfs,
    runner::{self, Role, Runner},
    settings,
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
/// supervisord's socket, in the stack's directory.
const SOCKET: &str = "run/supervisor.sock";

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
    machine: Runner,
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
        let stack = self.start_unready().await?;
        stack
            .at
            .ready(START)
            .await
            .context("the stack does not become ready")?;
        if matches!(stack.machine, Runner::Contained(_)) {
            // Its log passes through the engine. What was asked until now is not to come late.
            let id = "the-stack-is-ready";
            // A health check that passes is not logged.
            let last = Call::get("/display").header("x-request-id", id);
            stack.at.api.send(last).await?.expect(200)?;
            patience::until(START, async || stack.journal().request(id)).await?;
        }
        Ok(stack)
    }

    /// Starts it without waiting for anything.
    pub async fn start_unready(self) -> anyhow::Result<Stack> {
        let block = Block::claim()?;
        let at = Endpoints::of(&block)?;
        let folder = TempDir::with_prefix("browserd-e2e-").context("no temporary directory")?;
        let path = folder.path();
        for name in ["home", "log", "run", "tmp"] {
            fs::create_dir(path.join(name))?;
        }
        let socket = path.join(SOCKET);
        let control = format!("[supervisorctl]\nserverurl=unix://{}\n", socket.display());
        fs::write(path.join(CONTROL), control)?;
        let flags = format!("{CLOSED_NETWORK_FLAGS}{}", self.chromium_flags);
        let mut variables = variables(path, &at, &block, flags);
        let log = path.join("log/stack");
        let machine = if let Some(image) = settings::image() {
            // The browser's user is not the one of the tests.
            for (name, mode) in [("", 0o755), ("tmp", 0o1777)] {
                fs::set_permissions(path.join(name), Permissions::from_mode(mode))?;
            }
            variables.extend(self.environment);
            let variables = Vec::from_iter(variables);
            runner::start(&image, Role::Machine, &variables, &log, STOP).await?
        } else {
            let launch = Launch::new(settings::repository().join("supervisord/stack"))
                .folder(path)
                .output(&log)
                .grace(STOP)
                .env("HOME", path.join("home"))
                .env("BROWSERD_BINARY", settings::browserd()?)
                .env("RUN_AS_ROOT", settings::is_root().to_string())
                .envs(variables)
                .envs(self.environment);
            Runner::Native(launch.spawn()?)
        };
        Ok(Stack {
            at,
            machine,
            block,
            folder,
        })
    }
}

/// The settings of an image, with ports and paths of the stack's own.
fn variables(
    path: &Path,
    at: &Endpoints,
    block: &Block,
    flags: String,
) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = at.variables().into();
    let inside = |name: &str| path.join(name).display().to_string();
    variables.extend(
        [
            ("TMPDIR", inside("tmp")),
            ("RUN_DIR", inside("run")),
            ("LOG_DIR", inside("log")),
            ("SUPERVISOR_SOCKET", inside(SOCKET)),
            ("BROWSER_DATA_DIR", inside("profile")),
            ("CHROMIUM_FLAGS_FILE", inside("flags")),
            ("CHROMIUM_FLAGS", flags),
            ("INTERNAL_PORT", block.port(3).to_string()),
            ("DISPLAY_NUM", block.display().to_string()),
            ("WIDTH", "1280".to_owned()),
            ("HEIGHT", "720".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    variables
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
        // A machine has one log; its lines name the service.
        let name = match self.machine {
            Runner::Native(_) => "browserd",
            Runner::Contained(_) => "stack",
        };
        Journal::new(self.logs().join(name))
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

    /// The process id of a service, on this machine; Chromium's own, not that of its launcher.
    pub async fn pid(&self, program: &str) -> anyhow::Result<u32> {
        if program == "browserd" && matches!(self.machine, Runner::Contained(_)) {
            return self.machine.daemon();
        }
        let text = self.supervisorctl(&["pid", program]).await?;
        let pid = text.parse().ok().filter(|pid| *pid != 0);
        let pid = pid.with_context(|| format!("{program} does not run: {text}"))?;
        let pid = self.on_host(pid)?;
        if program != "chromium" {
            return Ok(pid);
        }
        let mut processes = procfs::all().into_iter();
        let browser = processes.find(|(_, stat)| stat.parent == pid);
        browser
            .map(|(pid, _)| pid)
            .context("the launcher has not started Chromium")
    }

    /// The number on this machine of a process that the stack knows by that number.
    pub fn on_host(&self, pid: u32) -> anyhow::Result<u32> {
        self.machine.on_host(pid)
    }

    /// Takes everything down, and tells whether that went by TERM alone.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.machine.stop()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.machine.stop();
        for path in self.block.display_files() {
            // Xvfb removes them itself, unless it was killed.
            drop(fs::remove_file(path));
        }
        case::leaves(&self.logs());
    }
}

/// Sends a signal to a process that a stack of this test has started.
pub fn kill(pid: u32, signal: Signal) -> anyhow::Result<()> {
    runner::kill(pid, signal)
}

impl AsRef<Path> for Stack {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}
