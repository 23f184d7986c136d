//! What a process reads and writes, and our ends of it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::Size;
use crate::pty::{self, Opened, Terminal};
use crate::sys::Stdio;

/// What a process reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// Nothing to read; two pipes to write.
    NoInput,
    /// A pipe to read; two pipes to write.
    Pipes,
    /// A terminal of this size.
    Terminal(Size),
}

/// The daemon's ends of a process' streams. None of them blocks.
#[derive(Debug)]
pub struct Ends {
    /// Written to by the daemon: a pipe, or the terminal.
    pub stdin: Option<OwnedFd>,
    /// Read by the daemon: a pipe, or the terminal.
    pub stdout: OwnedFd,
    /// Read by the daemon. A terminal has no such.
    pub stderr: Option<OwnedFd>,
    pub(crate) terminal: Option<Terminal>,
    /// The programs' side of the terminal, to be held while the process runs: without it, the
    /// terminal would hang up whenever no program has it open.
    pub(crate) slave: Option<OwnedFd>,
}

/// The process' ends.
#[derive(Debug)]
pub(crate) enum Theirs {
    Pipes([OwnedFd; 3]),
    /// The terminal with this name.
    Terminal(CString),
}

impl Theirs {
    pub(crate) fn stdio(&self) -> Stdio<'_> {
        match self {
            Self::Pipes(all) => Stdio::Descriptors(all.each_ref().map(AsFd::as_fd)),
            Self::Terminal(name) => Stdio::Terminal(name),
        }
    }
}

/// Opens both ends.
pub(crate) fn open(streams: Streams) -> io::Result<(Theirs, Ends)> {
    if let Streams::Terminal(size) = streams {
        let Opened {
            terminal,
            name,
            output,
            input,
            slave,
        } = pty::open(size)?;
        let name = CString::new(name.into_os_string().into_vec())?;
        let ends = Ends {
            stdin: Some(input),
            stdout: output,
            stderr: None,
            terminal: Some(terminal),
            slave: Some(slave),
        };
        return Ok((Theirs::Terminal(name), ends));
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
    let ends = Ends {
        stdin,
        stdout,
        stderr: Some(stderr),
        terminal: None,
        slave: None,
    };
    let theirs = Theirs::Pipes([their_stdin, their_stdout, their_stderr]);
    Ok((theirs, ends))
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}
