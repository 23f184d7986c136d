//! The one way in which a process is started.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Uid;

use crate::children::Child;
use crate::group::Group;
use crate::output::Stream;
use crate::pty::{self, Opened, Terminal};
use crate::sys::{Failure, Loan, Pace, Plan, Step, Words};
use crate::user::Account;
use crate::{Environment, Error, Request, Signal, Size};

/// What a process reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Nothing to read; two pipes to write.
    NoInput,
    /// A pipe to read; two pipes to write.
    Pipes,
    /// A terminal of this size.
    Terminal(Size),
}

/// A process that runs. Dropped, it is killed with its group; see [`Reins::keep`].
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) reins: Reins,
    pub(crate) started_at: SystemTime,
    /// Our ends of its streams; none of them blocks.
    pub(crate) ends: Ends,
    /// Of a start that was not waited for.
    pub(crate) outset: Option<Outset>,
}

/// A start of which it is not known yet whether the program runs.
#[derive(Debug)]
pub(crate) struct Outset {
    loan: Loan,
    candidates: Vec<OsString>,
}

/// A program that could not be run after all.
#[derive(Debug)]
pub(crate) struct Unfit {
    failure: Failure,
    candidates: Vec<OsString>,
}

impl Outset {
    /// Why the program did not run. To be asked when the process has ended.
    pub(crate) fn settle(self) -> Option<Unfit> {
        let candidates = self.candidates;
        self.loan.settle().map(|failure| Unfit {
            failure,
            candidates,
        })
    }
}

impl Unfit {
    /// Says what it means to whoever asked. Blocks.
    pub(crate) fn explain(self, request: &Request) -> Error {
        explain(self.failure, request, &self.candidates)
    }
}

/// The daemon's ends of a process' streams.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) outputs: Vec<(Stream, OwnedFd)>,
    pub(crate) terminal: Option<Terminal>,
    /// The programs' side of the terminal, to be held while the process runs: without it, the
    /// terminal would hang up whenever no program has it open.
    pub(crate) slave: Option<OwnedFd>,
}

/// Kills a group when dropped.
#[derive(Debug)]
pub(crate) struct Reins {
    group: Group,
    kept: bool,
}

impl Reins {
    /// Whoever calls this sees to the group's end.
    pub(crate) fn keep(mut self) -> Group {
        self.kept = true;
        self.group.clone()
    }
}

impl Drop for Reins {
    fn drop(&mut self) {
        if !self.kept {
            // Gone already, or not ours to signal: nothing more can be done.
            let _ = self.group.signal(Signal::KILL);
        }
    }
}

/// Starts a process. Blocks for as long as the pace says, and to look up a user.
pub(crate) fn launch(
    base: &Environment,
    request: &Request,
    streams: Streams,
    pace: Pace,
) -> Result<Launched, Error> {
    request.check()?;
    let account = request.identity.resolve()?;
    let environment = environment(base, request, account.as_ref(), streams);
    let candidates = environment.candidates(&request.command);
    let words = Words {
        candidates: strings(&candidates),
        argv: argv(request)?,
        envp: environment.to_strings()?,
        cwd: request.cwd.as_deref().map(|cwd| c_string(cwd.as_os_str())),
    };

    let (theirs, ends) = open(streams).map_err(Error::system("open the streams of a process"))?;
    let ids = account.as_ref().and_then(|account| account.ids.as_ref());
    if let (Some(ids), Some(slave)) = (ids, &ends.slave) {
        // A terminal belongs to its user, or programs cannot open it by name. Without the
        // privilege to give it away, the switch below fails as well, and says so.
        let _ = rustix::fs::fchown(slave, Some(Uid::from_raw(ids.uid)), None);
    }
    let started_at = SystemTime::now();
    let plan = Plan {
        words,
        stdio: theirs.each_ref().map(AsFd::as_fd),
        terminal: matches!(streams, Streams::Terminal(_)),
        ids,
    };
    let started = Child::start(plan, pace);
    let (child, loan) = started.map_err(|failure| explain(failure, request, &candidates))?;
    let group = Group::new(child.pid(), child.pidfd().clone());
    Ok(Launched {
        child,
        reins: Reins { group, kept: false },
        started_at,
        ends,
        outset: loan.map(|loan| Outset { loan, candidates }),
    })
}

fn environment(
    base: &Environment,
    request: &Request,
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
    base.over(defaults, &request.env)
}

fn argv(request: &Request) -> Result<Vec<CString>, Error> {
    let all = [&request.command].into_iter().chain(&request.args);
    all.map(|arg| CString::new(arg.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::invalid("args", "contains a NUL byte"))
}

fn strings(paths: &[OsString]) -> Vec<CString> {
    paths.iter().map(|path| c_string(path)).collect()
}

/// The values come from an environment block, or were checked.
fn c_string(text: &OsStr) -> CString {
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    CString::new(OsString::from_vec(bytes[..end].to_vec()).into_vec()).unwrap_or_default()
}

/// Descriptors 0, 1 and 2 of the process, and our ends of them.
fn open(streams: Streams) -> io::Result<([OwnedFd; 3], Ends)> {
    if let Streams::Terminal(size) = streams {
        let Opened {
            terminal,
            output,
            input,
            slave,
        } = pty::open(size)?;
        let theirs = [slave.try_clone()?, slave.try_clone()?, slave.try_clone()?];
        let ends = Ends {
            stdin: Some(input),
            outputs: vec![(Stream::Stdout, output)],
            terminal: Some(terminal),
            slave: Some(slave),
        };
        return Ok((theirs, ends));
    }
    let (their_stdin, stdin) = if streams == Streams::Pipes {
        let (read, write) = pipe()?;
        rustix::io::ioctl_fionbio(&write, true)?;
        (read, Some(write))
    } else {
        (pty::null()?, None)
    };
    let (stdout, their_stdout) = pipe()?;
    let (stderr, their_stderr) = pipe()?;
    rustix::io::ioctl_fionbio(&stdout, true)?;
    rustix::io::ioctl_fionbio(&stderr, true)?;
    let outputs = vec![(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
    let ends = Ends {
        stdin,
        outputs,
        terminal: None,
        slave: None,
    };
    Ok(([their_stdin, their_stdout, their_stderr], ends))
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// Says what a failed step means to whoever asked.
fn explain(failure: Failure, request: &Request, candidates: &[OsString]) -> Error {
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
    let command = request.command.clone();
    match step {
        Step::Exec if errno == libc::ENOENT || errno == libc::ENOTDIR => {
            // What exists and is "not found" names an interpreter or loader that is missing.
            let exists = |path: &OsString| Path::new(path).is_absolute() && is_file(path);
            if candidates.iter().any(exists) {
                Error::NotExecutable { command, source }
            } else {
                Error::NotFound { command }
            }
        }
        Step::Exec if errno == libc::E2BIG => Error::TooLarge,
        Step::Exec if UNFIT.contains(&errno) => Error::NotExecutable { command, source },
        Step::User if errno == libc::EPERM || errno == libc::EINVAL => {
            let user = request.identity.name();
            Error::SwitchUser { user, source }
        }
        Step::Cwd if NO_WAY.contains(&errno) => {
            let path = request.cwd.clone().unwrap_or_default();
            Error::Cwd { path, source }
        }
        _ => Error::System {
            attempt: step.attempt(),
            source,
        },
    }
}

fn is_file(path: &OsString) -> bool {
    Path::new(path).is_file()
}
