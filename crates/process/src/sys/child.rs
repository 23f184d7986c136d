//! What a new process does between clone and exec.
//!
//! It may share the memory of the daemon, whose threads all run on: so it only makes system calls,
//! allocates nothing, takes no lock, and writes only to its own stack and to the failure cell. The
//! wrappers of libc are out of the question: they write `errno` of the thread that made this
//! process, and those for changing users would change every thread of the daemon.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{c_char, c_int, c_void};

use super::raw::call;
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
    /// The signals that are not at their default, signal 1 in the lowest bit.
    pub(super) unusual: u64,
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
    let Err((step, errno)) = unsafe { start(context) };
    // SAFETY: the cell lives in memory shared with the parent.
    unsafe { &*context.failure }.store(region::pack(step as u32, errno), Ordering::Release);
    loop {
        // SAFETY: ends this process without running anything of the parent's.
        let _ = unsafe { call(libc::SYS_exit_group, [127, 0, 0, 0, 0]) };
    }
}

/// Returns only with what went wrong.
unsafe fn start(context: &Context) -> Result<Infallible, (Step, c_int)> {
    let failed = |step| move |errno| (step, errno);
    // SAFETY: system calls on this process' own state, with the pointers of a valid context.
    unsafe {
        call(libc::SYS_setsid, [0; 5]).map_err(failed(Step::Session))?;
        // The standard library keeps 0, 1 and 2 open, so the sources are above them.
        for (to, from) in context.stdio.iter().enumerate() {
            call(libc::SYS_dup3, [number(*from), to, 0, 0, 0]).map_err(failed(Step::Stdio))?;
        }
        close_from_3(context.last_fd);
        if context.terminal {
            let request = usize::try_from(libc::TIOCSCTTY).unwrap_or_default();
            call(libc::SYS_ioctl, [0, request, 0, 0, 0]).map_err(failed(Step::Terminal))?;
        }
        if let Some(ids) = &context.ids {
            become_user(ids).map_err(failed(Step::User))?;
        }
        if !context.cwd.is_null() {
            let cwd = context.cwd.expose_provenance();
            call(libc::SYS_chdir, [cwd, 0, 0, 0, 0]).map_err(failed(Step::Cwd))?;
        }
        reset_signals(context.unusual);
        Err((Step::Exec, exec(context)))
    }
}

/// A descriptor or a user as an argument.
const fn number(value: c_int) -> usize {
    value.cast_unsigned() as usize
}

unsafe fn become_user(ids: &RawIds) -> Result<(), c_int> {
    let (uid, gid) = (ids.uid as usize, ids.gid as usize);
    let groups = ids.groups.expose_provenance();
    // SAFETY: the groups are those of a valid context.
    unsafe {
        call(libc::SYS_setgroups, [ids.groups_len, groups, 0, 0, 0])?;
        call(libc::SYS_setresgid, [gid, gid, gid, 0, 0])?;
        call(libc::SYS_setresuid, [uid, uid, uid, 0, 0])?;
    }
    Ok(())
}

/// Closing early, not on exec: a file that another thread writes is "busy" as a program for as
/// long as any process has it open for writing.
unsafe fn close_from_3(last_fd: c_int) {
    // SAFETY: this process' descriptors are a copy of the parent's.
    unsafe {
        if call(libc::SYS_close_range, [3, u32::MAX as usize, 0, 0, 0]).is_ok() {
            return;
        }
        let mut fd = 3;
        while fd < last_fd {
            let _ = call(libc::SYS_close, [number(fd), 0, 0, 0, 0]);
            fd += 1;
        }
    }
}

/// Bytes of the kernel's `sigset_t`.
const SET: usize = 8;

/// Every signal at its default first, or a handler of the parent's would run in its memory;
/// then unblocked. Ignored signals (the runtime ignores SIGPIPE) would be inherited.
unsafe fn reset_signals(unusual: u64) {
    // The kernel's `struct sigaction` with everything zero: the default, no flags, no mask. The
    // C library's function would leave its own two signals as they are.
    let default = [0_u64; 4];
    let default = (&raw const default).expose_provenance();
    let mut left = unusual;
    while left != 0 {
        let signal = left.trailing_zeros() as usize + 1;
        left &= left - 1;
        // SAFETY: the action is valid; the numbers that cannot be set are refused.
        let _ = unsafe { call(libc::SYS_rt_sigaction, [signal, default, 0, SET, 0]) };
    }
    let none = 0_u64;
    let none = (&raw const none).expose_provenance();
    let how = number(libc::SIG_SETMASK);
    // SAFETY: the mask is valid.
    let _ = unsafe { call(libc::SYS_rt_sigprocmask, [how, none, 0, SET, 0]) };
}

/// The signals of this process that are not at their default, signal 1 in the lowest bit.
pub(super) fn unusual_signals() -> u64 {
    // The C library sets its own two when it first needs them.
    let mut unusual = 0b11 << 31;
    for signal in 1..=64 {
        let mut action = [0_u64; 4];
        let place = (&raw mut action).expose_provenance();
        // SAFETY: only asks; the place is large enough for the kernel's `struct sigaction`.
        let asked = unsafe { call(libc::SYS_rt_sigaction, [signal, 0, place, SET, 0]) };
        if asked.is_ok() && action[0] != 0 {
            unusual |= 1 << (signal - 1);
        }
    }
    unusual
}

/// Tries the candidates in the manner of execvp(3), but runs no shell for a file without a
/// header. Returns the error number that says most.
unsafe fn exec(context: &Context) -> c_int {
    let (argv, envp) = (
        context.argv.expose_provenance(),
        context.envp.expose_provenance(),
    );
    let mut candidate = context.candidates;
    let mut denied = 0;
    loop {
        // SAFETY: the list ends with a null pointer, before which this loop ends.
        let tried = unsafe {
            let path = *candidate;
            if path.is_null() {
                break;
            }
            candidate = candidate.add(1);
            call(
                libc::SYS_execve,
                [path.expose_provenance(), argv, envp, 0, 0],
            )
        };
        match tried.err().unwrap_or_default() {
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            libc::EACCES => denied = libc::EACCES,
            errno => return errno,
        }
    }
    if denied == 0 { libc::ENOENT } else { denied }
}
