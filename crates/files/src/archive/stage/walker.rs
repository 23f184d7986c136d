//! Finding and making directories below one that is open.

use std::{
    ffi::OsStr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, fchmod, mkdirat, openat},
    io::Errno,
};

/// What a directory gets that only the names of other entries tell of.
const IMPLIED_MODE: u32 = 0o755;

/// Opens directories below another without following a link. The last one stays open: entries
/// come directory by directory.
#[derive(Debug)]
pub(super) struct Walker {
    root: OwnedFd,
    here: Option<(PathBuf, OwnedFd)>,
    /// How many directories were made.
    pub(super) made: usize,
}

impl Walker {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self {
            root,
            here: None,
            made: 0,
        }
    }

    /// Opens a directory, and makes it and those above it if asked to.
    pub(super) fn open(&mut self, path: &Path, make: bool) -> rustix::io::Result<&OwnedFd> {
        if path.as_os_str().is_empty() {
            return Ok(&self.root);
        }
        let (mut at, mut dir) = match self.here.take() {
            Some((at, dir)) if path.starts_with(&at) => (at, Some(dir)),
            _ => (PathBuf::new(), None),
        };
        let rest = path.strip_prefix(&at).unwrap_or(path).to_owned();
        for name in &rest {
            let outer = dir.as_ref().unwrap_or(&self.root);
            let mut is_new = false;
            if make {
                match mkdirat(outer, name, Mode::from_raw_mode(IMPLIED_MODE)) {
                    Ok(()) => is_new = true,
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inner = openat(outer, name, flags, Mode::empty())?;
            if is_new {
                self.made += 1;
                // Whatever the umask took.
                fchmod(&inner, Mode::from_raw_mode(IMPLIED_MODE))?;
            }
            at.push(name);
            dir = Some(inner);
        }
        let root = &self.root;
        self.here = dir.map(|dir| (at, dir));
        Ok(self.here.as_ref().map_or(root, |(_, dir)| dir))
    }

    /// Works in the directory of an entry, which is made if it is missing.
    pub(super) fn parent<T>(
        &mut self,
        path: &Path,
        work: impl FnOnce(&OwnedFd, &OsStr) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        let dir = self.open(path.parent().unwrap_or_else(|| Path::new("")), true)?;
        work(dir, path.file_name().ok_or(Errno::ISDIR)?)
    }
}
