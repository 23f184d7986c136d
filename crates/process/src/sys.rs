//! The system calls for which no safe wrapper exists. All unsafe code of this crate is here.

#![expect(
    unsafe_code,
    reason = "clone, exec, waitid with a pid, group signals by pidfd"
)]

mod child;
mod region;
mod watch;

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

use crate::Signal;
use region::Region;
pub(crate) use watch::{SharedFd, watch};

/// Everything a new process is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Paths to try, in this order.
    pub(crate) candidates: &'a [CString],
    /// The arguments, from the name of the program on.
    pub(crate) argv: &'a [CString],
    /// `NAME=value` each.
    pub(crate) envp: &'a [CString],
    /// Where to go before the program starts.
    pub(crate) cwd: Option<&'a CStr>,
    /// Descriptors 0, 1 and 2. No other descriptor is passed on.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Descriptor 0 becomes the controlling terminal.
    pub(crate) terminal: bool,
    /// Whom to become.
    pub(crate) ids: Option<&'a Ids>,
}

/// Numbers of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

/// What a new process does before it runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    Clone = 1,
    Session,
    Stdio,
    Terminal,
    User,
    Cwd,
    Exec,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Clone,
        Self::Session,
        Self::Stdio,
        Self::Terminal,
        Self::User,
        Self::Cwd,
        Self::Exec,
    ];

    /// For messages.
    pub(crate) const fn attempt(self) -> &'static str {
        match self {
            Self::Clone => "start a process",
            Self::Session => "make a session",
            Self::Stdio => "pass streams to a process",
            Self::Terminal => "give a process its terminal",
            Self::User => "switch to another user",
            Self::Cwd => "enter the working directory",
            Self::Exec => "run a program",
        }
    }
}

/// The step that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) source: io::Error,
}

/// Starts a process, and returns when it runs the program or has failed to.
///
/// The new process leads its own session and process group, has every signal at its default and
/// unblocked, and holds no descriptor but `stdio`. The caller waits for it.
///
/// Like `posix_spawn`, the child borrows this process' memory until it runs the program
/// (`CLONE_VM | CLONE_VFORK`), so starting one does not get slower as the daemon grows. A child
/// that becomes another user gets a copy instead: while it is that user, that user's processes
/// may reach it, and they shall not reach the daemon's memory through it.
pub(crate) fn spawn(plan: &Plan<'_>) -> Result<Pid, Failure> {
    let failed = |source| Failure {
        step: Step::Clone,
        source,
    };
    let region = Region::take().map_err(failed)?;
    let candidates = pointers(plan.candidates);
    let argv = pointers(plan.argv);
    let envp = pointers(plan.envp);
    let mut context = child::Context {
        candidates: candidates.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        cwd: plan.cwd.map_or(ptr::null(), CStr::as_ptr),
        stdio: plan.stdio.map(|fd| fd.as_raw_fd()),
        terminal: plan.terminal,
        ids: plan.ids.map(|ids| child::RawIds {
            uid: ids.uid,
            gid: ids.gid,
            groups: ids.groups.as_ptr(),
            groups_len: ids.groups.len(),
        }),
        last_fd: last_fd(),
        failure: region.cell(),
    };
    let memory = if plan.ids.is_some() {
        0
    } else {
        libc::CLONE_VM
    };
    let flags = libc::CLONE_VFORK | libc::SIGCHLD | memory;

    let mask = Blocked::all();
    // SAFETY: the stack is this region's, which outlives the child's use of it, as CLONE_VFORK
    // holds this thread until the child has run the program or ended. `context` and all it
    // points to live as long. No signal handler of this process runs in the child, as all
    // signals are blocked until it has reset them.
    let pid = unsafe {
        libc::clone(
            child::run,
            region.stack_top(),
            flags,
            (&raw mut context).cast(),
        )
    };
    let clone_error = io::Error::last_os_error();
    drop(mask);

    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Err(failed(clone_error));
    };
    match region.failure() {
        None => {
            if plan.ids.is_none() {
                region.keep();
            }
            Ok(pid)
        }
        Some(failure) => Err(reaped(pid, failure)),
    }
}

/// Waits for a child that has failed before its program ran; says at what.
fn reaped(pid: Pid, (step, errno): (u32, i32)) -> Failure {
    // It is ending. The sweep for orphans may have been faster; both are fine.
    let _ = rustix::process::waitid(
        rustix::process::WaitId::Pid(pid),
        rustix::process::WaitIdOptions::EXITED,
    );
    let step = Step::ALL.into_iter().find(|known| *known as u32 == step);
    Failure {
        step: step.unwrap_or(Step::Clone),
        source: io::Error::from_raw_os_error(errno),
    }
}

/// The end of a list is a null pointer.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// The highest descriptor that can be open, for kernels without `close_range`.
fn last_fd() -> libc::c_int {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    libc::c_int::try_from(limit.unwrap_or(u64::MAX).min(65_536)).unwrap_or(65_536)
}

/// All signals are held back from this thread as long as this lives.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn all() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are valid for writing, and the calls fill them; with these
        // arguments they cannot fail.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            Self {
                before: before.assume_init(),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `before` was filled by the kernel.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}

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
