//! Beginning a watch.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{fs::statfs, io::Errno};

use super::{Place, WatchLimits, WatchOptions, inotify::Inotify, log::Log, worker::Worker};
use crate::{Error, Result, error::Attempt};

const ACTION: &str = "watch";

/// File systems that other machines or the kernel change without a word (statfs(2)).
const SILENT: [(i64, &str); 7] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9P"),
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
];

/// What a watch is on.
#[derive(Debug)]
pub(super) struct Root {
    /// The directory as the kernel knows it.
    pub(super) real: PathBuf,
    /// The directory as the caller named it.
    pub(super) shown: PathBuf,
    /// The one file in it that is meant.
    pub(super) only: Option<OsString>,
}

pub(super) fn open(
    path: &Path,
    options: WatchOptions,
    log: Arc<Log>,
    limits: WatchLimits,
    place: Place,
) -> Result<()> {
    let root = Root::find(path)?;
    let inotify = Inotify::open().map_err(|errno| watch_error(path, errno))?;
    log.set_waker(inotify.waker());
    let mut worker = Worker::new(root, options.recursive, inotify, log, limits);
    worker.learn()?;
    let thread = std::thread::Builder::new().name("watch".to_owned());
    let run = move || {
        worker.run();
        place.leave();
    };
    thread
        .spawn(run)
        .map(|_| ())
        .attempt("start a thread to watch", path)
}

impl Root {
    fn find(path: &Path) -> Result<Self> {
        let real = fs::canonicalize(path).attempt(ACTION, path)?;
        let kind = statfs(&real).attempt(ACTION, path)?.f_type;
        if let Some((_, name)) = SILENT.iter().find(|(magic, _)| *magic == kind) {
            return Err(Error::Unwatchable {
                path: path.to_owned(),
                file_system: name,
            });
        }
        let shown = path.to_owned();
        if fs::metadata(&real).attempt(ACTION, path)?.is_dir() {
            fs::read_dir(&real).attempt(ACTION, path)?;
            return Ok(Self {
                real,
                shown,
                only: None,
            });
        }
        // A file that is replaced is another one to the kernel: its directory tells of both.
        let up = |path: &Path| {
            path.parent()
                .map_or_else(|| PathBuf::from("/"), Path::to_owned)
        };
        Ok(Self {
            only: real.file_name().map(ToOwned::to_owned),
            real: up(&real),
            shown: up(&shown),
        })
    }
}

pub(super) fn watch_error(path: &Path, errno: Errno) -> Error {
    match errno {
        // No watch is left, or no instance, of which a user has 128.
        Errno::NOSPC | Errno::MFILE => Error::WatchLimit {
            path: path.to_owned(),
        },
        other => Error::os(ACTION, path, other),
    }
}
