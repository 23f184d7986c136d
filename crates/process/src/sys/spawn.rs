//! Starting a process.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::process::Pid;

use super::child;
use super::region::Region;

/// What a new process reads until it runs its program.
#[derive(Debug)]
pub(crate) struct Words {
    /// Paths to try, in this order.
    pub(crate) candidates: Vec<CString>,
    /// The arguments, from the name of the program on.
    pub(crate) argv: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) envp: Vec<CString>,
    /// Where to go before the program starts.
    pub(crate) cwd: Option<CString>,
}

/// Everything a new process is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) words: Words,
    /// Descriptors 0, 1 and 2. No other descriptor is passed on.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Descriptor 0 becomes the controlling terminal.
    pub(crate) terminal: bool,
    /// Whom to become.
    pub(crate) ids: Option<&'a Ids>,
}

/// How long a start takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Until the program runs or cannot be run; the disk decides how long.
    Settled,
    /// Until there is a process. What it fails at later, its [`Loan`] tells. Becoming another
    /// user is settled in any case.
    Apart,
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

/// A child's own view of its start, which lives until the child has let go of it.
#[derive(Debug)]
struct Desk {
    region: Region,
    context: child::Context,
    /// What the context points to.
    _lists: [Vec<*const libc::c_char>; 3],
    _words: Words,
}

/// What a child works on that was started [apart](Pace::Apart).
#[derive(Debug)]
pub(crate) struct Loan(Option<Box<Desk>>);

// SAFETY: its pointers lead to what it owns itself.
unsafe impl Send for Loan {}

impl Loan {
    /// What the child failed at before its program ran. To be asked when it has ended.
    pub(crate) fn settle(self) -> Option<Failure> {
        let desk = self.0.as_ref()?;
        desk.region.failure().map(failure)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(desk) = self.0.take() else { return };
        if desk.region.is_lent() {
            // Only a runtime that shuts down gives up on a child that has not got that far. The
            // memory stays the child's.
            std::mem::forget(desk);
        } else if desk.region.failure().is_none() {
            desk.region.keep();
        }
    }
}

/// Starts a process.
///
/// The new process leads its own session and process group, has every signal at its default and
/// unblocked, and holds no descriptor but `stdio`; apart, it does so before its program runs. The
/// caller waits for it.
///
/// Like `posix_spawn`, the child borrows this process' memory until it runs the program
/// (`CLONE_VM`), so starting one does not get slower as the daemon grows. A child that becomes
/// another user gets a copy instead: while it is that user, that user's processes may reach it,
/// and they shall not reach the daemon's memory through it.
pub(crate) fn spawn(plan: Plan<'_>, pace: Pace) -> Result<(Pid, Option<Loan>), Failure> {
    let failed = |source| Failure {
        step: Step::Clone,
        source,
    };
    let is_copy = plan.ids.is_some();
    let is_apart = pace == Pace::Apart && !is_copy;
    let mut desk = Desk::new(plan).map_err(failed)?;
    let mut flags = libc::SIGCHLD;
    if is_apart {
        // The kernel says when the memory is free again, whatever becomes of the child.
        desk.region.lend();
        flags |= libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID;
    } else {
        flags |= libc::CLONE_VFORK | if is_copy { 0 } else { libc::CLONE_VM };
    }

    let mask = Blocked::all();
    let unused = ptr::null_mut::<libc::c_void>();
    // SAFETY: the stack and all that the context points to are the desk's, which outlives the
    // child's use of them: CLONE_VFORK holds this thread until the child has run the program or
    // ended, and a loan is kept until the kernel has cleared the cell. The child touches nothing
    // else of this process. No signal handler of this process runs in it, as all signals are
    // blocked until it has reset them.
    let pid = unsafe {
        libc::clone(
            child::run,
            desk.region.stack_top(),
            flags,
            (&raw mut desk.context).cast(),
            unused,
            unused,
            desk.region.in_use(),
        )
    };
    let clone_error = io::Error::last_os_error();
    drop(mask);

    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Err(failed(clone_error));
    };
    if is_apart {
        return Ok((pid, Some(Loan(Some(desk)))));
    }
    match desk.region.failure() {
        None => {
            if !is_copy {
                desk.region.keep();
            }
            Ok((pid, None))
        }
        Some(told) => Err(reaped(pid, told)),
    }
}

impl Desk {
    fn new(plan: Plan<'_>) -> io::Result<Box<Self>> {
        static UNUSUAL: OnceLock<u64> = OnceLock::new();

        let (region, words) = (Region::take()?, plan.words);
        let lists = [&words.candidates, &words.argv, &words.envp].map(|list| pointers(list));
        let [candidates, argv, envp] = lists.each_ref().map(Vec::as_ptr);
        let cwd = words.cwd.as_deref();
        let context = child::Context {
            candidates,
            argv,
            envp,
            cwd: cwd.map_or(ptr::null(), CStr::as_ptr),
            stdio: plan.stdio.map(|fd| fd.as_raw_fd()),
            terminal: plan.terminal,
            ids: plan.ids.map(|ids| child::RawIds {
                uid: ids.uid,
                gid: ids.gid,
                groups: ids.groups.as_ptr(),
                groups_len: ids.groups.len(),
            }),
            // Handlers are set when the daemon starts, before it takes the first request.
            unusual: *UNUSUAL.get_or_init(child::unusual_signals),
            last_fd: last_fd(),
            failure: region.cell(),
        };
        Ok(Box::new(Self {
            region,
            context,
            _lists: lists,
            _words: words,
        }))
    }
}

/// Waits for a child that has failed before its program ran; says at what.
fn reaped(pid: Pid, told: (u32, i32)) -> Failure {
    // It is ending. The sweep for orphans may have been faster; both are fine.
    let _ = rustix::process::waitid(
        rustix::process::WaitId::Pid(pid),
        rustix::process::WaitIdOptions::EXITED,
    );
    failure(told)
}

fn failure((step, errno): (u32, i32)) -> Failure {
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
