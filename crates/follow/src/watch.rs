//! The inotify watches of a follower: on the files that it holds, and on the directory in which
//! its path is, or will be.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::Error;

/// A path may be a chain of so many symbolic links, as in the kernel's own limit.
const MAX_LINKS: usize = 40;
/// How often the directory may change under the feet of one [`Watch::aim`].
const MAX_TRIES: usize = 64;

/// The watches. Events only wake the reader, which then looks for itself: that way nothing
/// depends on an event's order, nor on the kernel's queue being long enough.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: RecommendedWatcher,
    /// The path, and each that it leads to by symbolic links.
    targets: Arc<Mutex<Vec<PathBuf>>>,
    /// For each target, the directory that is watched for it.
    aimed: Vec<Aimed>,
}

/// A watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Aimed {
    dir: PathBuf,
    /// Device and inode: another directory may come to stand in its place.
    id: (u64, u64),
}

impl Watch {
    pub(crate) fn new(path: &Path, wake: &Arc<Notify>) -> Result<Self, Error> {
        let targets = Arc::new(Mutex::new(vec![path.to_owned()]));
        let (seen, wake) = (Arc::clone(&targets), Arc::clone(wake));
        let inotify = notify::recommended_watcher(move |event| {
            let targets = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if concerns(&event, &targets) {
                wake.notify_one();
            }
        });
        let inotify = inotify.map_err(|source| watch_error(path, source))?;
        Ok(Self {
            inotify,
            targets,
            aimed: Vec::new(),
        })
    }

    /// Watch the directory of `path`, or the nearest one above it that exists; the same for each
    /// target of its symbolic links. When this returns, a change behind it wakes.
    pub(crate) fn aim(&mut self, path: &Path) -> Result<(), Error> {
        for _ in 0..MAX_TRIES {
            let targets = links(path);
            let wanted: Vec<Aimed> = targets
                .iter()
                .filter_map(|target| nearest(target))
                .collect();
            if wanted == self.aimed {
                return Ok(());
            }
            *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
            for old in std::mem::take(&mut self.aimed) {
                // Gone with its directory, or taken by a target before.
                let _ = self.inotify.unwatch(&old.dir);
            }
            for new in wanted {
                match self.inotify.watch(&new.dir, RecursiveMode::NonRecursive) {
                    Ok(()) => self.aimed.push(new),
                    Err(error) if is_passing(&error) => {}
                    Err(error) => return Err(watch_error(&new.dir, error)),
                }
            }
            // Look again: what was made before the watch was placed gave no event.
        }
        let source = notify::Error::generic("its directories change without end");
        Err(watch_error(path, source))
    }

    /// Watch an open file, wherever it is renamed to.
    pub(crate) fn add(&mut self, file: BorrowedFd<'_>) -> Result<(), Error> {
        let path = by_descriptor(file);
        self.inotify
            .watch(&path, RecursiveMode::NonRecursive)
            .map_err(|source| watch_error(&path, source))
    }

    /// No longer watch an open file. To be called before it is closed.
    pub(crate) fn remove(&mut self, file: BorrowedFd<'_>) {
        let _ = self.inotify.unwatch(&by_descriptor(file));
    }
}

/// The kernel resolves this to the file itself, which may have lost its name.
fn by_descriptor(file: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether an event is worth a look. Other files' changes in the same directory are not.
fn concerns(event: &notify::Result<notify::Event>, targets: &[PathBuf]) -> bool {
    let Ok(event) = event else { return true };
    if matches!(event.kind, EventKind::Access(_)) {
        // Opening the file, which the follower does itself.
        return false;
    }
    event.need_rescan()
        || event.paths.iter().any(|path| {
            path.starts_with("/proc/self/fd")
                || targets
                    .iter()
                    .any(|target| target.starts_with(path) || is_sibling(path, target))
        })
}

/// Whether `path` is `target`, or is named after it in the same directory.
fn is_sibling(path: &Path, target: &Path) -> bool {
    let (Some(name), Some(base)) = (path.file_name(), target.file_name()) else {
        return false;
    };
    path.parent() == target.parent() && name.as_encoded_bytes().starts_with(base.as_encoded_bytes())
}

/// The path, then what it leads to, one link at a time.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut targets = vec![path.to_owned()];
    let mut last = path.to_owned();
    while let (Ok(to), true) = (fs::read_link(&last), targets.len() < MAX_LINKS) {
        last = last.parent().unwrap_or_else(|| Path::new("/")).join(to);
        if targets.contains(&last) {
            break;
        }
        targets.push(last.clone());
    }
    targets
}

/// The nearest directory above `target` that exists and can be read.
fn nearest(target: &Path) -> Option<Aimed> {
    target.ancestors().skip(1).find_map(|dir| {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        let metadata = fs::metadata(dir).ok().filter(fs::Metadata::is_dir)?;
        rustix::fs::access(dir, rustix::fs::Access::READ_OK).ok()?;
        Some(Aimed {
            dir: dir.to_owned(),
            id: (metadata.dev(), metadata.ino()),
        })
    })
}

/// Whether the directory just went, or just became unreadable.
fn is_passing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
        ),
        _ => false,
    }
}

fn watch_error(path: &Path, source: notify::Error) -> Error {
    Error::Watch {
        path: path.to_owned(),
        source,
    }
}
