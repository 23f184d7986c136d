//! What supervisord knows about its programs and itself.

use std::{fmt, path::PathBuf};

use crate::{Error, xml::Value};

/// The state of supervisord itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It met a serious error.
    Fatal,
    /// It works.
    Running,
    /// It is about to restart.
    Restarting,
    /// It is about to end.
    ShuttingDown,
}

impl State {
    pub(crate) fn from_reply(reply: &Value) -> Result<Self, Error> {
        match reply.text("statename")? {
            "FATAL" => Ok(Self::Fatal),
            "RUNNING" => Ok(Self::Running),
            "RESTARTING" => Ok(Self::Restarting),
            "SHUTDOWN" => Ok(Self::ShuttingDown),
            other => Err(Error::malformed(format!("unknown state {other:?}"))),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fatal => "failing",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::ShuttingDown => "shutting down",
        })
    }
}

/// The state of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// Stopped on request, or never started.
    Stopped,
    /// Started, but not yet for as long as its `startsecs`.
    Starting,
    /// Started for longer than that.
    Running,
    /// Ended too early; it will be started again.
    Backoff,
    /// Asked to stop.
    Stopping,
    /// Ended by itself.
    Exited,
    /// Ended too early too often; it will not be started again.
    Fatal,
    /// supervisord lost track of it.
    Unknown,
}

impl ProcessState {
    fn parse(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "STOPPED" => Self::Stopped,
            "STARTING" => Self::Starting,
            "RUNNING" => Self::Running,
            "BACKOFF" => Self::Backoff,
            "STOPPING" => Self::Stopping,
            "EXITED" => Self::Exited,
            "FATAL" => Self::Fatal,
            "UNKNOWN" => Self::Unknown,
            other => return Err(Error::malformed(format!("unknown process state {other:?}"))),
        })
    }
}

/// A program, as `supervisor.getProcessInfo` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// The group that it belongs to; of the same name unless configured otherwise.
    pub group: String,
    /// Its state.
    pub state: ProcessState,
    /// The number of its process, while it has one.
    pub pid: Option<u32>,
    /// The status that it last ended with; 0 when it never did.
    pub exit_status: i64,
    /// When it was last started, in seconds since 1970; 0 when it never was.
    pub started_at: i64,
    /// When it last ended, likewise.
    pub stopped_at: i64,
    /// Where its output goes, when it goes to a file.
    pub stdout_log: Option<PathBuf>,
    /// Where its errors go, when they go to a file of their own.
    pub stderr_log: Option<PathBuf>,
    /// Why it could not be started, when it could not.
    pub spawn_error: Option<String>,
    /// What `supervisorctl status` would say, such as `pid 12, uptime 0:00:01`.
    pub description: String,
}

impl Process {
    pub(crate) fn from_reply(reply: &Value) -> Result<Self, Error> {
        let text = |name| reply.text(name).map(ToOwned::to_owned);
        let present = |name| Ok::<_, Error>(Some(text(name)?).filter(|text| !text.is_empty()));
        let pid = u32::try_from(reply.number("pid")?)
            .map_err(|_| Error::malformed("a negative process number"))?;
        Ok(Self {
            name: text("name")?,
            group: text("group")?,
            state: ProcessState::parse(reply.text("statename")?)?,
            pid: Some(pid).filter(|&pid| pid != 0),
            exit_status: reply.number("exitstatus")?,
            started_at: reply.number("start")?,
            stopped_at: reply.number("stop")?,
            stdout_log: present("stdout_logfile")?.map(PathBuf::from),
            stderr_log: present("stderr_logfile")?.map(PathBuf::from),
            spawn_error: present("spawnerr")?,
            description: text("description")?,
        })
    }
}
