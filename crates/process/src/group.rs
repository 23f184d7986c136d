//! Signals to a process group and to its session.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::time::{Instant, sleep, sleep_until};

use crate::Signal;
use crate::children::if_unreaped;
use crate::procfs::{self, Stat};
use crate::sys::{self, SharedFd};
use crate::{pool, spare};

/// Between two looks at what is left of a group that was asked to end.
const LOOK_FIRST: Duration = Duration::from_millis(5);
/// The looks get rarer up to this.
const LOOK_LAST: Duration = Duration::from_millis(100);
/// Rounds of KILL, for what was forked while the list of processes was read.
const KILL_ROUNDS: usize = 20;

/// The process group that a started process leads, also after its end.
#[derive(Debug, Clone)]
pub struct Group {
    leader: Pid,
    pidfd: SharedFd,
}

impl Group {
    pub(crate) const fn new(leader: Pid, pidfd: SharedFd) -> Self {
        Self { leader, pidfd }
    }

    /// The number of the process that leads it, or led it.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// Asks every process of the group to end. What is left of it and of its session after the
    /// grace is killed. Returns when nothing is left.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it kills nothing that was only asked so far.
    pub async fn terminate(&self, grace: Duration) {
        if self.holds_session() {
            let groups = vec![self.clone()];
            ask(&groups);
            finish(groups, grace).await;
        }
    }

    /// The process that leads it, or led it.
    pub(crate) const fn leader(&self) -> Pid {
        self.leader
    }

    /// Signals every process of the group. ESRCH when there is none.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.send(Some(signal))
    }

    /// Whether any process is in the group, zombies included.
    fn is_populated(&self) -> bool {
        !matches!(self.send(None), Err(error) if error.raw_os_error() == Some(libc::ESRCH))
    }

    fn send(&self, signal: Option<Signal>) -> io::Result<()> {
        let sent = self.send_to_group(signal);
        if !matches!(&sent, Err(error) if error.raw_os_error() == Some(libc::ESRCH)) {
            return sent;
        }
        // An unreaped leader is in its group, but for the moment before it has made one. It is
        // alone then.
        sys::signal_process(self.pidfd.as_fd(), signal)
    }

    fn send_to_group(&self, signal: Option<Signal>) -> io::Result<()> {
        match sys::signal_group(self.pidfd.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            result => return result,
        }
        // A kernel before 6.9. By number it is safe while the leader is not reaped. Later, the
        // number stays taken as long as the group has members; a process with that number
        // means that there are none, and that it belongs to somebody else.
        let by_number = || sys::signal_group_number(self.leader, signal);
        if_unreaped(self.leader, by_number).unwrap_or_else(|| {
            if procfs::stat(self.leader).is_some() {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            by_number()
        })
    }

    /// Whether the session's number is still this session's: it is while the leader is not
    /// reaped, and while the group has members.
    pub(crate) fn holds_session(&self) -> bool {
        if_unreaped(self.leader, || ()).is_some() || self.is_populated()
    }
}

/// Processes of the sessions of these groups, but not of the groups themselves: job control and
/// timeout(1) make groups of their own.
fn other_members<'a>(groups: &'a [Group], all: &'a [Stat]) -> impl Iterator<Item = Pid> + 'a {
    all.iter()
        .filter(|stat| !stat.is_zombie() && stat.group != stat.session)
        .filter(|stat| {
            let led = |group: &Group| group.leader.as_raw_nonzero().get() == stat.session;
            groups.iter().any(led)
        })
        .map(|stat| stat.pid)
}

/// Signals one process, if it is still in the session that it was seen in.
fn signal_member(pid: Pid, groups: &[Group], signal: Signal) {
    let Ok(pidfd) = spare::with(|| Ok(pidfd_open(pid, PidfdFlags::empty())?)) else {
        return;
    };
    let Some(stat) = procfs::stat(pid) else {
        return;
    };
    if other_members(groups, &[stat]).next().is_some() {
        // It may have ended, or have become a user whom this daemon may not signal.
        let _ = sys::signal_process(pidfd.as_fd(), Some(signal));
    }
}

fn signal_sessions(groups: &[Group], signal: Signal) {
    let Ok(all) = spare::with(procfs::all) else {
        return;
    };
    for pid in other_members(groups, &all) {
        signal_member(pid, groups, signal);
    }
}

/// Asks groups to end; [`finish`] sees to it.
pub(crate) fn ask(groups: &[Group]) {
    for group in groups {
        // A member that this daemon may not signal stays; there is nobody to tell.
        let _ = group.signal(Signal::TERM);
    }
}

/// Asks the rest of the sessions of groups that were asked to end, and kills what is left of
/// them all after `grace`. Returns when nothing is left, or when it has been killed.
///
/// The groups must have held their sessions when they were asked.
pub(crate) async fn finish(groups: Vec<Group>, grace: Duration) {
    let deadline = Instant::now() + grace;
    let mut left = blocking(groups, |groups| signal_sessions(groups, Signal::TERM)).await;
    let mut wait = LOOK_FIRST;
    while !left.is_empty() && Instant::now() < deadline {
        tokio::select! {
            () = sleep(wait) => {}
            () = sleep_until(deadline) => {}
        }
        wait = (wait * 2).min(LOOK_LAST);
        left = blocking(left, retain_alive).await;
    }
    for _ in 0..KILL_ROUNDS {
        if left.is_empty() {
            return;
        }
        left = blocking(left, |groups| {
            for group in &*groups {
                let _ = group.signal(Signal::KILL);
            }
            signal_sessions(groups, Signal::KILL);
        })
        .await;
        sleep(LOOK_FIRST).await;
        left = blocking(left, retain_alive).await;
    }
}

/// Drops the groups of which nothing runs any more.
fn retain_alive(groups: &mut Vec<Group>) {
    // One list of processes serves all, and none is needed while all groups have members.
    let mut all = None;
    groups.retain(|group| {
        if group.is_populated() {
            return true;
        }
        let all = all.get_or_insert_with(|| spare::with(procfs::all).unwrap_or_default());
        let one = std::slice::from_ref(group);
        other_members(one, all).next().is_some()
    });
}

async fn blocking(
    mut groups: Vec<Group>,
    act: impl FnOnce(&mut Vec<Group>) + Send + 'static,
) -> Vec<Group> {
    let done = pool::run(move || {
        act(&mut groups);
        groups
    });
    // Only a runtime that shuts down drops the work.
    done.await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_leader_without_its_group_yet_is_signalled_itself() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let group = Group::new(pid, pidfd.into());
        assert!(group.holds_session());
        group.signal(Signal::KILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(!group.holds_session());
        let error = group.signal(Signal::KILL).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
