//! Hidden files and directories in which content grows before it takes its final name.
//!
//! Each is locked (`flock`) for as long as it is in use, so that what a crashed daemon left
//! behind can be told from what is being written, also by another daemon on a shared volume.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};
use uuid::Uuid;

use crate::descent::remove_tree;

const PREFIX: &str = ".browserd-part-";
/// The digits of a UUID without hyphens.
const ID_BYTES: usize = 32;
/// What is younger is left alone: it may have been made, but not locked yet.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Whether a name is one that only this crate makes; nobody is shown those.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let id = name.as_bytes().strip_prefix(PREFIX.as_bytes());
    id.is_some_and(|id| id.len() == ID_BYTES && id.iter().all(u8::is_ascii_hexdigit))
}

fn fresh_name() -> String {
    format!("{PREFIX}{}", Uuid::new_v4().simple())
}

/// Opens a directory to work in.
pub(crate) fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

/// A hidden file, removed on drop unless it was renamed.
#[derive(Debug)]
pub(crate) struct TempFile {
    dir: OwnedFd,
    name: Option<String>,
    file: File,
}

impl TempFile {
    /// Makes one in the directory.
    pub(crate) fn create(dir: OwnedFd) -> rustix::io::Result<Self> {
        let name = fresh_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = openat(&dir, &name, flags, Mode::RUSR | Mode::WUSR)?;
        lock(&fd);
        Ok(Self {
            dir,
            name: Some(name),
            file: fd.into(),
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its final name, in the same directory. On failure it stays what it was.
    pub(crate) fn rename(&mut self, name: &OsStr) -> rustix::io::Result<()> {
        if let Some(own) = &self.name {
            renameat(&self.dir, own, &self.dir, name)?;
            self.name = None;
        }
        Ok(())
    }

    /// Takes the name away and keeps the content for as long as the file is open.
    pub(crate) fn unnamed(mut self) -> rustix::io::Result<File> {
        self.unlink()?;
        self.file.try_clone().map_err(|_| Errno::MFILE)
    }

    fn unlink(&mut self) -> rustix::io::Result<()> {
        match self.name.take() {
            Some(name) => unlinkat(&self.dir, name, AtFlags::empty()),
            None => Ok(()),
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Err(error) = self.unlink() {
            tracing::warn!(%error, "a temporary file could not be removed");
        }
    }
}

/// A hidden directory, removed with all that is in it on drop.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
    fd: OwnedFd,
}

impl TempDir {
    /// Makes one in `parent`.
    pub(crate) fn create(parent: &Path) -> rustix::io::Result<Self> {
        let path = parent.join(fresh_name());
        mkdirat(CWD, &path, Mode::RWXU)?;
        let fd = open_dir(&path).inspect_err(|_| {
            let _ = fs::remove_dir(&path);
        })?;
        lock(&fd);
        Ok(Self { path, fd })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(%error, "a temporary directory could not be removed");
        }
    }
}

/// Marks what is in use. A file system without locks leaves the age as the only mark.
fn lock(fd: impl AsFd) {
    let _ = flock(fd, FlockOperation::NonBlockingLockExclusive);
}

/// Removes what a crashed daemon left in a directory; returns how many entries.
pub(crate) fn sweep(dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_temporary(&entry.file_name()) && is_stale(&entry.path()) {
            let path = entry.path();
            let done = if entry.file_type()?.is_dir() {
                remove_tree(&path).is_ok()
            } else {
                fs::remove_file(path).is_ok()
            };
            removed += usize::from(done);
        }
    }
    Ok(removed)
}

fn is_stale(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(fd) = openat(CWD, path, flags, Mode::empty()) else {
        return false;
    };
    let file = File::from(fd);
    let age = file.metadata().and_then(|it| it.modified()).ok();
    let age = age.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age > STALE_AFTER)
        && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// The device and inode of a directory, by which it is known to have been swept.
pub(crate) fn identity(dir: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(dir).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(path: &Path) {
        let old = SystemTime::now() - Duration::from_hours(1);
        File::open(path).unwrap().set_modified(old).unwrap();
    }

    #[test]
    fn only_own_names_are_temporary() {
        assert!(is_temporary(OsStr::new(&fresh_name())));
        for name in [
            ".browserd-part-",
            ".browserd-part-notes",
            "browserd-part-0",
            ".hidden",
        ] {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_sweep_takes_what_is_old_and_not_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let used = TempFile::create(open_dir(dir.path()).unwrap()).unwrap();
        let used_path = dir.path().join(used.name.as_ref().unwrap());
        age(&used_path);
        let staging = TempDir::create(dir.path()).unwrap();
        age(staging.path());
        let stale = dir.path().join(fresh_name());
        fs::write(&stale, "left").unwrap();
        age(&stale);
        let stale_dir = dir.path().join(fresh_name());
        fs::create_dir_all(stale_dir.join("deep")).unwrap();
        age(&stale_dir);
        let young = dir.path().join(fresh_name());
        fs::write(&young, "new").unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "").unwrap();
        age(&other);

        assert_eq!(sweep(dir.path()).unwrap(), 2);
        assert!(!stale.exists() && !stale_dir.exists());
        assert!(used_path.exists() && staging.path().exists() && young.exists() && other.exists());
        drop((used, staging));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
