//! What a test runs: a program of this machine, or the same program of an image, in a container.
//!
//! The suite runs either way. With `E2E_IMAGE` every daemon and every stack is a container of
//! that image: its files, its users, its programs, and for a stack its first process. The
//! container has the network of this machine, since each test has ports and a display number of
//! its own, and pages come from a site on the loopback address; and it has this machine's
//! folder for temporary files at the same path, since tests look into folders and put files
//! there. A stack has processes of its own, a daemon alone those of this machine.

use std::{
    env, fs,
    path::Path,
    process::ExitStatus,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    container::{self, docker},
    patience,
    process::{Launch, Process},
    procfs, settings,
};

/// How long the engine may take to start a container on a quiet machine.
const START: Duration = Duration::from_secs(30);

/// The user and the group of nobody, on every Debian.
pub(crate) const NOBODY: u32 = 65_534;

/// Numbers the names of this process' containers.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub(crate) enum Runner {
    /// A process of this machine.
    Native(Process),
    /// A container.
    Contained(Contained),
}

/// A container, and the client that shows its output and ends with it.
#[derive(Debug)]
pub(crate) struct Contained {
    client: Process,
    name: String,
    id: String,
    pid: u32,
    grace: Duration,
}

/// How to run the image for a program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// The daemon alone, with the processes of this machine.
    Daemon,
    /// The same without any privilege.
    Nobody,
    /// All of it, as the image is meant to be run.
    Machine,
}

impl Runner {
    /// The process id of the program, on this machine.
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Native(process) => process.pid(),
            Self::Contained(container) => container.pid,
        }
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match self {
            Self::Native(process) => process.signal(signal),
            Self::Contained(container) => kill(container.pid, signal),
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process().is_running()
    }

    /// Waits for its end. A container that was killed by signal n has the exit code 128 + n.
    pub(crate) async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.process().wait(limit).await
    }

    /// Takes it down, and tells whether TERM was enough for all of it.
    pub(crate) fn stop(&mut self) -> bool {
        match self {
            Self::Native(process) => process.stop(),
            Self::Contained(container) => container.stop(),
        }
    }

    /// The number on this machine of a process that the program knows by that number.
    pub(crate) fn on_host(&self, pid: u32) -> anyhow::Result<u32> {
        match self {
            Self::Native(_) => Ok(pid),
            Self::Contained(container) => {
                let found = container.processes().find(|host| {
                    // This machine's number comes first, then the container's.
                    procfs::numbers(*host).get(1) == Some(&pid)
                });
                found.with_context(|| format!("no process {pid} in {}", container.name))
            }
        }
    }

    /// The daemon of a machine, which its first process starts.
    pub(crate) fn daemon(&self) -> anyhow::Result<u32> {
        let Self::Contained(container) = self else {
            anyhow::bail!("the daemon is supervisord's");
        };
        let found = container
            .processes()
            .find(|pid| procfs::arguments(*pid).get(1).map(String::as_str) == Some("serve"));
        found.with_context(|| format!("no daemon in {}", container.name))
    }

    fn process(&mut self) -> &mut Process {
        match self {
            Self::Native(process) => process,
            Self::Contained(container) => &mut container.client,
        }
    }
}

impl Contained {
    /// The processes inside, by their numbers on this machine.
    fn processes(&self) -> impl Iterator<Item = u32> + use<'_> {
        procfs::all().into_keys().filter(|pid| {
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
            groups.is_ok_and(|groups| groups.contains(&self.id))
        })
    }

    fn stop(&mut self) -> bool {
        let is_clean = if self.client.is_running() {
            // It may end in between.
            drop(kill(self.pid, Signal::TERM));
            self.client.ends_within(self.grace)
        } else {
            true
        };
        container::remove(&["rm", "--force", "--volumes", &self.name]);
        self.client.stop();
        is_clean
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes a command of the engine's client out of a program with its variables: the program runs
/// in a container of the image instead. Returns the container's name too.
pub(crate) fn contain(
    image: &str,
    role: Role,
    variables: &[(String, String)],
) -> (Vec<String>, String) {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = format!("browserd-suite-{}-{number}", std::process::id());
    let temporary = env::temp_dir().display().to_string();
    let profile = settings::repository().join("images/seccomp.json");
    let mut command = settings::docker();
    command.extend(["run", "--rm", "--network=host", "--shm-size=2g"].map(str::to_owned));
    command.extend([
        format!("--name={name}"),
        format!("--security-opt=seccomp={}", profile.display()),
        format!("--volume={temporary}:{temporary}"),
    ]);
    command.extend(
        variables
            .iter()
            .map(|(name, value)| format!("--env={name}={value}")),
    );
    if matches!(role, Role::Nobody) {
        command.push(format!("--user={NOBODY}:{NOBODY}"));
    }
    if matches!(role, Role::Machine) {
        command.push(image.to_owned());
    } else {
        command.extend(["--pid=host", "--entrypoint=/usr/local/bin/browserd"].map(str::to_owned));
        command.extend([image.to_owned(), "serve".to_owned()]);
    }
    (command, name)
}

/// Starts a container, whose output goes to the file.
pub(crate) async fn start(
    image: &str,
    role: Role,
    variables: &[(String, String)],
    output: &Path,
    grace: Duration,
) -> anyhow::Result<Runner> {
    let (command, name) = contain(image, role, variables);
    let launch = Launch::new(&command[0]).args(&command[1..]);
    // The client keeps its settings in the home folder.
    let launch = launch.env("HOME", env::temp_dir());
    let mut contained = Contained {
        client: launch.output(output).spawn()?,
        id: String::new(),
        pid: 0,
        name,
        grace,
    };
    let Contained { client, name, .. } = &mut contained;
    let told = patience::until(START, async || {
        let format = "{{.State.Pid}} {{.Id}}";
        let told = docker(&["inspect", "--format", format, name]).await;
        let is_running = told.as_ref().is_ok_and(|told| !told.starts_with("0 "));
        // One that ended at once is gone as well, and has said why.
        (is_running || !client.is_running()).then_some(told)
    });
    let told = told.await.context("the container does not start")?;
    let told = told.with_context(|| fs::read_to_string(output).unwrap_or_default())?;
    let (pid, id) = told.trim().split_once(' ').context("no process id")?;
    contained.pid = pid.parse()?;
    id.clone_into(&mut contained.id);
    Ok(Runner::Contained(contained))
}

/// Sends a signal to a process that a test has started.
pub(crate) fn kill(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let raw = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .and_then(Pid::from_raw);
    let raw = raw.context("no process id")?;
    kill_process(raw, signal).with_context(|| format!("cannot signal {pid}"))
}
