//! What a new process does between clone and exec.
//!
//! It may share the memory of the daemon, whose other threads run on: so it only makes system
//! calls, allocates nothing, takes no lock, and writes only to its own stack, to `errno` of the
//! thread that waits for it, and to the failure cell. The wrappers of libc for changing users
//! are out of the question, as they would change every thread of the daemon.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{c_char, c_int, c_void};

use super::{Step, region};

/// Pointers to what the parent prepared.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    /// Null for the parent's own.
    pub(super) cwd: *const c_char,
    pub(super) stdio: [c_int; 3],
    pub(super) terminal: bool,
    pub(super) ids: Option<RawIds>,
    pub(super) last_fd: c_int,
    pub(super) failure: *const AtomicU64,
}

/// See [`super::Ids`].
#[derive(Debug)]
pub(super) struct RawIds {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) groups_len: usize,
}

/// The child's main function; its argument is a [`Context`].
pub(super) extern "C" fn run(context: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a valid `Context` that outlives this child.
    let context = unsafe { &*context.cast_const().cast::<Context>() };
    // SAFETY: this is the new process, whose descriptors, session, user, directory and signals
    // are its own. All pointers in the context are valid; see `spawn`.
    let (step, errno) = unsafe { start(context) };
    // SAFETY: the cell lives in memory shared with the parent.
    unsafe { &*context.failure }.store(region::pack(step as u32, errno), Ordering::Release);
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// Returns only with what went wrong.
unsafe fn start(context: &Context) -> (Step, c_int) {
    // SAFETY: system calls on this process' own state, with the pointers of a valid context.
    unsafe {
        if libc::setsid() < 0 {
            return (Step::Session, errno());
        }
        let [stdin, stdout, stderr] = context.stdio;
        // The standard library keeps 0, 1 and 2 open, so the sources are above them.
        if libc::dup2(stdin, 0) < 0 || libc::dup2(stdout, 1) < 0 || libc::dup2(stderr, 2) < 0 {
            return (Step::Stdio, errno());
        }
        close_from_3(context.last_fd);
        if context.terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
            return (Step::Terminal, errno());
        }
        if let Some(ids) = &context.ids
            && (libc::syscall(libc::SYS_setgroups, ids.groups_len, ids.groups) < 0
                || libc::syscall(libc::SYS_setresgid, ids.gid, ids.gid, ids.gid) < 0
                || libc::syscall(libc::SYS_setresuid, ids.uid, ids.uid, ids.uid) < 0)
        {
            return (Step::User, errno());
        }
        if !context.cwd.is_null() && libc::chdir(context.cwd) < 0 {
            return (Step::Cwd, errno());
        }
        reset_signals();
        (Step::Exec, exec(context))
    }
}

/// Closing early, not on exec: a file that another thread writes is "busy" as a program for as
/// long as any process has it open for writing.
unsafe fn close_from_3(last_fd: c_int) {
    // SAFETY: this process' descriptors are a copy of the parent's.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) == 0 {
            return;
        }
        let mut fd = 3;
        while fd < last_fd {
            libc::close(fd);
            fd += 1;
        }
    }
}

/// Every signal at its default first, or a handler of the parent's would run in its memory;
/// then unblocked. Ignored signals (the runtime ignores SIGPIPE) would be inherited.
unsafe fn reset_signals() {
    /// Bytes of the kernel's `sigset_t`.
    const SET: usize = 8;
    /// The kernel's `struct sigaction` with everything zero: the default, no flags, no mask. The
    /// C library's function would leave its own two signals as they are.
    const DEFAULT: [u64; 4] = [0; 4];
    // SAFETY: the action and the mask are valid; the numbers that cannot be set are refused.
    unsafe {
        let mut signal = 1;
        while signal <= 64 {
            let before = ptr::null_mut::<c_void>();
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                before,
                SET,
            );
            signal += 1;
        }
        let mut none = MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Tries the candidates in the manner of execvp(3), but runs no shell for a file without a
/// header. Returns the error number that says most.
unsafe fn exec(context: &Context) -> c_int {
    let mut candidate = context.candidates;
    let mut denied = 0;
    loop {
        // SAFETY: the list ends with a null pointer, before which this loop ends.
        let errno = unsafe {
            if (*candidate).is_null() {
                break;
            }
            libc::execve(*candidate, context.argv, context.envp);
            candidate = candidate.add(1);
            errno()
        };
        match errno {
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            libc::EACCES => denied = errno,
            _ => return errno,
        }
    }
    if denied == 0 { libc::ENOENT } else { denied }
}

unsafe fn errno() -> c_int {
    // SAFETY: the thread-local of the waiting thread (or of its copy) is always there.
    unsafe { *libc::__errno_location() }
}
