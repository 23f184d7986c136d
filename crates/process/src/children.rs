//! The children of this process: which are ours to wait for, and which are orphans.
//!
//! A child that was started here is waited for by its pidfd, by whoever started it. The daemon
//! is a subreaper as well, so that orphans of its descendants become its children; those are
//! reaped by [`sweep`]. The table of children belongs to the whole process, hence the statics.
//!
//! Nothing here waits for "any child". The sweep looks at a zombie without reaping it, and reaps
//! it by number only when it is an orphan: not started here, and not in the daemon's own session.
//! Every process started here leads a session of its own, so what is a child in the daemon's
//! session was started by other code (a library's `Command`), and is left to it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, getpid, kill_process, pidfd_open,
    set_child_subreaper, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Signal;
use crate::procfs::{self, Stat};
use crate::spare;
use crate::sys::{self, SharedFd};

static TABLE: Mutex<Table> = Mutex::new(Table {
    owned: BTreeSet::new(),
    next_start: 0,
    starting: BTreeSet::new(),
    seen: BTreeMap::new(),
});

/// What tells own children from orphans. Held for a system call or two, never while waiting.
#[derive(Debug)]
struct Table {
    /// Numbers of the children that were started here and are not reaped yet.
    owned: BTreeSet<i32>,
    /// The start that begins next.
    next_start: u64,
    /// Starts under way. Each may have made a process that is not in `owned` yet.
    starting: BTreeSet<u64>,
    /// Zombies that are not in `owned`, with the start that was next when they were first seen.
    seen: BTreeMap<i32, u64>,
}

impl Table {
    /// Whether a zombie that is not owned may come from a start that is still under way.
    ///
    /// One that began after the zombie was first seen cannot have made it. So a slow start (a
    /// program on a slow disk) puts off reaping, and reaping never puts off a start.
    fn may_be_starting(&mut self, zombie: i32) -> bool {
        let Some(oldest) = self.starting.first() else {
            return false;
        };
        *oldest < *self.seen.entry(zombie).or_insert(self.next_start)
    }
}

fn table() -> MutexGuard<'static, Table> {
    // A panic cannot leave the table half changed.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A start under way.
struct Start(u64);

impl Start {
    fn begin() -> Self {
        let mut table = table();
        let number = table.next_start;
        table.next_start += 1;
        table.starting.insert(number);
        Self(number)
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        table().starting.remove(&self.0);
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(Signal),
}

impl Exit {
    /// The code a shell would report: that of the process, or 128 and the signal's number.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal.as_raw(),
        }
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub const fn signal(self) -> Option<Signal> {
        match self {
            Self::Code(_) => None,
            Self::Signal(signal) => Some(signal),
        }
    }

    fn new(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(Signal::from_raw(signal)),
            (None, None) => Self::Code(255),
        }
    }
}

/// A started process that is ours to wait for. Dropped before that, it is left to the sweep.
#[derive(Debug)]
pub(crate) struct Own {
    pid: Pid,
    pidfd: SharedFd,
    reaped: bool,
}

impl Own {
    /// Starts a process by `spawn`. Blocks for as long as that does.
    ///
    /// # Errors
    ///
    /// What `spawn` says, or that there is no descriptor. Nothing is left then.
    pub(crate) fn start(spawn: impl FnOnce() -> io::Result<Pid>) -> io::Result<Self> {
        spare::fill()?;
        let starting = Start::begin();
        let pid = spawn()?;
        let pidfd = spare::with(|| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        match pidfd {
            Ok(pidfd) => {
                table().owned.insert(number(pid));
                drop(starting);
                Ok(Self {
                    pid,
                    pidfd: pidfd.into(),
                    reaped: false,
                })
            }
            Err(error) => {
                // Others took the descriptors in reserve as they came free. Nobody could wait for
                // it, so it must not run on. No sweep has reaped it, as its start is under way.
                let _ = sys::signal_group_number(pid, Some(Signal::KILL));
                let _ = kill_process(pid, rustix::process::Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                Err(error)
            }
        }
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) const fn pidfd(&self) -> &SharedFd {
        &self.pidfd
    }

    /// Makes it waitable. Must be called within a runtime.
    pub(crate) fn watch(self) -> io::Result<Watched> {
        let ready = sys::watch(self.pidfd.clone(), Interest::READABLE)?;
        Ok(Watched { own: self, ready })
    }

    /// Waits for its end and reaps it. Blocks.
    pub(crate) fn reap(mut self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::PidFd(self.pidfd.as_fd()), options)
        {
        }
        let _ = self.try_wait();
    }

    fn try_wait(&mut self) -> Option<Exit> {
        // Under the lock, as the number is free for another process once this one is reaped.
        let mut table = table();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let exit = match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            Ok(None) | Err(rustix::io::Errno::INTR) => return None,
            Ok(Some(status)) => Exit::new(&status),
            Err(error) => {
                tracing::error!(pid = %self.pid, %error, "exit code of a child is lost");
                Exit::Code(255)
            }
        };
        table.owned.remove(&number(self.pid));
        self.reaped = true;
        Some(exit)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if !self.reaped {
            table().owned.remove(&number(self.pid));
        }
    }
}

/// A child whose end can be awaited.
#[derive(Debug)]
pub(crate) struct Watched {
    own: Own,
    ready: AsyncFd<SharedFd>,
}

impl Watched {
    /// Waits for its end and reaps it.
    ///
    /// # Cancel safety
    ///
    /// Safe: it is reaped in the same poll that returns its exit.
    pub(crate) async fn wait(&mut self) -> Exit {
        loop {
            let Ok(mut ready) = self.ready.readable().await else {
                // The runtime shuts down, and drops this.
                return pending().await;
            };
            if let Some(exit) = self.own.try_wait() {
                return exit;
            }
            ready.clear_ready();
        }
    }
}

fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// Runs `act` if the child with this number is not reaped yet, so that the number is its own.
pub(crate) fn if_unreaped<T>(pid: Pid, act: impl FnOnce() -> T) -> Option<T> {
    let table = table();
    table.owned.contains(&number(pid)).then(act)
}

/// Orphans of descendants become children of this process from now on.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// What a sweep left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swept {
    /// No child is a zombie.
    Clean,
    /// There are zombies that have an owner, or may have one.
    Again,
}

/// Reaps all orphans that have ended. Blocks for the time of some system calls each.
pub(crate) fn sweep() -> io::Result<Swept> {
    // The kernel shows one zombie, and the same one until it is reaped.
    loop {
        let mut table = table();
        let Some(zombie) = sys::peek_zombie()? else {
            table.seen.clear();
            return Ok(Swept::Clean);
        };
        if !reap(&mut table, zombie) {
            break;
        }
    }
    // It has an owner, or may have. There may be others behind it.
    let me = number(getpid());
    let is_ours = |stat: &Stat| stat.is_zombie() && stat.ppid == me;
    let zombies: Vec<Pid> = spare::with(procfs::all)?
        .into_iter()
        .filter(is_ours)
        .map(|stat| stat.pid)
        .collect();
    for zombie in &zombies {
        reap(&mut table(), *zombie);
    }
    let still = |pid: &i32, _: &mut u64| zombies.iter().any(|zombie| number(*zombie) == *pid);
    table().seen.retain(still);
    Ok(Swept::Again)
}

/// Reaps a zombie if it is an orphan for certain.
fn reap(table: &mut Table, zombie: Pid) -> bool {
    let is_owned = table.owned.contains(&number(zombie));
    if is_owned || !is_orphan(zombie) || table.may_be_starting(number(zombie)) {
        return false;
    }
    table.seen.remove(&number(zombie));
    // Nobody else waits for it; the answer can only be its status.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let _ = waitid(WaitId::Pid(zombie), options);
    true
}

/// Whether a child has ended, and led or was led by a session of its own. Needs no descriptor.
fn is_orphan(zombie: Pid) -> bool {
    let own = sys::session(getpid());
    sys::is_zombie(zombie) && own.is_some() && sys::session(zombie) != own
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zombie is an orphan once every start that could have made it is over.
    #[test]
    fn a_zombie_waits_for_the_starts_before_it() {
        let mut table = Table {
            owned: BTreeSet::new(),
            next_start: 7,
            starting: BTreeSet::from([5]),
            seen: BTreeMap::new(),
        };
        assert!(table.may_be_starting(100));
        // Another begins; it is too late to have made that one.
        (table.next_start, table.starting) = (8, BTreeSet::from([5, 7]));
        assert!(table.may_be_starting(100));
        table.starting = BTreeSet::from([7]);
        assert!(!table.may_be_starting(100));
        assert!(table.may_be_starting(101));
        table.starting.clear();
        assert!(!table.may_be_starting(101));
    }
}
