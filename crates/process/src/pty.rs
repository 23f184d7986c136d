//! Terminals: opening one, and its size.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use portable_pty::{MasterPty, PtySize, native_pty_system};
use rustix::fs::{Mode, OFlags};

use crate::{Size, sys};

/// The library opens a terminal's descriptors without close-on-exec and marks them a moment
/// later. Held for writing meanwhile, and by [`fork_guard`] for reading.
static OPENING: RwLock<()> = RwLock::new(());

/// To be held while a program is started by other means than this crate: such a child would
/// inherit a terminal that is being opened, and the terminal would never hang up.
///
/// What this crate starts needs no guard, as it closes what it inherits. Children started by
/// other means must stay in the daemon's session, or the sweep for orphans takes them for such.
#[must_use]
pub fn fork_guard() -> ForkGuard {
    ForkGuard {
        _opening: OPENING.read().unwrap_or_else(PoisonError::into_inner),
    }
}

/// See [`fork_guard`].
#[derive(Debug)]
pub struct ForkGuard {
    _opening: RwLockReadGuard<'static, ()>,
}

/// The controlling side of a terminal.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("name", &self.master.tty_name())
            .finish()
    }
}

/// A terminal that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) terminal: Terminal,
    /// Where programs open it.
    pub(crate) name: PathBuf,
    /// Reads what programs print.
    pub(crate) output: OwnedFd,
    /// Writes what the user types.
    pub(crate) input: OwnedFd,
    /// The programs' side.
    pub(crate) slave: OwnedFd,
}

/// Opens a terminal.
pub(crate) fn open(size: Size) -> io::Result<Opened> {
    let pair = {
        let _opening = OPENING.write().unwrap_or_else(PoisonError::into_inner);
        native_pty_system().openpty(pty_size(size)).map_err(other)?
    };
    let name = pair
        .master
        .tty_name()
        .ok_or_else(|| io::Error::other("the terminal has no name"))?;
    let raw = pair
        .master
        .as_raw_fd()
        .ok_or_else(|| io::Error::other("the terminal is closed"))?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(&name, flags, Mode::empty())?;
    let output = sys::duplicate(raw)?;
    // Both are the same open file, so that this serves them both.
    rustix::io::ioctl_fionbio(&output, true)?;
    let input = output.try_clone()?;
    Ok(Opened {
        terminal: Terminal {
            master: pair.master,
        },
        name,
        output,
        input,
        slave,
    })
}

impl Terminal {
    /// Tells the programs the new size (SIGWINCH).
    pub(crate) fn resize(&self, size: Size) -> io::Result<()> {
        self.master.resize(pty_size(size)).map_err(other)
    }
}

const fn pty_size(size: Size) -> PtySize {
    PtySize {
        rows: size.rows,
        cols: size.cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

/// The library's errors have no type; their text is all there is.
fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{error:#}"))
}

/// The character that stands for the end of input on this terminal.
pub(crate) fn end_of_file(terminal: &impl AsFd) -> io::Result<u8> {
    let settings = rustix::termios::tcgetattr(terminal)?;
    Ok(settings.special_codes[rustix::termios::SpecialCodeIndex::VEOF])
}

/// What a child without input reads.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}
