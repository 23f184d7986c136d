//! Moving what was unpacked to its place, over what is there.
//!
//! A directory that is not there yet is moved as a whole. One that is there is entered on both
//! sides, without following a link.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chmodat, chownat, openat, renameat,
        statat,
    },
    io::Errno,
};

use crate::{
    Error, Result,
    error::Attempt,
    path::shorten,
    temp::{TempDir, open_dir},
    transfer::place_copy,
};

const ACTION: &str = "unpack";

/// Refuses what cannot be put in its place, before anything is.
pub(super) fn check(stage: &TempDir, dest: &Path) -> Result<()> {
    Merge { apply: false }.run(stage, dest)
}

/// Puts everything in its place.
pub(super) fn apply(stage: &TempDir, dest: &Path) -> Result<()> {
    Merge { apply: true }.run(stage, dest)
}

/// Both sides of one directory, open and by name.
struct Pair<'a> {
    from: OwnedFd,
    to: OwnedFd,
    from_path: &'a Path,
    to_path: &'a Path,
}

#[derive(Clone, Copy)]
struct Merge {
    apply: bool,
}

impl Merge {
    fn run(self, stage: &TempDir, dest: &Path) -> Result<()> {
        self.directory(&Pair {
            from: open_dir(stage.path()).attempt(ACTION, dest)?,
            to: open_dir(dest).attempt(ACTION, dest)?,
            from_path: stage.path(),
            to_path: dest,
        })
    }

    fn directory(self, pair: &Pair<'_>) -> Result<()> {
        for name in names(&pair.from).attempt(ACTION, pair.to_path)? {
            self.entry(pair, &name)?;
        }
        Ok(())
    }

    fn entry(self, pair: &Pair<'_>, name: &OsStr) -> Result<()> {
        let to_path = pair.to_path.join(name);
        let new = statat(&pair.from, name, AtFlags::SYMLINK_NOFOLLOW).attempt(ACTION, &to_path)?;
        let old = match statat(&pair.to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(old) => old,
            Err(Errno::NOENT) => return self.replace(pair, name, &new, None),
            Err(errno) => return Err(Error::os(ACTION, &to_path, errno)),
        };
        match (kind(&new), kind(&old)) {
            (FileType::Directory, FileType::Directory) => {
                let from_path = pair.from_path.join(name);
                self.directory(&Pair {
                    from: enter(&pair.from, name).attempt(ACTION, &to_path)?,
                    to: enter(&pair.to, name).attempt(ACTION, &to_path)?,
                    from_path: &from_path,
                    to_path: &to_path,
                })
            }
            (FileType::Directory, FileType::Symlink) => {
                let name = shorten(to_path.as_os_str());
                Err(Error::bad_archive(format!(
                    "it would be written through {name:?}, which is a symbolic link"
                )))
            }
            (FileType::Directory, _) => Err(Error::os(ACTION, &to_path, Errno::NOTDIR)),
            (_, FileType::Directory) => Err(Error::os(ACTION, &to_path, Errno::ISDIR)),
            _ => self.replace(pair, name, &new, Some(&old)),
        }
    }

    fn replace(self, pair: &Pair<'_>, name: &OsStr, new: &Stat, old: Option<&Stat>) -> Result<()> {
        if !self.apply {
            return Ok(());
        }
        let to_path = pair.to_path.join(name);
        if let Some(old) = old {
            keep_owner(&pair.from, name, new, old).attempt(ACTION, &to_path)?;
        }
        match renameat(&pair.from, name, &pair.to, name) {
            // Something is mounted there.
            Err(Errno::XDEV | Errno::BUSY) => {
                let from_path = pair.from_path.join(name);
                let metadata = fs::symlink_metadata(&from_path).attempt(ACTION, &to_path)?;
                place_copy(&from_path, &metadata, &to_path, ACTION)
            }
            other => other.attempt(ACTION, &to_path),
        }
    }
}

/// A file that is replaced keeps its owner, as with any other write.
fn keep_owner(dir: &OwnedFd, name: &OsStr, new: &Stat, old: &Stat) -> rustix::io::Result<()> {
    let both_files = kind(new) == FileType::RegularFile && kind(old) == FileType::RegularFile;
    if !both_files || (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
    chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    // The change of the owner took the set-id bits.
    chmodat(
        dir,
        name,
        Mode::from_raw_mode(new.st_mode & 0o7777),
        AtFlags::empty(),
    )
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn enter(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}
