//! A process with everything that it starts, which ends when this value does.
//!
//! It runs in a session of its own and carries a mark in its environment, by which its
//! descendants are found even when they left the session or lost their parent. Should this
//! test be killed, the kernel ends the process.

mod tree;

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use anyhow::Context as _;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::{patience, process::tree::Tree, settings};

/// The variable that marks a process and its descendants.
const MARK: &str = "BROWSERD_E2E_MARK";
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(5);

/// How to start a process.
#[derive(Debug)]
pub struct Launch {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    output: Option<PathBuf>,
    grace: Duration,
}

impl Launch {
    /// Begins with an environment that holds but `PATH` and `LANG`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: vec![
                ("PATH".into(), settings::search_path()),
                ("LANG".into(), "C.UTF-8".into()),
            ],
            folder: None,
            output: None,
            grace: Duration::from_secs(5),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable; the last setting of a name counts.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets variables.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |launch, (name, value)| launch.env(name, value))
    }

    /// Sets the working directory.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Appends stdout and stderr to a file; otherwise they are dropped.
    #[must_use]
    pub fn output(mut self, path: &Path) -> Self {
        self.output = Some(path.to_owned());
        self
    }

    /// Sets how long TERM has before KILL follows when the value is dropped.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Starts it.
    pub fn spawn(self) -> anyhow::Result<Process> {
        let mark = unique();
        let name = self.program.to_string_lossy().into_owned();
        let mut command = Command::new("setsid");
        command.args(["setpriv", "--pdeathsig", "TERM", "--"]);
        command
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment);
        command.env(MARK, &mark).stdin(Stdio::null());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let (out, err) = match &self.output {
            Some(path) => {
                let file = append(path)?;
                (Stdio::from(file.try_clone()?), Stdio::from(file))
            }
            None => (Stdio::null(), Stdio::null()),
        };
        command.stdout(out).stderr(err);
        let child =
            spawn_from_lasting_thread(command).with_context(|| format!("cannot start {name}"))?;
        let pid = Pid::from_child(&child);
        let pidfd =
            pidfd_open(pid, PidfdFlags::empty()).with_context(|| format!("cannot watch {name}"))?;
        let tree = Tree::new(child.id(), format!("{MARK}={mark}"));
        Ok(Process {
            name,
            child,
            pidfd,
            tree,
            grace: self.grace,
            status: None,
        })
    }
}

/// A running process. Dropping it sends TERM, waits for the grace time, and kills what is
/// left of everything it started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    tree: Tree,
    grace: Duration,
    status: Option<ExitStatus>,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        pidfd_send_signal(&self.pidfd, signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.reap().is_none()
    }

    /// Waits for its end. Cancel safe.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let ended = patience::until(limit, async || self.reap()).await;
        ended.with_context(|| format!("{} still runs", self.name))
    }

    /// Waits for its end, which somebody else brings about; tells whether it came.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        wait_blocking(&self.pidfd, limit)
    }

    /// Takes it down as dropping it does, and tells whether TERM was enough for all of it.
    pub fn stop(&mut self) -> bool {
        self.tree.update();
        if self.reap().is_none() {
            // It may end in between.
            let _ = pidfd_send_signal(&self.pidfd, Signal::TERM);
            wait_blocking(&self.pidfd, self.grace);
        }
        let left = self.tree.kill(KILLED);
        wait_blocking(&self.pidfd, KILLED);
        self.reap();
        left == 0
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Opens a file to append to.
pub(crate) fn append(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

/// A text that no other process and no other call has made.
pub(crate) fn unique() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0);
    format!("{}-{random:016x}", std::process::id())
}

/// Waits until the process behind the descriptor has ended, or the time is up.
fn wait_blocking(pidfd: &OwnedFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}

/// The death signal is sent when the *thread* that forked ends, and test threads end early.
fn spawn_from_lasting_thread(command: Command) -> anyhow::Result<Child> {
    type Job = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static JOBS: OnceLock<mpsc::SyncSender<Job>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (sender, receiver) = mpsc::sync_channel::<Job>(16);
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                // The caller waits for it.
                drop(answer.send(command.spawn()));
            }
        });
        sender
    });
    let (answer, spawned) = mpsc::sync_channel(1);
    jobs.send((command, answer))
        .ok()
        .context("the thread that starts processes is gone")?;
    Ok(spawned.recv()??)
}

#[cfg(test)]
mod tests;
