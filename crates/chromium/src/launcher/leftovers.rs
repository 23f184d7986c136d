//! Ends what the last run left behind: a launcher or a supervisor that was killed leaves a
//! browser that holds the profile and the port.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    Error,
    process::{self, CommandLine},
};

/// How long a browser may take to write its state and end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// A process that runs on the profile. The descriptor stays with it even when its number is
/// given to another.
struct Leftover {
    pid: i32,
    descriptor: OwnedFd,
    is_child: bool,
}

/// Ends every process that was started with `--user-data-dir=` of this profile, and no other.
///
/// The browser itself gets TERM first, so that it writes its state and takes its children down;
/// what is then left is killed.
pub(super) fn end(data_dir: &Path) -> Result<(), Error> {
    let found = find(data_dir).map_err(Error::Leftovers)?;
    if found.is_empty() {
        return Ok(());
    }
    let pids: Vec<i32> = found.iter().map(|one| one.pid).collect();
    tracing::warn!(?pids, "ending what is left of the last run");
    let browsers: Vec<&Leftover> = found.iter().filter(|one| !one.is_child).collect();
    signal(&browsers, Signal::TERM)?;
    wait(&browsers, GRACE).map_err(Error::Leftovers)?;

    // The browser may have started children while it was ending.
    let found = find(data_dir).map_err(Error::Leftovers)?;
    let all: Vec<&Leftover> = found.iter().collect();
    signal(&all, Signal::KILL)?;
    let alive = wait(&all, KILL_PATIENCE).map_err(Error::Leftovers)?;
    if alive.is_empty() {
        Ok(())
    } else {
        Err(Error::LeftoversStay(alive))
    }
}

fn find(data_dir: &Path) -> io::Result<Vec<Leftover>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let is_ours = |pid| CommandLine::of(pid).is_some_and(|line| line.is_for(data_dir));
    let mut found = Vec::new();
    for pid in process::all()?.filter(|&pid| pid != own && is_ours(pid)) {
        let Some(number) = Pid::from_raw(pid) else {
            continue;
        };
        let descriptor = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::SRCH) => continue,
            Err(error) => return Err(error.into()),
        };
        // Asked again, now that the number cannot be another's any more.
        if let Some(line) = CommandLine::of(pid).filter(|line| line.is_for(data_dir)) {
            found.push(Leftover {
                pid,
                descriptor,
                is_child: line.is_child(),
            });
        }
    }
    Ok(found)
}

fn signal(processes: &[&Leftover], signal: Signal) -> Result<(), Error> {
    for process in processes {
        match pidfd_send_signal(&process.descriptor, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(Error::Leftovers(error.into())),
        }
    }
    Ok(())
}

/// Waits until all have ended; returns those that have not.
fn wait(processes: &[&Leftover], patience: Duration) -> io::Result<Vec<i32>> {
    let deadline = Instant::now() + patience;
    let mut alive = processes.to_vec();
    while !alive.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut waited: Vec<PollFd<'_>> = alive
            .iter()
            .map(|one| PollFd::new(&one.descriptor, PollFlags::IN))
            .collect();
        match poll(&mut waited, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended: Vec<bool> = waited.iter().map(|one| !one.revents().is_empty()).collect();
        let mut ended = ended.into_iter();
        alive.retain(|_| !ended.next().unwrap_or(false));
    }
    Ok(alive.iter().map(|one| one.pid).collect())
}
