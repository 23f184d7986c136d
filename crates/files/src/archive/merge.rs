//! Moving what was unpacked to its place, over what is there.
//!
//! A directory that is not there yet is moved as a whole. One that is there is entered on both
//! sides, without following a link.

use std::{
    ffi::{OsStr, OsString},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    vec,
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Stat, Uid, chmodat, chownat, renameat, statat},
    io::Errno,
};

use crate::{
    Error, Result, descent::Descent, error::Attempt, path::shorten, temp::TempDir,
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

/// Both sides of the directory at hand, and what is still to be merged in those above it.
struct Pair {
    from: Descent,
    to: Descent,
    to_path: PathBuf,
    left: Vec<vec::IntoIter<OsString>>,
}

impl Pair {
    fn enter(&mut self, name: &OsStr) -> Result<()> {
        self.to_path.push(name);
        self.from.enter(name).attempt(ACTION, &self.to_path)?;
        self.to.enter(name).attempt(ACTION, &self.to_path)?;
        self.begin()
    }

    fn begin(&mut self) -> Result<()> {
        let names = self.from.names().attempt(ACTION, &self.to_path)?;
        self.left.push(names.into_iter());
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.left.pop();
        self.from.leave().attempt(ACTION, &self.to_path)?;
        self.to.leave().attempt(ACTION, &self.to_path)?;
        self.to_path.pop();
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Merge {
    apply: bool,
}

impl Merge {
    fn run(self, stage: &TempDir, dest: &Path) -> Result<()> {
        let mut pair = Pair {
            from: Descent::open(stage.path()).attempt(ACTION, dest)?,
            to: Descent::open(dest).attempt(ACTION, dest)?,
            to_path: dest.to_owned(),
            left: Vec::new(),
        };
        pair.begin()?;
        while let Some(left) = pair.left.last_mut() {
            browserd_blocking::progress();
            match left.next() {
                None => pair.leave()?,
                Some(name) => {
                    if self.entry(&pair, &name)? {
                        pair.enter(&name)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns whether the entry is a directory on both sides, to be entered.
    fn entry(self, pair: &Pair, name: &OsStr) -> Result<bool> {
        let to_path = pair.to_path.join(name);
        let (from, to) = (pair.from.dir(), pair.to.dir());
        let new = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).attempt(ACTION, &to_path)?;
        let old = match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(old) => old,
            Err(Errno::NOENT) => return self.replace(pair, name, &new, None),
            Err(errno) => return Err(Error::os(ACTION, &to_path, errno)),
        };
        match (kind(&new), kind(&old)) {
            (FileType::Directory, FileType::Directory) => Ok(true),
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

    fn replace(self, pair: &Pair, name: &OsStr, new: &Stat, old: Option<&Stat>) -> Result<bool> {
        if !self.apply {
            return Ok(false);
        }
        let to_path = pair.to_path.join(name);
        let (from, to) = (pair.from.dir(), pair.to.dir());
        if let Some(old) = old {
            keep_owner(from, name, new, old).attempt(ACTION, &to_path)?;
        }
        match renameat(from, name, to, name) {
            // Something is mounted there.
            Err(Errno::XDEV | Errno::BUSY) => {
                place_copy(&pair.from.path_of(name), &to_path, ACTION)?;
            }
            other => other.attempt(ACTION, &to_path)?,
        }
        Ok(false)
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
