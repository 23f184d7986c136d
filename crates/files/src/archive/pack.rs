//! Packing a directory: the walk, and the reading of its files.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, io::Errno};

use super::{
    pack_tar::{Compression, TarPacker},
    pack_zip::ZipPacker,
    pipe::{Packed, pipe},
};
use crate::{
    Error, Files, FsPath, Result, blocking, descent::Descent, error::Attempt, path::name_of,
};

const ACTION: &str = "pack";
/// Files up to this size are read before they are announced, so that one that changes meanwhile
/// is packed as it was read.
const SMALL_BYTES: u64 = 1024 * 1024;

/// The kind of archive to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackFormat {
    /// A zip archive.
    Zip,
    /// A tar archive, compressed with Zstandard.
    TarZst(Compression),
}

/// An archive that is being made. Names are relative to the directory that is packed.
pub(super) trait Packer {
    fn directory(&mut self, name: &Path, metadata: &Metadata) -> io::Result<()>;
    fn symlink(&mut self, name: &Path, metadata: &Metadata, target: &Path) -> io::Result<()>;
    /// `content` gives exactly `size` bytes, or fails.
    fn file(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<()>;
    fn finish(self) -> io::Result<()>;
}

impl Files {
    /// Packs what is in a directory. Sockets, pipes and devices are left out, as are links to
    /// sockets and entries that vanish meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream stops the packing.
    pub async fn pack(&self, dir: &FsPath, format: PackFormat) -> Result<Packed> {
        let permit = self.shared.archive_permit()?;
        let root = dir.as_path().to_owned();
        let opened = blocking(dir, move || {
            let metadata = fs::metadata(&root).attempt(ACTION, &root)?;
            if !metadata.is_dir() {
                return Err(Error::os(ACTION, &root, Errno::NOTDIR));
            }
            fs::read_dir(&root).attempt(ACTION, &root)?;
            Ok(root)
        });
        let root = opened.await?;
        let (pipe, ending, packed) = pipe(root.clone());
        tokio::task::spawn_blocking(move || {
            let result = match format {
                PackFormat::Zip => pack(&root, ZipPacker::new(pipe), || ending.break_off()),
                PackFormat::TarZst(level) => TarPacker::new(pipe, level)
                    .attempt(ACTION, &root)
                    .and_then(|packer| pack(&root, packer, || ending.break_off())),
            };
            ending.end(result);
            drop(permit);
        });
        Ok(packed)
    }
}

fn pack<P: Packer>(root: &Path, packer: P, break_off: impl Fn()) -> Result<()> {
    let mut walk = Walk {
        root: root.to_owned(),
        packer,
        buffer: Vec::new(),
    };
    let walked = walk.run();
    if walked.is_err() {
        // Before the packer is dropped, which may close the archive.
        break_off();
        return walked;
    }
    walk.packer.finish().attempt(ACTION, root)
}

/// Whether a link leads to a socket, which is left out itself. Chromium has one in each profile,
/// which leads out of it and would have the archive refused; when it was killed, the link stays
/// and its socket may be gone.
fn leads_to_socket(link: &Path) -> bool {
    name_of(link) == "SingletonSocket"
        || fs::metadata(link).is_ok_and(|target| target.file_type().is_socket())
}

struct Walk<P> {
    root: PathBuf,
    packer: P,
    buffer: Vec<u8>,
}

impl<P: Packer> Walk<P> {
    fn run(&mut self) -> Result<()> {
        let mut descent = Descent::open(&self.root).attempt(ACTION, &self.root)?;
        // Where the walk is, from the root.
        let mut dir = PathBuf::new();
        let names = descent.names().attempt(ACTION, &self.root)?;
        let mut left = vec![names.into_iter()];
        while let Some(names) = left.last_mut() {
            let Some(name) = names.next() else {
                left.pop();
                descent.leave().attempt(ACTION, &self.root.join(&dir))?;
                dir.pop();
                continue;
            };
            let inner = dir.join(&name);
            let path = self.root.join(&inner);
            let added = self.add(&inner, &descent.path_of(&name));
            if added.attempt(ACTION, &path)?.is_some() {
                descent.enter(&name).attempt(ACTION, &path)?;
                left.push(descent.names().attempt(ACTION, &path)?.into_iter());
                dir = inner;
            }
        }
        Ok(())
    }

    /// Adds an entry. Returns `Some` for a directory, whose entries are to follow.
    fn add(&mut self, name: &Path, path: &Path) -> io::Result<Option<()>> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            self.packer.directory(name, &metadata)?;
            return Ok(Some(()));
        }
        if metadata.is_symlink() {
            if leads_to_socket(path) {
                return Ok(None);
            }
            let target = fs::read_link(path)?;
            self.packer.symlink(name, &metadata, &target)?;
        } else if metadata.is_file() {
            self.file(name, path)?;
        }
        Ok(None)
    }

    fn file(&mut self, name: &Path, path: &Path) -> io::Result<()> {
        let mut open = OpenOptions::new();
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open.read(true).custom_flags(flags.bits().cast_signed());
        let mut file = match open.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.len() <= SMALL_BYTES {
            self.buffer.clear();
            let mut limited = (&mut file).take(SMALL_BYTES);
            limited.read_to_end(&mut self.buffer)?;
            let size = self.buffer.len() as u64;
            return self
                .packer
                .file(name, &metadata, size, &mut self.buffer.as_slice());
        }
        let mut content = Exactly {
            file,
            left: metadata.len(),
        };
        self.packer
            .file(name, &metadata, metadata.len(), &mut content)
    }
}

/// A file that is read up to the size that was announced; a shorter one is an error.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.file.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was packed",
            ));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
