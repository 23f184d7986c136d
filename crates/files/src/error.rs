//! What can go wrong with files, each naming the path and what was attempted.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on files failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path cannot be used, whatever is on the disk.
    #[error("the path {path:?} {problem}")]
    InvalidPath {
        /// The path, shortened.
        path: String,
        /// What is wrong with it.
        problem: PathProblem,
    },
    /// The mode is not an octal number up to 7777.
    #[error("the mode {mode:?} is not an octal number up to 7777")]
    InvalidMode {
        /// What was given, shortened.
        mode: String,
    },
    /// No user of that name.
    #[error("there is no user {name:?}")]
    UnknownOwner {
        /// What was given.
        name: String,
    },
    /// No group of that name.
    #[error("there is no group {name:?}")]
    UnknownGroup {
        /// What was given.
        name: String,
    },
    /// A listing's cursor that no listing gave out.
    #[error("the cursor is not one of this directory's listing")]
    InvalidCursor,
    /// The operating system refused.
    #[error("cannot {action} {}: {kind}", .path.display())]
    Os {
        /// What went wrong, in the terms that callers act on.
        kind: OsKind,
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not in the state that the caller named.
    #[error("{} is not in the expected state: {what}", .path.display())]
    Precondition {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// The file's size changed while it was read.
    #[error("{} changed while it was read", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The archive breaks a rule or is damaged.
    #[error("the archive is refused: {reason}")]
    BadArchive {
        /// The entry and the rule.
        reason: String,
    },
    /// The archive is past a limit.
    #[error("the archive is too large: {reason}")]
    ArchiveTooLarge {
        /// The limit.
        reason: String,
    },
    /// As many archives as allowed are being packed or unpacked.
    #[error("{limit} archives are being packed or unpacked already")]
    TooManyArchives {
        /// The limit.
        limit: usize,
    },
    /// The body ended before the whole was sent.
    #[error("the upload was broken off")]
    BrokenOff,
    /// No watch of that id, or it ended.
    #[error("there is no watch {id}")]
    UnknownWatch {
        /// The id.
        id: String,
    },
    /// As many watches as allowed exist.
    #[error("{limit} watches exist already")]
    TooManyWatches {
        /// The limit.
        limit: usize,
    },
    /// As many readers as allowed follow the watch.
    #[error("{limit} readers follow the watch already")]
    TooManyReaders {
        /// The limit.
        limit: usize,
    },
    /// The kernel's limit of inotify watches or instances is reached, or that of directories.
    #[error("cannot watch {}: the limit of inotify watches is reached", .path.display())]
    WatchLimit {
        /// The directory that could not be watched.
        path: PathBuf,
    },
    /// A file system whose changes the kernel does not tell.
    #[error("cannot watch {}: changes on {file_system} are not told by the kernel", .path.display())]
    Unwatchable {
        /// The directory.
        path: PathBuf,
        /// The kind of file system.
        file_system: &'static str,
    },
    /// A watch could not go on.
    #[error("the watch broke: {reason}")]
    WatchBroke {
        /// Why.
        reason: String,
    },
    /// The file system does not answer, or too much waits for it.
    #[error(transparent)]
    NoAnswer(browserd_blocking::Error),
    /// The work ended without an outcome.
    #[error("the work on {} was broken off", .path.display())]
    Interrupted {
        /// The path.
        path: PathBuf,
    },
}

impl Error {
    /// What the operating system said, where it was asked.
    #[must_use]
    pub fn os_kind(&self) -> Option<OsKind> {
        match self {
            Self::Os { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    pub(crate) fn os(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        Self::Os {
            kind: OsKind::of(&source),
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn bad_archive(reason: impl Into<String>) -> Self {
        Self::BadArchive {
            reason: reason.into(),
        }
    }
}

/// Names what a failed call was for.
pub(crate) trait Attempt<T> {
    fn attempt(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Attempt<T> for std::result::Result<T, E> {
    fn attempt(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::os(action, path, source))
    }
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathProblem {
    /// It has no characters.
    Empty,
    /// It does not begin with a slash.
    Relative,
    /// One of its components is `..`.
    Parent,
    /// It has a NUL byte.
    Nul,
    /// It is longer than Linux allows (4,095 bytes).
    TooLong,
    /// One of its components is longer than Linux allows (255 bytes).
    NameTooLong,
    /// The operation cannot be done on the root directory.
    Root,
    /// The destination is the source, or inside it.
    IntoItself,
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Relative => "is not absolute",
            Self::Parent => "has a component \"..\"",
            Self::Nul => "has a NUL byte",
            Self::TooLong => "is longer than 4095 bytes",
            Self::NameTooLong => "has a component longer than 255 bytes",
            Self::Root => "is the root directory",
            Self::IntoItself => "is inside the source",
        })
    }
}

/// What the operating system said, in the terms that callers act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OsKind {
    /// `ENOENT`.
    NotFound,
    /// `EEXIST`.
    Exists,
    /// `ENOTEMPTY`.
    NotEmpty,
    /// `EISDIR`.
    IsDirectory,
    /// `ENOTDIR`.
    NotDirectory,
    /// A device, pipe or socket where a file is meant, or what acts as one.
    NotFile,
    /// `EACCES`, `EPERM`, `EROFS`.
    PermissionDenied,
    /// `ENOSPC`, `EDQUOT`.
    NoSpace,
    /// `EFBIG`.
    FileTooLarge,
    /// `EMFILE`, `ENFILE`, `ENOMEM`: the machine has no more descriptors or memory just now.
    Exhausted,
    /// `ELOOP`.
    SymlinkLoop,
    /// `ENAMETOOLONG`.
    NameTooLong,
    /// `EBUSY`, `ETXTBSY`.
    Busy,
    /// `EINVAL`: the file system does not take the name or the operation.
    Invalid,
    /// Anything else; not the caller's fault.
    Other,
}

impl OsKind {
    fn of(error: &io::Error) -> Self {
        let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else {
            return match error.kind() {
                io::ErrorKind::NotFound => Self::NotFound,
                io::ErrorKind::InvalidInput => Self::Invalid,
                _ => Self::Other,
            };
        };
        match errno {
            Errno::NOENT => Self::NotFound,
            Errno::EXIST => Self::Exists,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::ISDIR => Self::IsDirectory,
            Errno::NOTDIR => Self::NotDirectory,
            // `/proc/kmsg` and its like are regular files by their mode alone.
            Errno::NXIO | Errno::NODEV | Errno::SPIPE => Self::NotFile,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Self::PermissionDenied,
            Errno::NOSPC | Errno::DQUOT => Self::NoSpace,
            Errno::FBIG => Self::FileTooLarge,
            Errno::LOOP => Self::SymlinkLoop,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::BUSY | Errno::TXTBSY => Self::Busy,
            Errno::INVAL => Self::Invalid,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Exhausted,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for OsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file or directory",
            Self::Exists => "it exists already",
            Self::NotEmpty => "the directory is not empty",
            Self::IsDirectory => "it is a directory",
            Self::NotDirectory => "it, or a part of its path, is not a directory",
            Self::NotFile => "it is not a regular file",
            Self::PermissionDenied => "permission denied",
            Self::NoSpace => "no space is left on the device",
            Self::FileTooLarge => "the file would be too large",
            Self::Exhausted => "the machine has no more open files or memory just now",
            Self::SymlinkLoop => "too many levels of symbolic links",
            Self::NameTooLong => "the name is too long",
            Self::Busy => "it is in use",
            Self::Invalid => "the file system does not allow it",
            Self::Other => "the operating system failed",
        })
    }
}
