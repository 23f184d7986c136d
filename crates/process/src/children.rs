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

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, getpid, getsid, pidfd_open,
    set_child_subreaper, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys::{self, Failure, Plan, SharedFd, Step};
use crate::{Signal, procfs};

/// Held for reading from before a process is made until its number is in [`OWNED`], and for
/// writing while an orphan is reaped: a child that ends at once must not pass for an orphan.
static STARTING: RwLock<()> = RwLock::new(());

/// The children that were started here and are not reaped yet.
static OWNED: Mutex<Option<HashSet<Pid>>> = Mutex::new(None);

fn owned() -> MutexGuard<'static, Option<HashSet<Pid>>> {
    // A panic cannot leave the set half changed.
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A started process. Dropped before it was waited for, it is left to the sweep.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    pidfd: SharedFd,
    reaped: bool,
}

impl Child {
    /// Starts a process. Blocks until it runs the program.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self, Failure> {
        let starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
        let pid = sys::spawn(plan)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        if pidfd.is_ok() {
            owned().get_or_insert_default().insert(pid);
        }
        drop(starting);
        match pidfd {
            Ok(pidfd) => Ok(Self {
                pid,
                pidfd: pidfd.into(),
                reaped: false,
            }),
            Err(error) => {
                // Out of descriptors. Nobody could wait for it, so it must not run.
                let _ = sys::signal_group_number(pid, Some(Signal::KILL));
                Err(Failure {
                    step: Step::Clone,
                    source: error.into(),
                })
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
        Ok(Watched { child: self, ready })
    }

    fn try_wait(&mut self) -> Option<Exit> {
        // Under the lock, as the number is free for another process once this one is reaped.
        let mut owned = owned();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let exit = match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            Ok(None) | Err(rustix::io::Errno::INTR) => return None,
            Ok(Some(status)) => Exit::new(&status),
            Err(error) => {
                tracing::error!(pid = %self.pid, %error, "exit code of a child is lost");
                Exit::Code(255)
            }
        };
        if let Some(owned) = owned.as_mut() {
            owned.remove(&self.pid);
        }
        self.reaped = true;
        Some(exit)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped
            && let Some(owned) = owned().as_mut()
        {
            owned.remove(&self.pid);
        }
    }
}

/// A child whose end can be awaited.
#[derive(Debug)]
pub(crate) struct Watched {
    child: Child,
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
            let ready = self.ready.readable().await;
            if let Some(exit) = self.child.try_wait() {
                return exit;
            }
            if let Ok(mut ready) = ready {
                ready.clear_ready();
            }
        }
    }
}

/// Runs `act` if the child with this number is not reaped yet, so that the number is its own.
pub(crate) fn if_unreaped<T>(pid: Pid, act: impl FnOnce() -> T) -> Option<T> {
    let owned = owned();
    owned
        .as_ref()
        .is_some_and(|owned| owned.contains(&pid))
        .then(act)
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
    /// There are zombies that others wait for, or that could not be looked at just now.
    Again,
}

/// Reaps all orphans that have ended. Blocks for the time of some system calls each.
pub(crate) fn sweep() -> io::Result<Swept> {
    loop {
        match reap_first()? {
            First::None => return Ok(Swept::Clean),
            First::Reaped => {}
            First::Busy => return Ok(Swept::Again),
            // The kernel shows the same zombie again until its owner has reaped it.
            First::NotOurs => break,
        }
    }
    let me = getpid();
    for stat in procfs::all()? {
        if stat.ppid == me.as_raw_nonzero().get() && stat.is_zombie() && !reap(stat.pid) {
            break;
        }
    }
    Ok(Swept::Again)
}

enum First {
    None,
    Reaped,
    NotOurs,
    Busy,
}

fn reap_first() -> io::Result<First> {
    // Not waited for: a start may take long (a program on a slow file system), and other starts
    // would queue behind this.
    let Ok(_starting) = STARTING.try_write() else {
        return Ok(First::Busy);
    };
    let owned = owned();
    let Some(pid) = sys::peek_zombie()? else {
        return Ok(First::None);
    };
    if is_owned(&owned, pid) || !is_orphan(pid) {
        return Ok(First::NotOurs);
    }
    wait_for(pid);
    Ok(First::Reaped)
}

/// Reaps a zombie if it is an orphan. False when it could not be told just now.
fn reap(pid: Pid) -> bool {
    let Ok(_starting) = STARTING.try_write() else {
        return false;
    };
    let owned = owned();
    if !is_owned(&owned, pid) && is_orphan(pid) {
        wait_for(pid);
    }
    true
}

fn is_owned(owned: &MutexGuard<'_, Option<HashSet<Pid>>>, pid: Pid) -> bool {
    owned.as_ref().is_some_and(|owned| owned.contains(&pid))
}

fn is_orphan(zombie: Pid) -> bool {
    let Ok(own_session) = getsid(None) else {
        return false;
    };
    procfs::stat(zombie)
        .is_some_and(|stat| stat.is_zombie() && stat.session != own_session.as_raw_nonzero().get())
}

fn wait_for(zombie: Pid) {
    // It is a zombie and a child of this process; the answer can only be its status.
    let _ = waitid(
        WaitId::Pid(zombie),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
}
