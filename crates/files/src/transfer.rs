//! Moving and copying, also from one file system to another.
//!
//! A copy grows in a hidden directory beside its destination and is renamed when it is whole.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode as RawMode, OFlags, Timespec, Timestamps, Uid, chmodat,
        chownat, mkdirat, mknodat, symlinkat, syncfs, utimensat,
    },
    io::Errno,
};

use crate::{
    Error, Files, FsPath, Result, blocking,
    error::{Attempt, OsKind, PathProblem},
    temp::{TempDir, is_temporary},
    write::target::{Target, make_parents},
};

const MOVE: &str = "move";
const COPY: &str = "copy";

impl Files {
    /// Moves a file or directory. An existing destination file is replaced; an existing directory
    /// is replaced by a directory if it is empty. Missing parents are made.
    ///
    /// Within a file system this is one step. Across two, the destination appears in one step
    /// and the source is deleted after.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn move_to(&self, src: &FsPath, dest: &FsPath) -> Result<()> {
        src.not_root()?;
        dest.not_root()?;
        if dest != src && dest.as_path().starts_with(src) {
            return Err(dest.problem(PathProblem::IntoItself));
        }
        let (from, to) = (src.as_path().to_owned(), dest.as_path().to_owned());
        blocking(src, move || relocate(&from, &to)).await
    }

    /// Copies a file or directory with its modes, owners and times. An existing destination file
    /// is replaced at once; an existing directory is refused. Missing parents are made.
    ///
    /// A symbolic link is followed where it is the source itself, and copied as it is where it is
    /// in a directory.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn copy(&self, src: &FsPath, dest: &FsPath) -> Result<()> {
        dest.not_root()?;
        let (from, to) = (src.clone(), dest.clone());
        blocking(src, move || duplicate(&from, &to)).await
    }
}

fn relocate(src: &Path, dest: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(src).attempt(MOVE, src)?;
    if let Some(parent) = dest.parent() {
        make_parents(parent)?;
    }
    match fs::rename(src, dest) {
        Ok(()) => Ok(()),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::XDEV | Errno::BUSY) => {
                place_copy(src, &metadata, dest, MOVE)?;
                remove(src, &metadata).attempt("delete after copying it", src)
            }
            _ => Err(blame(MOVE, src, dest, error)),
        },
    }
}

fn remove(src: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        fs::remove_dir_all(src)
    } else {
        fs::remove_file(src)
    }
}

fn duplicate(src: &FsPath, dest: &FsPath) -> Result<()> {
    let from = fs::canonicalize(src).attempt(COPY, src.as_path())?;
    let metadata = fs::metadata(&from).attempt(COPY, src.as_path())?;
    let target = Target::resolve(dest.as_path(), COPY)?;
    let parent = fs::canonicalize(&target.dir).attempt(COPY, &target.dir)?;
    let to = parent.join(&target.name);
    if to == from || metadata.is_dir() && to.starts_with(&from) {
        return Err(dest.problem(PathProblem::IntoItself));
    }
    let existing_dir = target.existing.is_some_and(|it| it.is_dir());
    match (metadata.is_dir(), existing_dir) {
        (true, true) => Err(Error::os(COPY, dest.as_path(), Errno::EXIST)),
        (false, true) => Err(Error::os(COPY, dest.as_path(), Errno::ISDIR)),
        _ => place_copy(&from, &metadata, &to, COPY),
    }
}

/// Copies beside the destination, then takes the destination's place.
pub(crate) fn place_copy(
    src: &Path,
    metadata: &Metadata,
    dest: &Path,
    action: &'static str,
) -> Result<()> {
    let parent = dest.parent().unwrap_or_else(|| Path::new("/"));
    let stage = TempDir::create(parent).attempt(action, dest)?;
    let staged = stage.path().join("content");
    copy_entry(src, metadata, &staged)
        .map_err(|(path, error)| blame(action, &path, dest, error))?;
    if metadata.is_dir() {
        syncfs(stage.fd()).attempt(action, dest)?;
    }
    match fs::rename(&staged, dest) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy && metadata.is_file() => {
            overwrite(&staged, dest).attempt(action, dest)
        }
        Err(error) => Err(Error::os(action, dest, error)),
    }
}

/// Copies into a file that cannot be replaced, because something is mounted on it.
fn overwrite(staged: &Path, dest: &Path) -> io::Result<()> {
    let mut from = File::open(staged)?;
    let mut to = OpenOptions::new().write(true).open(dest)?;
    let bytes = from.metadata()?.len();
    crate::write::room(&to, 0, bytes)?;
    io::copy(&mut from, &mut to)?;
    to.set_len(bytes)?;
    to.sync_all()
}

type CopyResult = std::result::Result<(), (PathBuf, io::Error)>;

/// Copies an entry, whatever it is, with all that is known of it.
fn copy_entry(src: &Path, metadata: &Metadata, dest: &Path) -> CopyResult {
    let at = |error: io::Error| (src.to_owned(), error);
    if metadata.is_dir() {
        mkdirat(CWD, dest, RawMode::RWXU).map_err(|errno| at(errno.into()))?;
        for entry in fs::read_dir(src).map_err(at)? {
            let entry = entry.map_err(at)?;
            if is_temporary(&entry.file_name()) {
                continue;
            }
            let inner = entry.path();
            let metadata = entry.metadata().map_err(|error| (inner.clone(), error))?;
            copy_entry(&inner, &metadata, &dest.join(entry.file_name()))?;
        }
    } else if metadata.is_file() {
        copy_file(src, dest).map_err(at)?;
    } else {
        copy_special(src, metadata, dest).map_err(at)?;
    }
    dress(metadata, dest).map_err(at)
}

fn copy_file(src: &Path, dest: &Path) -> io::Result<()> {
    let mut from = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(src)?;
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dest)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

fn copy_special(src: &Path, metadata: &Metadata, dest: &Path) -> io::Result<()> {
    if metadata.is_symlink() {
        symlinkat(fs::read_link(src)?, CWD, dest)?;
        return Ok(());
    }
    let kind = FileType::from_raw_mode(metadata.mode());
    mknodat(
        CWD,
        dest,
        kind,
        RawMode::RUSR | RawMode::WUSR,
        metadata.rdev(),
    )?;
    Ok(())
}

/// Gives a copy the owner, mode and times of what it was made from.
fn dress(metadata: &Metadata, dest: &Path) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    match chownat(CWD, dest, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
        // Without privilege the copy belongs to who made it.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    if !metadata.is_symlink() {
        chmodat(
            CWD,
            dest,
            RawMode::from_raw_mode(metadata.mode() & 0o7777),
            AtFlags::empty(),
        )?;
    }
    let times = Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    };
    utimensat(CWD, dest, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn time(tv_sec: i64, nanoseconds: i64) -> Timespec {
    Timespec {
        tv_sec,
        tv_nsec: nanoseconds,
    }
}

/// Names the side that is at fault.
fn blame(action: &'static str, src: &Path, dest: &Path, error: io::Error) -> Error {
    let error = Error::os(action, src, error);
    match error {
        Error::Os {
            kind,
            action,
            source,
            ..
        } if matches!(
            kind,
            OsKind::Exists
                | OsKind::NotEmpty
                | OsKind::IsDirectory
                | OsKind::NotDirectory
                | OsKind::NoSpace
                | OsKind::NameTooLong
        ) =>
        {
            Error::Os {
                kind,
                action,
                path: dest.to_owned(),
                source,
            }
        }
        other => other,
    }
}
