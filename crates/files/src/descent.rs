//! Going down a tree and up again, however deep it is.
//!
//! A tree's depth comes from outside: neither the stack nor the number of open files may grow with
//! it, and its paths may be longer than any system call takes. So only the directory at hand is
//! open, with the one at the top, and everything is done relative to it.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use browserd_blocking::progress;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat, unlinkat},
    io::{Errno, Result},
};

use crate::temp::{is_temporary, open_dir};

/// A place in a tree.
#[derive(Debug)]
pub(crate) struct Descent {
    top: OwnedFd,
    /// The directory at hand, where it is not the top.
    here: Option<OwnedFd>,
    /// The way from the top: what each directory is called, and what the one above it was.
    way: Vec<(OsString, Identity)>,
}

/// A directory by device and inode.
type Identity = (u64, u64);

impl Descent {
    /// Begins at a directory. A symbolic link to one is followed.
    pub(crate) fn open(top: &Path) -> Result<Self> {
        Ok(Self {
            top: open_dir(top)?,
            here: None,
            way: Vec::new(),
        })
    }

    /// The directory at hand.
    pub(crate) fn dir(&self) -> &OwnedFd {
        self.here.as_ref().unwrap_or(&self.top)
    }

    /// The names of the directories between the top and the one at hand.
    pub(crate) fn way(&self) -> impl DoubleEndedIterator<Item = &OsStr> {
        self.way.iter().map(|(name, _)| name.as_os_str())
    }

    /// A short path of an entry of the directory at hand, for calls that take no descriptor. It
    /// is good until the next step.
    pub(crate) fn path_of(&self, name: &OsStr) -> PathBuf {
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", self.dir().as_raw_fd()));
        path.push(name);
        path
    }

    /// The names in the directory at hand, in order, without the temporary ones of this crate.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        progress();
        let mut names = Vec::new();
        for entry in Dir::read_from(self.dir())? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." && !is_temporary(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Goes into a directory of the one at hand. A symbolic link is refused.
    pub(crate) fn enter(&mut self, name: &OsStr) -> Result<()> {
        let above = identity(self.dir())?;
        self.here = Some(open_inner(self.dir(), name)?);
        self.way.push((name.to_owned(), above));
        Ok(())
    }

    /// Goes back to the directory above; at the top nothing happens. When the directory at hand
    /// was moved meanwhile, the one above is looked for from the top.
    ///
    /// After an error the one above is gone: nothing of it can be looked at any more, and leaving
    /// again leads on.
    pub(crate) fn leave(&mut self) -> Result<()> {
        let Some((_, above)) = self.way.pop() else {
            return Ok(());
        };
        if self.way.is_empty() {
            self.here = None;
            return Ok(());
        }
        let outer = open_inner(self.dir(), OsStr::new(".."));
        let outer = match outer {
            Ok(outer) if identity(&outer)? == above => outer,
            _ => self.reopened(above)?,
        };
        self.here = Some(outer);
        Ok(())
    }

    fn reopened(&self, wanted: Identity) -> Result<OwnedFd> {
        let mut dir: Option<OwnedFd> = None;
        for (name, _) in &self.way {
            dir = Some(open_inner(dir.as_ref().unwrap_or(&self.top), name)?);
        }
        dir.filter(|dir| identity(dir) == Ok(wanted))
            .ok_or(Errno::NOENT)
    }
}

fn open_inner(dir: &OwnedFd, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn identity(dir: &OwnedFd) -> Result<Identity> {
    let stat = fstat(dir)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Removes a directory with all that is in it. Symbolic links are not followed, also not `top`.
pub(crate) fn remove_tree(top: &Path) -> Result<()> {
    if fs::symlink_metadata(top).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(Errno::NOTDIR);
    }
    let mut descent = Descent::open(top)?;
    let mut way = Vec::new();
    loop {
        progress();
        if let Some(name) = remove_files(descent.dir())? {
            descent.enter(&name)?;
            way.push(name);
        } else if let Some(name) = way.pop() {
            descent.leave()?;
            gone(unlinkat(descent.dir(), &name, AtFlags::REMOVEDIR))?;
        } else {
            return unlinkat(rustix::fs::CWD, top, AtFlags::REMOVEDIR);
        }
    }
}

/// Removes what is no directory, until it meets one, whose name it returns.
fn remove_files(dir: &OwnedFd) -> Result<Option<OsString>> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if is_dir(dir, name, entry.file_type())? {
            return Ok(Some(name.to_owned()));
        }
        gone(unlinkat(dir, name, AtFlags::empty()))?;
        progress();
    }
    Ok(None)
}

fn is_dir(dir: &OwnedFd, name: &OsStr, told: FileType) -> Result<bool> {
    if told != FileType::Unknown {
        return Ok(told == FileType::Directory);
    }
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// What somebody else removed first is removed too.
fn gone(removed: Result<()>) -> Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::mkdirat;

    use super::*;

    /// Deeper than the limits of open files and of paths.
    const DEPTH: usize = 5000;

    /// A chain of directories with a file at its end, and the descent that is there.
    fn deep(top: &Path) -> Descent {
        let mut descent = Descent::open(top).unwrap();
        for _ in 0..DEPTH {
            mkdirat(descent.dir(), "d", Mode::RWXU).unwrap();
            descent.enter(OsStr::new("d")).unwrap();
        }
        fs::write(descent.path_of(OsStr::new("file")), "end").unwrap();
        descent
    }

    #[test]
    fn a_tree_of_any_depth_is_left_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut descent = deep(&top);
        assert_eq!(descent.names().unwrap(), ["file"]);
        for _ in 0..DEPTH {
            descent.leave().unwrap();
            assert_eq!(descent.names().unwrap(), ["d"]);
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn one_who_was_moved_with_its_directory_finds_the_way_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("one/two/three")).unwrap();
        let mut descent = Descent::open(dir.path()).unwrap();
        for name in ["one", "two", "three"] {
            descent.enter(OsStr::new(name)).unwrap();
        }
        fs::rename(dir.path().join("one/two/three"), dir.path().join("moved")).unwrap();
        descent.leave().unwrap();
        assert_eq!(descent.names().unwrap(), Vec::<OsString>::new());
        descent.enter(OsStr::new("three")).unwrap_err();
        fs::rename(dir.path().join("one/two"), dir.path().join("moved/two")).unwrap();
        fs::remove_dir(dir.path().join("one")).unwrap();
        // The way to it is gone; the top is still there.
        let _ = descent.leave();
        descent.leave().unwrap();
        assert_eq!(descent.names().unwrap(), ["moved"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/file"), "").unwrap();
        fs::create_dir(dir.path().join("top")).unwrap();
        std::os::unix::fs::symlink("../kept", dir.path().join("top/link")).unwrap();
        std::os::unix::fs::symlink("kept", dir.path().join("alias")).unwrap();
        remove_tree(&dir.path().join("alias")).unwrap_err();
        remove_tree(&dir.path().join("top")).unwrap();
        assert!(dir.path().join("kept/file").exists());
    }
}
