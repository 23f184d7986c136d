//! Moving and copying, also from one file system to another.
//!
//! A copy grows in a hidden directory beside its destination and is renamed when it is whole.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    vec,
};

use browserd_blocking::progress;
use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode as RawMode, OFlags, SeekFrom, Timespec, Timestamps, Uid,
        chmodat, chownat, linkat, mkdirat, mknodat, seek, symlinkat, syncfs, utimensat,
    },
    io::Errno,
};

use crate::{
    Error, Files, FsPath, Result,
    descent::{Descent, remove_tree},
    error::{Attempt, OsKind, PathProblem},
    temp::TempDir,
    write::target::{Target, make_parents},
};

const MOVE: &str = "move";
const COPY: &str = "copy";
/// So much is copied between two signs of progress.
const COPY_BYTES: u64 = 16 * 1024 * 1024;
/// What `st_blocks` counts in.
const BLOCK_BYTES: u64 = 512;

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
        let work = move || relocate(&from, &to);
        let pool = &self.shared.pools.trees;
        let done = pool.run_between(src.parent(), dest.parent(), work).await;
        done.map_err(Error::NoAnswer)?
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
        let work = move || duplicate(&from, &to);
        let pool = &self.shared.pools.trees;
        let done = pool.run_between(src.as_path(), dest.as_path(), work).await;
        done.map_err(Error::NoAnswer)?
    }
}

fn relocate(src: &Path, dest: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(src).attempt(MOVE, src)?;
    if let Some(parent) = dest.parent() {
        make_parents(parent)?;
    }
    match fs::rename(src, dest) {
        Ok(()) if is_left(src, &metadata, dest) => fs::remove_file(src).attempt(MOVE, src),
        Ok(()) => Ok(()),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::XDEV | Errno::BUSY) => {
                place_copy(src, dest, MOVE)?;
                remove(src, &metadata).attempt("delete after copying it", src)
            }
            _ => Err(blame(MOVE, src, dest, error)),
        },
    }
}

/// Whether a file that was renamed is still there under its old name too: rename(2) does nothing
/// between two names of one file.
fn is_left(src: &Path, metadata: &Metadata, dest: &Path) -> bool {
    let is_same = |path: &Path| {
        fs::symlink_metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()))
    };
    // Spelled in two ways, it may be one name only.
    let place = |path: &Path| {
        Some(
            fs::canonicalize(path.parent()?)
                .ok()?
                .join(path.file_name()?),
        )
    };
    !metadata.is_dir()
        && metadata.nlink() > 1
        && is_same(src)
        && is_same(dest)
        && place(src).is_some_and(|place_of_src| Some(place_of_src) != place(dest))
}

fn remove(src: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        Ok(remove_tree(src)?)
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
        _ => place_copy(&from, &to, COPY),
    }
}

/// Copies beside the destination, then takes the destination's place.
pub(crate) fn place_copy(src: &Path, dest: &Path, action: &'static str) -> Result<()> {
    let metadata = fs::symlink_metadata(src).attempt(action, src)?;
    let (is_dir, is_file) = (metadata.is_dir(), metadata.is_file());
    let parent = dest.parent().unwrap_or_else(|| Path::new("/"));
    let stage = TempDir::create(parent).attempt(action, dest)?;
    let staged = stage.path().join("content");
    copy_entry(src, metadata, &staged)
        .map_err(|(path, error)| blame(action, &path, dest, error))?;
    if is_dir {
        syncfs(stage.fd()).attempt(action, dest)?;
    }
    match fs::rename(&staged, dest) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy && is_file => {
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

type CopyResult<T = ()> = std::result::Result<T, (PathBuf, io::Error)>;

/// A tree that is being copied, both sides of the directory at hand.
struct Copying {
    from: Descent,
    to: Descent,
    from_path: PathBuf,
    left: Vec<Level>,
    /// What has more than one name, by device and inode, with its first name in the copy.
    linked: HashMap<(u64, u64), PathBuf>,
    staged: PathBuf,
}

/// What is still to be copied in a directory, and what it gets when all is.
struct Level {
    names: vec::IntoIter<OsString>,
    metadata: Metadata,
}

/// Copies an entry, whatever it is, with all that is known of it.
fn copy_entry(src: &Path, metadata: Metadata, staged: &Path) -> CopyResult {
    let at = |error: io::Error| (src.to_owned(), error);
    if !metadata.is_dir() {
        return copy_one(src, &metadata, staged).map_err(at);
    }
    mkdirat(CWD, staged, RawMode::RWXU).map_err(|errno| at(errno.into()))?;
    let mut copying = Copying {
        from: Descent::open(src).map_err(|errno| at(errno.into()))?,
        to: Descent::open(staged).map_err(|errno| at(errno.into()))?,
        from_path: src.to_owned(),
        left: Vec::new(),
        linked: HashMap::new(),
        staged: staged.to_owned(),
    };
    copying.begin(metadata)?;
    while let Some(level) = copying.left.last_mut() {
        progress();
        match level.names.next() {
            Some(name) => copying.entry(&name)?,
            None => copying.leave()?,
        }
    }
    Ok(())
}

impl Copying {
    fn at(&self, error: impl Into<io::Error>) -> (PathBuf, io::Error) {
        (self.from_path.clone(), error.into())
    }

    fn begin(&mut self, metadata: Metadata) -> CopyResult {
        let names = self.from.names().map_err(|errno| self.at(errno))?;
        let names = names.into_iter();
        self.left.push(Level { names, metadata });
        Ok(())
    }

    fn entry(&mut self, name: &OsStr) -> CopyResult {
        self.from_path.push(name);
        let from = self.from.path_of(name);
        let metadata = fs::symlink_metadata(&from).map_err(|error| self.at(error))?;
        if metadata.is_dir() {
            mkdirat(self.to.dir(), name, RawMode::RWXU).map_err(|errno| self.at(errno))?;
            self.from.enter(name).map_err(|errno| self.at(errno))?;
            self.to.enter(name).map_err(|errno| self.at(errno))?;
            return self.begin(metadata);
        }
        if !self.link(name, &metadata) {
            let to = self.to.path_of(name);
            copy_one(&from, &metadata, &to).map_err(|error| self.at(error))?;
        }
        self.from_path.pop();
        Ok(())
    }

    /// Makes another name of what was copied under its first one. Where that cannot be, it is a
    /// file of its own.
    fn link(&mut self, name: &OsStr, metadata: &Metadata) -> bool {
        if metadata.nlink() < 2 {
            return false;
        }
        let identity = (metadata.dev(), metadata.ino());
        if let Some(first) = self.linked.get(&identity) {
            return linkat(CWD, first, self.to.dir(), name, AtFlags::empty()).is_ok();
        }
        let path = self.to.way().fold(self.staged.clone(), |mut path, name| {
            path.push(name);
            path
        });
        self.linked.insert(identity, path.join(name));
        false
    }

    fn leave(&mut self) -> CopyResult {
        let Some(Level { metadata, .. }) = self.left.pop() else {
            return Ok(());
        };
        let name = self.to.way().last().map(OsStr::to_owned);
        self.from.leave().map_err(|errno| self.at(errno))?;
        self.to.leave().map_err(|errno| self.at(errno))?;
        // From above: its own mode may lock everybody out.
        let dir = name.map_or_else(|| self.staged.clone(), |name| self.to.path_of(&name));
        dress(&metadata, &dir).map_err(|error| self.at(error))?;
        self.from_path.pop();
        Ok(())
    }
}

/// Copies what is no directory.
fn copy_one(src: &Path, metadata: &Metadata, dest: &Path) -> io::Result<()> {
    if metadata.is_file() {
        copy_file(src, dest)?;
    } else {
        copy_special(src, metadata, dest)?;
    }
    dress(metadata, dest)
}

/// Copies to the end of `from`, saying meanwhile that it gets on.
pub(crate) fn copy_in_steps(mut from: impl Read, to: &mut File) -> io::Result<()> {
    while io::copy(&mut Read::by_ref(&mut from).take(COPY_BYTES), to)? > 0 {
        progress();
    }
    Ok(())
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
    let metadata = from.metadata()?;
    if metadata.blocks() * BLOCK_BYTES < metadata.len() {
        copy_sparse(&mut from, &mut to, metadata.len())?;
    } else {
        copy_in_steps(&mut from, &mut to)?;
    }
    to.sync_all()
}

/// Copies the parts of a file that hold data. Between them the copy has holes too.
fn copy_sparse(from: &mut File, to: &mut File, length: u64) -> io::Result<()> {
    let mut offset = 0;
    loop {
        offset = match seek(&*from, SeekFrom::Data(offset)) {
            Ok(data) => data,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(&*from, SeekFrom::Hole(offset))?;
        seek(&*from, SeekFrom::Start(offset))?;
        seek(&*to, SeekFrom::Start(offset))?;
        copy_in_steps(Read::by_ref(from).take(end - offset), to)?;
        offset = end;
    }
    to.set_len(length.max(to.metadata()?.len()))
}

fn copy_special(src: &Path, metadata: &Metadata, dest: &Path) -> io::Result<()> {
    if metadata.is_symlink() {
        symlinkat(fs::read_link(src)?, CWD, dest)?;
        return Ok(());
    }
    let kind = FileType::from_raw_mode(metadata.mode());
    let mode = RawMode::RUSR | RawMode::WUSR;
    mknodat(CWD, dest, kind, mode, metadata.rdev())?;
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
