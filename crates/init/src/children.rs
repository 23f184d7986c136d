//! The two programs of the first process, and everything else that ends.

use std::{
    fs, io,
    os::fd::OwnedFd,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::net::unix::pipe;

use crate::Program;

/// A program that lived for so long begins anew with the shortest pause.
const LIVED: Duration = Duration::from_secs(5);
/// The pause before the second start in a row; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    Killed(Signal),
}

/// A program that is started again whenever it ends.
#[derive(Debug)]
pub(crate) struct Kept {
    program: Program,
    pid: Option<Pid>,
    started: Instant,
    /// Starts in a row that did not live for [`LIVED`].
    failures: u32,
    /// When to start it; `None` while it runs.
    due: Option<Instant>,
}

impl Kept {
    pub(crate) fn new(program: Program) -> Self {
        let now = Instant::now();
        Self {
            program,
            pid: None,
            started: now,
            failures: 0,
            due: Some(now),
        }
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// When it has to be started.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Starts it, and returns what it prints. A failure is logged, and tried again later.
    pub(crate) fn start(&mut self) -> Option<pipe::Receiver> {
        let name = self.program.name;
        self.started = Instant::now();
        match spawn(&self.program) {
            Ok((pid, printed)) => {
                tracing::info!(program = name, pid = pid.as_raw(), "started");
                (self.pid, self.due) = (Some(pid), None);
                Some(printed)
            }
            Err(error) => {
                let path = self.program.path.display();
                tracing::error!(program = name, %path, %error, "cannot be started");
                self.plan();
                None
            }
        }
    }

    /// Takes note of its end, and plans the next start.
    pub(crate) fn ended(&mut self, how: Ended) {
        self.pid = None;
        self.plan();
        let pause = self.due.map_or(Duration::ZERO, |due| {
            due.saturating_duration_since(Instant::now())
        });
        let pause_ms = pause.as_secs_f64() * 1000.0;
        let program = self.program.name;
        match how {
            Ended::Exited(status) => tracing::error!(program, status, pause_ms, "ended"),
            Ended::Killed(signal) => tracing::error!(program, %signal, pause_ms, "was killed"),
        }
    }

    /// Takes note of its end, which was asked for.
    pub(crate) fn stopped(&mut self, how: Ended) {
        (self.pid, self.due) = (None, None);
        let program = self.program.name;
        match how {
            Ended::Exited(status) => tracing::info!(program, status, "stopped"),
            Ended::Killed(signal) => tracing::warn!(program, %signal, "was killed"),
        }
    }

    /// The exit code, if such an end says that another start is in vain.
    pub(crate) fn hopeless(&self, how: Ended) -> Option<u8> {
        self.program
            .hopeless
            .filter(|&code| how == Ended::Exited(code.into()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // Not reaped yet, so the number is its own; it may have ended, which is as well.
            let _ = kill(pid, signal);
        }
    }

    fn plan(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.started) >= LIVED {
            self.failures = 0;
        }
        let pause = pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + pause);
    }
}

/// The pause before a start that so many failures in a row precede.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE
            .saturating_mul(1 << (n - 1).min(16))
            .min(LONGEST_PAUSE),
    }
}

/// Starts a program in a process group of its own, so that a terminal's Ctrl-C reaches this
/// process alone. Nobody but [`reap`] waits for it.
fn spawn(program: &Program) -> io::Result<(Pid, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    let child = command.spawn()?;
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok((Pid::from_raw(pid), reader))
}

/// What waiting for any process gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// This one has ended.
    One(Pid, Ended),
    /// There are others, and they live.
    StillRunning,
    /// There is nobody to wait for.
    NobodyLeft,
}

/// Waits for one process that has ended, own child or orphan, without blocking.
pub(crate) fn reap() -> Reaped {
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => return Reaped::One(pid, Ended::Exited(status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                return Reaped::One(pid, Ended::Killed(signal));
            }
            Ok(WaitStatus::StillAlive) => return Reaped::StillRunning,
            // A process that merely stopped, or that was killed by a signal without a name.
            Ok(_) | Err(Errno::EINTR | Errno::EINVAL) => {}
            Err(_) => return Reaped::NobodyLeft,
        }
    }
}

/// The children of this process but those: with the first process, the orphans of the machine.
pub(crate) fn orphans(but: &[Option<Pid>]) -> Vec<Orphan> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = Pid::this();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Orphan::of)
        .filter(|process| process.parent == own && !but.contains(&Some(process.pid)))
        .collect()
}

/// A process that this one has to wait for, and did not start.
#[derive(Debug, Clone)]
pub(crate) struct Orphan {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    parent: Pid,
}

impl Orphan {
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (pid_and_name, rest) = stat.rsplit_once(')')?;
        let (_, name) = pid_and_name.split_once('(')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        (state != "Z").then(|| Self {
            pid: Pid::from_raw(pid),
            name: name.to_owned(),
            parent: Pid::from_raw(parent),
        })
    }

    /// An X server. Its clients do not survive it.
    pub(crate) fn is_x_server(&self) -> bool {
        self.name.starts_with('X')
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // A child that this process has not waited for keeps its number.
        let _ = kill(self.pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<u128> = (0..9).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn reads_a_process_of_any_name() {
        let own = Orphan::of(Pid::this().as_raw()).unwrap();
        assert_eq!(own.parent, Pid::parent());
        assert!(Orphan::of(0).is_none());
    }
}
