//! Packing a directory: the walk, and the reading of its files.
//!
//! What vanishes or cannot be read meanwhile is left out and told at the end. Only where a part of
//! it is in the archive already, the archive ends with an error.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    vec,
};

use rustix::{fs::OFlags, io::Errno};

use super::{
    omitted::Omitted,
    pack_tar::{Compression, TarPacker},
    pipe::{Ending, Packed, Pipe, pipe},
    zip::ZipPacker,
};
use crate::{
    Error, Files, FsPath, Result, blocking, descent::Descent, error::Attempt, path::name_of,
};

const ACTION: &str = "pack";
/// Files up to this size are read before they are announced, so that one that changes meanwhile
/// is packed as it was read.
const SMALL_BYTES: u64 = 1024 * 1024;
/// So much of a larger file is read before it is announced: most that cannot be read say so then.
const FIRST_BYTES: u64 = 64 * 1024;
/// So often a file is packed again that became shorter while it was.
const MAX_AGAIN: usize = 3;

/// The kind of archive to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackFormat {
    /// A zip archive.
    Zip,
    /// A tar archive, compressed with Zstandard.
    TarZst(Compression),
}

/// How to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackOptions {
    /// The kind of archive.
    pub format: PackFormat,
    /// Whether what vanishes or cannot be read ends the archive with an error.
    pub strict: bool,
}

impl From<PackFormat> for PackOptions {
    fn from(format: PackFormat) -> Self {
        let strict = false;
        Self { format, strict }
    }
}

/// An archive that is being made. Names are relative to the directory that is packed.
pub(super) trait Packer {
    /// Whether a file's size stands before its content, so that it cannot be taken back.
    const NEEDS_SIZE: bool;

    fn directory(&mut self, name: &Path, metadata: &Metadata) -> io::Result<()>;
    fn symlink(&mut self, name: &Path, metadata: &Metadata, target: &Path) -> io::Result<()>;
    /// `content` gives `size` bytes, or fewer if the file became shorter. Returns how many.
    fn file(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<u64>;
    fn finish(self) -> io::Result<()>;
}

impl Files {
    /// Packs what is in a directory. Sockets, pipes and devices are left out, as are links to
    /// sockets. So is what vanishes or cannot be read meanwhile, which [`Packed::omitted`] tells.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream stops the packing.
    pub async fn pack(&self, dir: &FsPath, options: impl Into<PackOptions>) -> Result<Packed> {
        let options = options.into();
        let permit = self.shared.archive_permit()?;
        let root = dir.as_path().to_owned();
        let opened = blocking(&self.shared.pools.archives, dir.as_path(), move || {
            let metadata = fs::metadata(&root).attempt(ACTION, &root)?;
            if !metadata.is_dir() {
                return Err(Error::os(ACTION, &root, Errno::NOTDIR));
            }
            fs::read_dir(&root).attempt(ACTION, &root)?;
            Ok(root)
        });
        let root = opened.await?;
        let (pipe, ending, packed) = pipe(root.clone());
        let spool_dir = self.shared.config.spool_dir.clone();
        let packing = self.shared.pools.archives.run(root.clone(), move || {
            let result = pack(&root, options, &spool_dir, pipe, &ending);
            ending.end(result);
        });
        Ok(packed.made_by(packing, permit))
    }
}

fn pack(
    root: &Path,
    options: PackOptions,
    spool_dir: &Path,
    pipe: Pipe,
    ending: &Ending,
) -> Result<Omitted> {
    let strict = options.strict;
    match options.format {
        PackFormat::Zip => Walk::new(root, ZipPacker::new(pipe, spool_dir), strict).all(ending),
        PackFormat::TarZst(level) => {
            let packer = TarPacker::new(pipe, level).attempt(ACTION, root)?;
            Walk::new(root, packer, strict).all(ending)
        }
    }
}

/// Whether a link leads to a socket, which is left out itself. Chromium has one in each profile,
/// which leads out of it and would have the archive refused; when it was killed, the link stays
/// and its socket may be gone.
fn leads_to_socket(link: &Path) -> bool {
    name_of(link) == "SingletonSocket"
        || fs::metadata(link).is_ok_and(|target| target.file_type().is_socket())
}

/// Why an entry was not added.
enum Failure {
    /// It is gone, or cannot be read.
    Unread(io::Error),
    /// The archive cannot go on.
    Broken(Error),
}

struct Walk<P> {
    root: PathBuf,
    packer: P,
    strict: bool,
    omitted: Omitted,
    buffer: Vec<u8>,
}

impl<P: Packer> Walk<P> {
    fn new(root: &Path, packer: P, strict: bool) -> Self {
        Self {
            root: root.to_owned(),
            packer,
            strict,
            omitted: Omitted::default(),
            buffer: Vec::new(),
        }
    }

    fn all(mut self, ending: &Ending) -> Result<Omitted> {
        if let Err(error) = self.run() {
            // Before the packer is dropped, which may close the archive.
            ending.break_off();
            return Err(error);
        }
        self.packer.finish().attempt(ACTION, &self.root)?;
        Ok(self.omitted)
    }

    fn run(&mut self) -> Result<()> {
        let mut descent = Descent::open(&self.root).attempt(ACTION, &self.root)?;
        // Where the walk is, from the root.
        let mut dir = PathBuf::new();
        let names = descent.names().attempt(ACTION, &self.root)?;
        let mut left = vec![names.into_iter()];
        while let Some(names) = left.last_mut() {
            let Some(name) = names.next() else {
                self.leave(&mut descent, &mut dir, &mut left)?;
                continue;
            };
            let inner = dir.join(&name);
            match self.add(&inner, &descent.path_of(&name)) {
                Ok(false) => {}
                Ok(true) => match enter(&mut descent, &name) {
                    Ok(names) => {
                        left.push(names);
                        dir = inner;
                    }
                    Err(errno) => self.omit(&inner, errno.into())?,
                },
                Err(Failure::Unread(error)) => self.omit(&inner, error)?,
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes up. What is left of a directory that is gone meanwhile cannot be looked at.
    fn leave(
        &mut self,
        descent: &mut Descent,
        dir: &mut PathBuf,
        left: &mut Vec<vec::IntoIter<OsString>>,
    ) -> Result<()> {
        left.pop();
        dir.pop();
        while let Err(errno) = descent.leave() {
            if left.pop().is_some_and(|names| names.len() > 0) {
                self.omit(dir, errno.into())?;
            }
            dir.pop();
        }
        Ok(())
    }

    fn omit(&mut self, name: &Path, error: io::Error) -> Result<()> {
        let error = Error::os(ACTION, &self.root.join(name), error);
        if self.strict {
            return Err(error);
        }
        tracing::debug!(%error, "an entry is left out of an archive");
        self.omitted.add(name);
        Ok(())
    }

    fn broken(&self, name: &Path, error: io::Error) -> Failure {
        Failure::Broken(Error::os(ACTION, &self.root.join(name), error))
    }

    /// Adds an entry. Returns whether it is a directory, whose entries are to follow.
    fn add(&mut self, name: &Path, path: &Path) -> std::result::Result<bool, Failure> {
        browserd_blocking::progress();
        let metadata = fs::symlink_metadata(path).map_err(Failure::Unread)?;
        if metadata.is_dir() {
            let added = self.packer.directory(name, &metadata);
            return added.map(|()| true).map_err(|it| self.broken(name, it));
        }
        if metadata.is_symlink() {
            if leads_to_socket(path) {
                return Ok(false);
            }
            let target = fs::read_link(path).map_err(Failure::Unread)?;
            let added = self.packer.symlink(name, &metadata, &target);
            added.map_err(|error| self.broken(name, error))?;
        } else if metadata.is_file() {
            self.file(name, path)?;
        }
        Ok(false)
    }

    /// Adds a file; as often as needed where it becomes shorter meanwhile, since of entries with
    /// one name the last counts.
    fn file(&mut self, name: &Path, path: &Path) -> std::result::Result<(), Failure> {
        let changed = |path: PathBuf| Failure::Broken(Error::Changed { path });
        for again in 0..=MAX_AGAIN {
            match self.file_once(name, path) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // What was written of it cannot be taken back.
                Err(Failure::Unread(_)) if again > 0 => break,
                Err(failure) => return Err(failure),
            }
        }
        Err(changed(self.root.join(name)))
    }

    /// Returns whether the archive has it as it is.
    fn file_once(&mut self, name: &Path, path: &Path) -> std::result::Result<bool, Failure> {
        let mut open = OpenOptions::new();
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open.read(true).custom_flags(flags.bits().cast_signed());
        let mut file = open.open(path).map_err(Failure::Unread)?;
        let metadata = file.metadata().map_err(Failure::Unread)?;
        let said = metadata.len();
        let is_small = said <= SMALL_BYTES;
        let first = if is_small { SMALL_BYTES } else { FIRST_BYTES };
        self.buffer.clear();
        let read = (&mut file).take(first).read_to_end(&mut self.buffer);
        let read = read.map_err(Failure::Unread)? as u64;
        if said == 0 && read == SMALL_BYTES {
            // As `/proc` has them: where it ends is not known.
            let error = io::Error::other("it says to be empty and is larger than 1 MiB");
            return Err(Failure::Unread(error));
        }
        let size = if is_small { read } else { said };
        let rest = Rest {
            file,
            is_over: is_small,
        };
        let mut content = self.buffer.as_slice().chain(rest).take(size);
        let added = self.packer.file(name, &metadata, size, &mut content);
        let packed = added.map_err(|error| self.broken(name, error))?;
        Ok(packed == size || !P::NEEDS_SIZE)
    }
}

fn enter(
    descent: &mut Descent,
    name: &std::ffi::OsStr,
) -> rustix::io::Result<vec::IntoIter<OsString>> {
    descent.enter(name)?;
    match descent.names() {
        Ok(names) => Ok(names.into_iter()),
        Err(errno) => {
            descent.leave()?;
            Err(errno)
        }
    }
}

/// What of a file was not read before it was announced.
struct Rest {
    file: File,
    is_over: bool,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_over {
            return Ok(0);
        }
        browserd_blocking::progress();
        self.file.read(buffer)
    }
}
