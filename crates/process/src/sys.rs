//! The system calls for which no safe wrapper exists. All unsafe code of this crate is here.

#![expect(
    unsafe_code,
    reason = "posix_spawn, waitid with a pid, group signals by pidfd, inherited descriptors"
)]

mod spawn;
mod watch;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

use crate::Signal;
pub(crate) use spawn::{Plan, Stdio, spawn};
pub(crate) use watch::{SharedFd, watch};

/// A child of this process that has ended and is not waited for yet. It stays so.
pub(crate) fn peek_zombie() -> io::Result<Option<Pid>> {
    peek(libc::P_ALL, 0)
}

/// Whether this is the number of a child that has ended and is not waited for yet.
pub(crate) fn is_zombie(pid: Pid) -> bool {
    let id = pid.as_raw_nonzero().get().unsigned_abs();
    matches!(peek(libc::P_PID, id), Ok(Some(_)))
}

fn peek(kind: libc::idtype_t, id: libc::id_t) -> io::Result<Option<Pid>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing.
    if unsafe { libc::waitid(kind, id, info.as_mut_ptr(), options) } != 0 {
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

/// The number of a process' session: 0 when that began outside this PID namespace, as it does
/// under `docker exec`. (`rustix`'s function takes 0 for no valid answer.)
pub(crate) fn session(pid: Pid) -> Option<i32> {
    // SAFETY: the call takes no memory.
    let session = unsafe { libc::getsid(pid.as_raw_nonzero().get()) };
    (session >= 0).then_some(session)
}

/// A descriptor that this program was started with, as its owner.
///
/// # Errors
///
/// When it is not open.
pub(crate) fn inherited(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks and sets a flag of the descriptor; fails when it is not open.
    if unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open. It came by the start of this program, and nothing else of it knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// What a Rust program ignores from its start on would stay ignored in the program that it
/// becomes.
pub(crate) fn default_sigpipe() {
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
