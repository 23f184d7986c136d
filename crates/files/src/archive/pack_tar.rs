//! Writing a tar archive, compressed with Zstandard.
//!
//! Headers are those of GNU tar; what they cannot hold (names over 100 bytes, fractions of a
//! second) goes into a pax header before them, as POSIX.1-2001 says.

use std::{
    fs::Metadata,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use tar::{EntryType, Header};
use zstd::Encoder;

use super::{pack::Packer, pipe::Pipe};

/// The length of the name and link fields.
const MAX_FIELD_BYTES: usize = 100;
const BLOCK_BYTES: usize = 512;
const COPY_BYTES: usize = 256 * 1024;

/// How much time is spent on making the archive small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Level 1.
    Fastest,
    /// Level 3.
    #[default]
    Default,
    /// Level 7.
    Better,
    /// Level 11.
    Best,
}

impl Compression {
    const fn level(self) -> i32 {
        match self {
            Self::Fastest => 1,
            Self::Default => 3,
            Self::Better => 7,
            Self::Best => 11,
        }
    }
}

/// A tar archive that is being written.
pub(super) struct TarPacker {
    tar: tar::Builder<Encoder<'static, Pipe>>,
    buffer: Vec<u8>,
}

impl TarPacker {
    pub(super) fn new(pipe: Pipe, compression: Compression) -> io::Result<Self> {
        let mut encoder = Encoder::new(pipe, compression.level())?;
        encoder.include_checksum(true)?;
        // Compresses on a thread of its own, while this one reads.
        encoder.multithread(1)?;
        Ok(Self {
            tar: tar::Builder::new(encoder),
            buffer: vec![0; COPY_BYTES],
        })
    }

    fn header(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        size: u64,
        kind: EntryType,
        target: &[u8],
    ) -> io::Result<()> {
        let mut name = name.as_os_str().as_bytes().to_vec();
        if kind == EntryType::Directory {
            name.push(b'/');
        }
        let mtime = format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec());
        let mut pax: Vec<(&str, &[u8])> = Vec::new();
        if metadata.mtime_nsec() != 0 || metadata.mtime() < 0 {
            pax.push(("mtime", mtime.as_bytes()));
        }
        if name.len() > MAX_FIELD_BYTES {
            pax.push(("path", &name));
        }
        if target.len() > MAX_FIELD_BYTES {
            pax.push(("linkpath", target));
        }
        if !pax.is_empty() {
            self.tar.append_pax_extensions(pax.iter().copied())?;
        }
        let mut header = Header::new_gnu();
        put(&mut header.as_old_mut().name, &name);
        put(&mut header.as_old_mut().linkname, target);
        header.set_entry_type(kind);
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        header.set_size(size);
        header.set_cksum();
        self.tar.get_mut().write_all(header.as_bytes())
    }
}

impl Packer for TarPacker {
    const NEEDS_SIZE: bool = true;

    fn directory(&mut self, name: &Path, metadata: &Metadata) -> io::Result<()> {
        self.header(name, metadata, 0, EntryType::Directory, b"")
    }

    fn symlink(&mut self, name: &Path, metadata: &Metadata, target: &Path) -> io::Result<()> {
        let target = target.as_os_str().as_bytes();
        self.header(name, metadata, 0, EntryType::Symlink, target)
    }

    fn file(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<u64> {
        self.header(name, metadata, size, EntryType::Regular, b"")?;
        let mut written = 0;
        loop {
            let read = content.read(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            self.tar.get_mut().write_all(&self.buffer[..read])?;
            written += read as u64;
        }
        let mut padding = size.next_multiple_of(BLOCK_BYTES as u64) - written;
        while padding > 0 {
            let zeros = padding.min(BLOCK_BYTES as u64);
            let zeros = &[0; BLOCK_BYTES][..usize::try_from(zeros).unwrap_or(0)];
            self.tar.get_mut().write_all(zeros)?;
            padding -= zeros.len() as u64;
        }
        Ok(written)
    }

    fn finish(self) -> io::Result<()> {
        self.tar.into_inner()?.finish()?.finish()
    }
}

/// Fills a header's field with as much of a text as it holds.
fn put(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}
