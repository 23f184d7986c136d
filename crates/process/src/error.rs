//! What a process operation is refused for.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;

/// Why a command was not run, or a process not reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the request cannot be used.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field of the request.
        field: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// No directory of the child's PATH has it, or the path does not exist.
    #[error("command {command:?} was not found{}", hint(*is_line))]
    NotFound {
        /// As it was asked for.
        command: String,
        /// It looks like a whole command line, and there were no `args`.
        is_line: bool,
    },
    /// It is there, and the system refused to run it.
    #[error("command {command:?} is not executable")]
    NotExecutable {
        /// As it was asked for.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Arguments and environment together are more than the system passes on.
    #[error("args and env are larger than the system passes to a program")]
    TooLarge,
    /// The working directory cannot be entered.
    #[error("cwd {path}: not a directory that can be entered")]
    Cwd {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such user.
    #[error("as_user: user {user:?} is unknown")]
    UnknownUser {
        /// As it was asked for.
        user: String,
    },
    /// The system does not let this daemon become that user.
    #[error("this daemon may not run commands as {user}")]
    SwitchUser {
        /// As it was asked for.
        user: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// As many processes run as may run at once.
    #[error("{limit} processes run already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// As many readers follow this process as may follow it at once.
    #[error("process {id} has {limit} streams already")]
    TooManyStreams {
        /// The process.
        id: Uuid,
        /// The limit.
        limit: usize,
    },
    /// No such process, or it ended too long ago.
    #[error("there is no process {id}")]
    Unknown {
        /// As it was asked for.
        id: Uuid,
    },
    /// Only a process with a terminal can be resized or attached to.
    #[error("process {id} has no terminal")]
    NotATerminal {
        /// The process.
        id: Uuid,
    },
    /// A terminal is attached to once at a time.
    #[error("process {id} is attached already")]
    Attached {
        /// The process.
        id: Uuid,
    },
    /// The process has ended, and so has the rest of its group.
    #[error("process {id} has exited")]
    Exited {
        /// The process.
        id: Uuid,
    },
    /// Closed by an earlier call, or by the process.
    #[error("stdin of process {id} is closed")]
    StdinClosed {
        /// The process.
        id: Uuid,
    },
    /// More callers wait for the process to read than may wait.
    #[error("{limit} writes to stdin of process {id} are waiting already")]
    StdinBusy {
        /// The process.
        id: Uuid,
        /// The limit.
        limit: usize,
    },
    /// A reader asked to go on behind the end of the output.
    #[error("offset {offset} is behind the output, which ends at {end}")]
    Ahead {
        /// What was asked for, as `<stdout>.<stderr>`.
        offset: crate::Offsets,
        /// Where the output ends.
        end: crate::Offsets,
    },
    /// The system does not let this daemon signal the process.
    #[error("signal process {id}")]
    Signal {
        /// The process.
        id: Uuid,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The daemon shuts down.
    #[error("no process is started during shutdown")]
    Stopping,
    /// The system has no more of something just now. Nothing of what was attempted is left.
    #[error("{attempt}: {resource}")]
    Exhausted {
        /// What was attempted.
        attempt: &'static str,
        /// What there is no more of.
        resource: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system failed.
    #[error("{attempt}")]
    System {
        /// What was attempted.
        attempt: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// For `map_err`.
    pub(crate) fn system<E: Into<io::Error>>(attempt: &'static str) -> impl FnOnce(E) -> Self {
        move |source| {
            let source = source.into();
            match resource(&source) {
                Some(resource) => Self::Exhausted {
                    attempt,
                    resource,
                    source,
                },
                None => Self::System { attempt, source },
            }
        }
    }
}

const fn hint(is_line: bool) -> &'static str {
    if is_line {
        ": it is the name of one program; put what comes behind it into `args`, or run a shell"
    } else {
        ""
    }
}

/// What there is no more of, if that is what the system says.
fn resource(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::EMFILE => "browserd has as many files open as it may (RLIMIT_NOFILE)",
        libc::ENFILE => "the machine has as many files open as it may (fs.file-max)",
        libc::ENOMEM => "the machine is out of memory",
        libc::EAGAIN => "the machine runs as many processes as it may (pids limit)",
        _ => return None,
    })
}
