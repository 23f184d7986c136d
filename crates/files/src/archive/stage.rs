//! The hidden directory in which an archive is unpacked.
//!
//! Every entry is made relative to an open directory, and no symbolic link is ever followed: what
//! an archive says cannot lead out, not even for a moment.

mod made;
mod walker;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens,
        linkat, openat, readlinkat, statat, symlinkat, syncfs, unlinkat, utimensat,
    },
    io::Errno,
};

use super::{
    limits::Tally,
    merge,
    name::{MAX_PATH_BYTES, leads_out},
    tar::Part,
};
use crate::{
    Error, Result,
    error::Attempt,
    path::shorten,
    temp::{TempDir, open_dir},
};
use made::Made;
use walker::Walker;

const ACTION: &str = "unpack";
const COPY_BYTES: usize = 256 * 1024;

/// What an entry says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) modified: Option<Timespec>,
}

impl Attributes {
    pub(super) fn times(self) -> Timestamps {
        let omit = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        Timestamps {
            last_access: omit,
            last_modification: self.modified.unwrap_or(omit),
        }
    }

    pub(super) fn raw_mode(self) -> Mode {
        Mode::from_raw_mode(self.mode & 0o7777)
    }
}

/// An archive that is being unpacked. Dropping it leaves nothing.
#[derive(Debug)]
pub(super) struct Stage {
    walker: Walker,
    temp: TempDir,
    made: Made,
    dest: PathBuf,
    tally: Tally,
    directories: Vec<(PathBuf, Attributes)>,
    links: Vec<(PathBuf, PathBuf)>,
    buffer: Vec<u8>,
}

impl Stage {
    pub(super) fn open(dest: &Path, tally: Tally) -> Result<Self> {
        let made = Made::make(dest)?;
        let dest = fs::canonicalize(dest).attempt(ACTION, dest)?;
        let temp = TempDir::create(&dest).attempt(ACTION, &dest)?;
        let root = open_dir(temp.path()).attempt(ACTION, &dest)?;
        Ok(Self {
            walker: Walker::new(root),
            temp,
            made,
            dest,
            tally,
            directories: Vec::new(),
            links: Vec::new(),
            buffer: vec![0; COPY_BYTES],
        })
    }

    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Refuses an entry that no path would lead to: nobody could read or remove it by its name.
    fn check_length(&self, path: &Path) -> Result<()> {
        let root = self.temp.path().as_os_str().len();
        if root + 1 + path.as_os_str().len() > MAX_PATH_BYTES {
            return Err(self.refuse(path, Errno::NAMETOOLONG));
        }
        Ok(())
    }

    pub(super) fn directory(&mut self, path: &Path, attributes: Attributes) -> Result<()> {
        self.check_length(path)?;
        self.tally.add_name(path.as_os_str().len())?;
        let made = self.walker.open(path, true).map(|_| ());
        self.made(path, made)?;
        self.directories.push((path.to_owned(), attributes));
        Ok(())
    }

    /// Makes a file of what `content` gives, which must be `size` bytes. As with the other kinds,
    /// what an archive had under that name before is replaced, unless it is a directory.
    pub(super) fn file(
        &mut self,
        path: &Path,
        attributes: Attributes,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<()> {
        let mut file = self.create(path)?;
        let written = self.copy(path, &mut file, content)?;
        check_whole(path, size, written)?;
        self.dress(path, &file, attributes)
    }

    /// Makes a file of `size` bytes of which `content` gives some parts only, one behind the
    /// other. Between them there are holes.
    pub(super) fn sparse_file(
        &mut self,
        path: &Path,
        attributes: Attributes,
        size: u64,
        parts: &[Part],
        content: &mut dyn Read,
    ) -> Result<()> {
        let mut file = self.create(path)?;
        let data: u64 = parts.iter().map(|part| part.bytes).sum();
        self.tally.add_holes(size.saturating_sub(data))?;
        for part in parts {
            let sought = file.seek(SeekFrom::Start(part.offset));
            sought.attempt(ACTION, &self.dest.join(path))?;
            let written = self.copy(path, &mut file, &mut content.take(part.bytes))?;
            check_whole(path, part.bytes, written)?;
        }
        let set = file.set_len(size);
        set.attempt(ACTION, &self.dest.join(path))?;
        self.dress(path, &file, attributes)
    }

    fn create(&mut self, path: &Path) -> Result<File> {
        self.check_length(path)?;
        let made = self.walker.parent(path, |dir, name| {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            clear(dir, name)?;
            openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
        });
        self.made(path, made).map(File::from)
    }

    /// Writes what `content` gives; returns how much that was.
    fn copy(&mut self, path: &Path, file: &mut File, content: &mut dyn Read) -> Result<u64> {
        let mut written = 0;
        loop {
            browserd_blocking::progress();
            let read = match content.read(&mut self.buffer) {
                Ok(0) => return Ok(written),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(path, error)),
            };
            self.tally.add_bytes(read as u64)?;
            let write = file.write_all(&self.buffer[..read]);
            write.attempt(ACTION, &self.dest.join(path))?;
            written += read as u64;
        }
    }

    fn dress(&self, path: &Path, file: &File, attributes: Attributes) -> Result<()> {
        let dressed =
            fchmod(file, attributes.raw_mode()).and_then(|()| futimens(file, &attributes.times()));
        dressed.attempt(ACTION, &self.dest.join(path))
    }

    pub(super) fn symlink(
        &mut self,
        path: &Path,
        target: &[u8],
        attributes: Attributes,
    ) -> Result<()> {
        self.check_length(path)?;
        self.tally.add_name(path.as_os_str().len() + target.len())?;
        let target = PathBuf::from(OsStr::from_bytes(target));
        let times = attributes.times();
        let made = self.walker.parent(path, |dir, name| {
            clear(dir, name)?;
            symlinkat(&target, dir, name)?;
            utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        });
        self.made(path, made)?;
        self.links.push((path.to_owned(), target));
        Ok(())
    }

    /// Makes another name of a file or a symbolic link that the archive had before.
    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        self.check_length(path)?;
        let linked = self.walker.parent(target, |dir, name| {
            let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let leads = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => None,
                FileType::Symlink => Some(readlinkat(dir, name, Vec::new())?),
                _ => return Err(Errno::INVAL),
            };
            let dir = rustix::io::fcntl_dupfd_cloexec(dir, 0)?;
            Ok((dir, name.to_owned(), leads))
        });
        let Ok((from, from_name, leads)) = linked else {
            let (path, target) = (shorten(path.as_os_str()), shorten(target.as_os_str()));
            return Err(Error::bad_archive(format!(
                "the hard link {path:?} is to {target:?}, which is no file of the archive"
            )));
        };
        // `tar` writes one where the same file is named twice.
        if path == target {
            return Ok(());
        }
        let made = self.walker.parent(path, |dir, name| {
            clear(dir, name)?;
            linkat(&from, &from_name, dir, name, AtFlags::empty())
        });
        self.made(path, made)?;
        if let Some(leads) = leads {
            // From here it may lead elsewhere than under its first name.
            let leads = PathBuf::from(OsStr::from_bytes(leads.as_bytes()));
            let bytes = path.as_os_str().len() + leads.as_os_str().len();
            self.tally.add_name(bytes)?;
            self.links.push((path.to_owned(), leads));
        }
        Ok(())
    }

    /// Puts everything in its place. Returns how many entries there were.
    pub(super) fn finish(mut self) -> Result<usize> {
        self.check_links()?;
        syncfs(self.temp.fd()).attempt(ACTION, &self.dest)?;
        merge::check(&self.temp, &self.dest)?;
        merge::apply(&self.temp, &self.dest)?;
        self.made.keep();
        // The times of directories last, because each rename into them changes them, and the
        // modes from the leaves up, because they may lock the rest out.
        let mut dest = Walker::new(open_dir(&self.dest).attempt(ACTION, &self.dest)?);
        self.directories.sort_by(|one, other| other.0.cmp(&one.0));
        for (path, attributes) in &self.directories {
            let dressed = dest.open(path, false).and_then(|dir| {
                futimens(dir, &attributes.times())?;
                fchmod(dir, attributes.raw_mode())
            });
            dressed.attempt(ACTION, &self.dest.join(path))?;
        }
        Ok(self.tally.entries())
    }

    fn check_links(&self) -> Result<()> {
        let read = |path: &Path| {
            fs::read_link(self.temp.path().join(path))
                .or_else(|_| fs::read_link(self.dest.join(path)))
                .ok()
        };
        for (link, target) in &self.links {
            // A later entry took its place.
            if fs::read_link(self.temp.path().join(link)).ok().as_ref() != Some(target) {
                continue;
            }
            if leads_out(&self.dest, link, target, read) {
                let (link, target) = (shorten(link.as_os_str()), shorten(target.as_os_str()));
                return Err(Error::bad_archive(format!(
                    "the symbolic link {link:?} leads out of the destination, to {target:?}"
                )));
            }
        }
        Ok(())
    }

    /// What came of making an entry, and of the directories above it.
    fn made<T>(&self, path: &Path, result: rustix::io::Result<T>) -> Result<T> {
        self.tally.check_directories(self.walker.made)?;
        result.map_err(|errno| self.refuse(path, errno))
    }

    /// Says why an entry cannot be made where nothing but the archive's own entries is.
    fn refuse(&self, path: &Path, errno: Errno) -> Error {
        let why = match errno {
            Errno::EXIST => "is there twice",
            Errno::LOOP | Errno::NOTDIR => "would be written through another that is no directory",
            Errno::NAMETOOLONG => "has a name that is too long",
            _ => return Error::os(ACTION, &self.dest.join(path), errno),
        };
        let name = shorten(path.as_os_str());
        Error::bad_archive(format!("the entry {name:?} {why}"))
    }
}

/// Takes away what an earlier entry made: of entries with the same name the last one counts, as
/// with `tar` and `unzip`.
fn clear(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(Errno::EXIST),
        Err(errno) => Err(errno),
    }
}

fn check_whole(path: &Path, size: u64, written: u64) -> Result<()> {
    if written == size {
        return Ok(());
    }
    let name = shorten(path.as_os_str());
    Err(Error::bad_archive(format!(
        "the entry {name:?} says to have {size} bytes and has {written}"
    )))
}

/// An error of the archive's own, unless the disk failed under it.
pub(super) fn damaged(path: &Path, error: io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::os("read the spooled archive at", path, error);
    }
    let name = shorten(path.as_os_str());
    Error::bad_archive(format!("the entry {name:?} is damaged: {error}"))
}
