//! The one way in which a process is started.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat};
use rustix::process::Uid;

use crate::children::Own;
use crate::streams::{self, Ends, Streams, Theirs};
use crate::switch::{self, Switch};
use crate::sys::{self, Plan};
use crate::user::Account;
use crate::{Environment, Error, Identity, Program, spare};

/// A process that runs its program.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) own: Own,
    pub(crate) started_at: SystemTime,
    pub(crate) ends: Ends,
}

/// What a start consists of, as far as it can go wrong for a reason of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Becoming another user.
    User = 1,
    /// Entering the working directory.
    Cwd,
    /// Running the program.
    Exec,
}

/// The step that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) source: io::Error,
}

/// What a new process is told, as the system takes it.
#[derive(Debug)]
pub(crate) struct Strings {
    /// Paths to try, in this order.
    pub(crate) candidates: Vec<CString>,
    /// The arguments, from the name of the program on.
    pub(crate) argv: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) envp: Vec<CString>,
    /// Where to go before the program starts.
    pub(crate) cwd: Option<CString>,
}

/// Starts a process, and returns when it runs its program. Blocks, for as long as the disk takes
/// that the program is on.
///
/// # Errors
///
/// Nothing is left then.
pub(crate) fn launch(
    base: &Environment,
    switch: &Switch,
    program: &Program,
    streams: Streams,
) -> Result<Launched, Error> {
    program.check()?;
    if program.identity != Identity::Daemon || matches!(streams, Streams::Terminal(_)) {
        spare::room().map_err(Error::system("start a process"))?;
    }
    let account = program.identity.resolve()?;
    let environment = environment(base, program, account.as_ref(), streams);
    let strings = Strings {
        candidates: c_strings(&environment.candidates(&program.command)),
        argv: argv(program)?,
        envp: environment.to_strings()?,
        cwd: program.cwd.as_deref().map(|cwd| c_string(cwd.as_os_str())),
    };
    let opened = streams::open(streams);
    let (theirs, ends) = opened.map_err(Error::system("open the streams of a process"))?;
    let ids = account.as_ref().and_then(|account| account.ids.as_ref());
    if let (Some(ids), Some(slave)) = (ids, &ends.slave) {
        // A terminal belongs to its user, or programs cannot open it by name. Without the
        // privilege to give it away, the switch below fails as well, and says so.
        let _ = rustix::fs::fchown(slave, Some(Uid::from_raw(ids.uid)), None);
    }
    let started_at = SystemTime::now();
    let started = match ids {
        Some(ids) => switch.start(&strings, ids, theirs.stdio()),
        None => start(&strings, &theirs),
    };
    let own = started.map_err(|failure| explain(failure, program, &strings))?;
    Ok(Launched {
        own,
        started_at,
        ends,
    })
}

/// Starts a process as the daemon's own user, in the manner of execvp(3), but runs no shell for a
/// file without a header.
fn start(strings: &Strings, theirs: &Theirs) -> Result<Own, Failure> {
    let is_one = strings.candidates.len() == 1;
    let found = switch::try_each(&strings.candidates, |path| {
        // Asking costs little, beside a process that is started in vain.
        if !is_one {
            let path = in_directory(strings, path);
            accessat(CWD, &path, Access::EXEC_OK, AtFlags::EACCESS)?;
        }
        let plan = Plan {
            path,
            argv: &strings.argv,
            envp: &strings.envp,
            cwd: strings.cwd.as_deref(),
            stdio: theirs.stdio(),
            link: None,
        };
        Own::start(|| sys::spawn(&plan))
    });
    found.map_err(|source| {
        // One number is all that the system says; the directory was entered before.
        match strings.cwd.as_ref().map(enter) {
            Some(Err(error)) => Failure {
                step: Step::Cwd,
                source: error.into(),
            },
            _ => Failure {
                step: Step::Exec,
                source,
            },
        }
    })
}

/// A path as it is seen from the working directory of the program.
fn in_directory(strings: &Strings, path: &CString) -> std::path::PathBuf {
    let path = Path::new(OsStr::from_bytes(path.as_bytes()));
    match &strings.cwd {
        Some(cwd) => Path::new(OsStr::from_bytes(cwd.as_bytes())).join(path),
        None => path.to_owned(),
    }
}

/// Whether a directory can be entered. Says why not.
fn enter(directory: &CString) -> Result<(), rustix::io::Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::empty())?;
    accessat(CWD, directory, Access::EXEC_OK, AtFlags::EACCESS)
}

fn environment(
    base: &Environment,
    program: &Program,
    account: Option<&Account>,
    streams: Streams,
) -> Environment {
    let mut defaults = Vec::new();
    if let Some((name, home)) = account.and_then(|account| account.entry.as_ref()) {
        let name = OsString::from(name);
        defaults.extend([
            ("HOME", home.clone()),
            ("USER", name.clone()),
            ("LOGNAME", name),
        ]);
    }
    if let Streams::Terminal(_) = streams {
        // The daemon's own value is about the terminal that the daemon was started on.
        defaults.push(("TERM", "xterm-256color".into()));
    }
    base.over(defaults, &program.env)
}

fn argv(program: &Program) -> Result<Vec<CString>, Error> {
    let all = [&program.command].into_iter().chain(&program.args);
    all.map(|arg| CString::new(arg.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::invalid("args", "contains a NUL byte"))
}

fn c_strings(paths: &[OsString]) -> Vec<CString> {
    paths.iter().map(|path| c_string(path)).collect()
}

/// The values come from an environment block, or were checked.
fn c_string(text: &OsStr) -> CString {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| *byte == 0);
    CString::new(&bytes[..end.unwrap_or(bytes.len())]).unwrap_or_default()
}

/// Says what a failed step means to whoever asked.
fn explain(failure: Failure, program: &Program, strings: &Strings) -> Error {
    /// What the system finds wrong with a program that is there.
    const UNFIT: [i32; 9] = [
        libc::EACCES,
        libc::EPERM,
        libc::ENOEXEC,
        libc::ETXTBSY,
        libc::EISDIR,
        libc::ELOOP,
        libc::ENAMETOOLONG,
        libc::EINVAL,
        libc::ELIBBAD,
    ];
    /// What it finds wrong with a directory.
    const NO_WAY: [i32; 5] = [
        libc::ENOENT,
        libc::ENOTDIR,
        libc::EACCES,
        libc::ELOOP,
        libc::ENAMETOOLONG,
    ];
    let Failure { step, source } = failure;
    let errno = source.raw_os_error().unwrap_or(0);
    let command = program.command.clone();
    match step {
        Step::Exec if errno == libc::ENOENT || errno == libc::ENOTDIR => {
            // What exists and is "not found" names an interpreter or loader that is missing.
            let mut files = strings.candidates.iter();
            if files.any(|path| in_directory(strings, path).is_file()) {
                Error::NotExecutable { command, source }
            } else {
                Error::NotFound {
                    is_line: program.args.is_empty() && command.trim().contains(' '),
                    command,
                }
            }
        }
        Step::Exec if errno == libc::E2BIG => Error::TooLarge,
        Step::Exec if UNFIT.contains(&errno) => Error::NotExecutable { command, source },
        Step::User if errno == libc::EPERM || errno == libc::EINVAL => {
            let user = program.identity.name();
            Error::SwitchUser { user, source }
        }
        Step::Cwd if NO_WAY.contains(&errno) => {
            let path = program.cwd.clone().unwrap_or_default();
            Error::Cwd { path, source }
        }
        Step::User => Error::system("switch to another user")(source),
        Step::Cwd => Error::system("enter the working directory")(source),
        Step::Exec => Error::system("start a process")(source),
    }
}
