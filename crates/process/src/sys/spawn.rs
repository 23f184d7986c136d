//! Starting a process, by `posix_spawn(3)`.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_char, c_int};
use rustix::process::Pid;

/// What a new process is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The file of the program.
    pub(crate) path: &'a CStr,
    /// The arguments, from the name of the program on.
    pub(crate) argv: &'a [CString],
    /// `NAME=value` each.
    pub(crate) envp: &'a [CString],
    /// Where to go before the program starts.
    pub(crate) cwd: Option<&'a CStr>,
    pub(crate) stdio: Stdio<'a>,
    /// Passed on as descriptor 3.
    pub(crate) link: Option<BorrowedFd<'a>>,
}

/// Descriptors 0, 1 and 2.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stdio<'a> {
    /// These; none of them is below 3.
    Descriptors([BorrowedFd<'a>; 3]),
    /// The terminal with this name, which becomes the controlling one.
    Terminal(&'a CStr),
}

/// Starts a process, and returns when it runs its program or could not.
///
/// It leads its own session and process group, has every signal at its default and unblocked, and
/// holds no other descriptors. They are closed before the program starts, not by it: a file that
/// another thread writes is "busy" as a program for as long as any process has it open for
/// writing. Nothing is left of one that could not run its program.
pub(crate) fn spawn(plan: &Plan<'_>) -> io::Result<Pid> {
    let actions = Actions::new(plan)?;
    let attributes = Attributes::new()?;
    let (argv, envp) = (pointers(plan.argv), pointers(plan.envp));
    let mut pid = 0;
    // SAFETY: actions and attributes are initialised, the path ends with a zero byte, and the
    // lists end with a null pointer; all outlive the call, which writes only to `pid`.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            plan.path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    check(result)?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("the new process has no number"))
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// The end of a list is a null pointer.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let strings = strings.iter().map(|string| string.as_ptr().cast_mut());
    strings.chain([ptr::null_mut()]).collect()
}

/// What the new process does with descriptors and its directory, in this order.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new(plan: &Plan<'_>) -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises what it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it is initialised.
        let mut actions = Self(unsafe { actions.assume_init() });
        match plan.stdio {
            Stdio::Descriptors(all) => {
                for (to, from) in (0..).zip(all) {
                    actions.duplicate(from.as_raw_fd(), to)?;
                }
            }
            Stdio::Terminal(name) => {
                // The new session has none: the first that its leader opens is its own.
                actions.open(name)?;
                actions.duplicate(0, 1)?;
                actions.duplicate(0, 2)?;
            }
        }
        if let Some(link) = plan.link {
            actions.duplicate(link.as_raw_fd(), 3)?;
        }
        actions.close_from(3 + c_int::from(plan.link.is_some()))?;
        if let Some(cwd) = plan.cwd {
            actions.enter(cwd)?;
        }
        Ok(actions)
    }

    fn duplicate(&mut self, from: c_int, to: c_int) -> io::Result<()> {
        // SAFETY: the actions are initialised.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }

    fn open(&mut self, name: &CStr) -> io::Result<()> {
        let (actions, flags) = (&raw mut self.0, libc::O_RDWR);
        // SAFETY: the actions are initialised, and copy the name.
        check(unsafe {
            libc::posix_spawn_file_actions_addopen(actions, 0, name.as_ptr(), flags, 0)
        })
    }

    fn close_from(&mut self, first: c_int) -> io::Result<()> {
        // SAFETY: the actions are initialised.
        check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut self.0, first) })
    }

    fn enter(&mut self, cwd: &CStr) -> io::Result<()> {
        // SAFETY: the actions are initialised, and copy the path.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, cwd.as_ptr()) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: they are initialised, and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// A session of its own, and signals as a program expects them.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises what it is given.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it is initialised.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        let flags = libc::POSIX_SPAWN_SETSID
            | i16::try_from(libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK)
                .unwrap_or_default();
        // `sigfillset` leaves out the two signals that the C library uses itself, which would
        // come out ignored. The runtime ignores SIGPIPE, which would be inherited.
        let all = set(0xff);
        let none = set(0);
        let place = &raw mut attributes.0;
        // SAFETY: the attributes are initialised, and copy the sets.
        unsafe {
            check(libc::posix_spawnattr_setflags(place, flags))?;
            check(libc::posix_spawnattr_setsigdefault(place, &raw const all))?;
            check(libc::posix_spawnattr_setsigmask(place, &raw const none))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they are initialised, and not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// A set of signals of which every byte is this.
fn set(byte: u8) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a set is an array of numbers, of which any bits are a value.
    unsafe {
        set.as_mut_ptr().write_bytes(byte, 1);
        set.assume_init()
    }
}
