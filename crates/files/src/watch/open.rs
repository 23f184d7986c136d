//! Beginning a watch.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, TrySendError},
    },
};

use notify::{EventKind, event::ModifyKind};
use rustix::fs::statfs;

use super::{
    Place, WatchLimits, WatchOptions,
    log::Log,
    worker::{Message, Worker},
};
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
    let (sender, messages) = mpsc::sync_channel(limits.queued);
    let overflow = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&overflow);
    log.set_waker(sender.clone());
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.as_ref().is_ok_and(is_noise) {
            return;
        }
        // The thread waits for this one whenever it adds a directory: this one must not wait.
        if let Err(TrySendError::Full(_)) = sender.try_send(Message::Change(event)) {
            flag.store(true, Ordering::Release);
        }
    });
    let watcher = watcher.map_err(|error| watch_error(path, error))?;
    let mut worker = Worker::new(root, options.recursive, watcher, log, overflow);
    worker.learn()?;
    let thread = std::thread::Builder::new().name("watch".to_owned());
    let run = move || {
        worker.run(&messages, limits.idle);
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

/// Opening, closing and changed permissions are not told of.
fn is_noise(event: &notify::Event) -> bool {
    !event.need_rescan()
        && matches!(
            event.kind,
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_))
        )
}

pub(super) fn watch_error(path: &Path, error: notify::Error) -> Error {
    use notify::ErrorKind;
    let limit = || Error::WatchLimit {
        path: path.to_owned(),
    };
    match error.kind {
        ErrorKind::MaxFilesWatch => limit(),
        // No inotify instance is left, of which a user has 128.
        ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE) => limit(),
        ErrorKind::Io(error) => Error::os(ACTION, path, error),
        ErrorKind::PathNotFound => Error::os(ACTION, path, rustix::io::Errno::NOENT),
        other => Error::os(
            ACTION,
            path,
            std::io::Error::other(notify::Error::new(other)),
        ),
    }
}

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
