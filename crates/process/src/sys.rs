//! The system calls for which no safe wrapper exists. All unsafe code of this crate is here.

#![expect(
    unsafe_code,
    reason = "clone, exec, waitid with a pid, group signals by pidfd"
)]

mod child;
mod raw;
mod region;
mod spawn;
mod watch;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

use crate::Signal;
pub(crate) use spawn::{Failure, Ids, Loan, Pace, Plan, Step, Words, spawn};
pub(crate) use watch::{SharedFd, watch};

/// A child of this process that has ended and is not waited for yet. It stays so.
pub(crate) fn peek_zombie() -> io::Result<Option<Pid>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    if unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) } != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: all bytes were zeroed, and the kernel filled in the fields for SIGCHLD if any.
    let pid = unsafe { info.assume_init().si_pid() };
    Ok(Pid::from_raw(pid))
}

/// Signals the process behind a pidfd.
pub(crate) fn signal_process(pidfd: BorrowedFd<'_>, signal: Option<Signal>) -> io::Result<()> {
    send_signal(pidfd, signal, 0)
}

/// Signals the process group that the process behind a pidfd leads, or led: the kernel keeps
/// the group apart from later ones with the same number. `None` only asks whether it is there.
///
/// Kernels before 6.9 answer EINVAL.
pub(crate) fn signal_group(pidfd: BorrowedFd<'_>, signal: Option<Signal>) -> io::Result<()> {
    /// `PIDFD_SIGNAL_PROCESS_GROUP` of linux/pidfd.h.
    const PROCESS_GROUP: libc::c_uint = 1 << 2;
    send_signal(pidfd, signal, PROCESS_GROUP)
}

fn send_signal(
    pidfd: BorrowedFd<'_>,
    signal: Option<Signal>,
    flags: libc::c_uint,
) -> io::Result<()> {
    let signal = signal.map_or(0, Signal::as_raw);
    // SAFETY: the call takes no memory of ours; a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Signals a process group by its number.
pub(crate) fn signal_group_number(group: Pid, signal: Option<Signal>) -> io::Result<()> {
    let signal = signal.map_or(0, Signal::as_raw);
    // SAFETY: the call takes no memory.
    let result = unsafe { libc::kill(-group.as_raw_nonzero().get(), signal) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A descriptor of its own for an open file that somebody else owns.
///
/// `raw` must be open for the length of the call.
pub(crate) fn duplicate(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the caller holds the owner of `raw`, so it is open, and the borrow ends here.
    unsafe { BorrowedFd::borrow_raw(raw) }.try_clone_to_owned()
}

/// Gives the memory that the allocator holds in reserve back to the kernel.
///
/// A start needs more than what follows it: the routes are described in full, in two notations.
pub fn trim_heap() {
    // SAFETY: the function takes no pointer, may be called at any time from any thread, and
    // moves nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}
