//! Writing a zip archive, which can also be read as a stream.
//!
//! An entry whose size is known when it begins says it there: directories, links, and what is
//! small enough to be compressed in memory first. Only a large file says it behind itself, and is
//! compressed then, so that its end can be found.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use flate2::{Compression, Crc, write::DeflateEncoder};

use super::{entry::HEADER, time::dos_time};
use crate::{
    archive::{pack::Packer, pipe::Pipe},
    temp::{TempFile, open_dir},
};

/// The fastest: whoever wants it small takes tar.zst.
const LEVEL: Compression = Compression::new(1);
const COPY_BYTES: usize = 256 * 1024;
/// A file up to this size is compressed before its header is written.
const SMALL_BYTES: u64 = 1024 * 1024;
/// From here on sizes do not surely fit 32 bits: deflate may make a file a little larger.
const LARGE_BYTES: u64 = 0xf000_0000;
/// The directory waits on the disk from here on.
const HELD_BYTES: usize = 4 * 1024 * 1024;
/// Fields that do not hold a number say this, and zip64 has it.
const PLACEHOLDER: u32 = u32::MAX;
const PLACEHOLDER_COUNT: u16 = u16::MAX;
/// What marks a directory for readers that know no mode.
const DOS_DIRECTORY: u32 = 0x10;
/// Unix, and version 3.0 as Info-ZIP counts.
const MADE_BY: u16 = 3 * 256 + 30;
/// The version that is needed to read an entry: for directories and deflate, and for zip64.
const NEEDED: u16 = 20;
const NEEDED_ZIP64: u16 = 45;
/// Sizes behind the content, and a name in UTF-8.
const FLAG_BEHIND: u16 = 1 << 3;
const FLAG_UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A zip archive that is being written.
pub(in crate::archive) struct ZipPacker {
    pipe: Pipe,
    /// How much was written.
    at: u64,
    directory: Directory,
    encoder: DeflateEncoder<Vec<u8>>,
    buffer: Vec<u8>,
}

/// What the headers of an entry say.
struct Fields<'a> {
    name: &'a [u8],
    metadata: &'a Metadata,
    flags: u16,
    method: u16,
    /// Whether its sizes have 64 bits behind the content.
    is_large: bool,
    crc: u32,
    packed: u64,
    size: u64,
    at: u64,
}

impl ZipPacker {
    /// `spool_dir` is where a long directory waits.
    pub(in crate::archive) fn new(pipe: Pipe, spool_dir: &Path) -> Self {
        Self {
            pipe,
            at: 0,
            directory: Directory::new(spool_dir),
            encoder: DeflateEncoder::new(Vec::new(), LEVEL),
            buffer: vec![0; COPY_BYTES],
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.pipe.write_all(bytes)
    }

    /// Writes an entry whose content is known.
    fn known(&mut self, name: &[u8], metadata: &Metadata, content: &[u8]) -> io::Result<()> {
        let mut crc = Crc::new();
        crc.update(content);
        self.encoder.reset(Vec::with_capacity(content.len() / 2))?;
        let mut packed: &[u8] = content;
        let mut method = STORED;
        if metadata.is_file() && !content.is_empty() {
            self.encoder.write_all(content)?;
            self.encoder.try_finish()?;
        }
        let deflated = std::mem::take(self.encoder.get_mut());
        if !deflated.is_empty() && deflated.len() < content.len() {
            (packed, method) = (&deflated, DEFLATED);
        }
        let fields = Fields {
            name,
            metadata,
            flags: 0,
            method,
            is_large: false,
            crc: crc.sum(),
            packed: packed.len() as u64,
            size: content.len() as u64,
            at: self.at,
        };
        self.write(&fields.local())?;
        self.write(packed)?;
        self.directory.add(&fields)
    }

    /// Writes a file as it is read, with its sizes behind it.
    fn streamed(
        &mut self,
        name: &[u8],
        metadata: &Metadata,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<u64> {
        let mut fields = Fields {
            name,
            metadata,
            flags: FLAG_BEHIND,
            method: DEFLATED,
            is_large: size >= LARGE_BYTES,
            crc: 0,
            packed: 0,
            size: 0,
            at: self.at,
        };
        self.write(&fields.local())?;
        let start = self.at;
        let mut crc = Crc::new();
        self.encoder.reset(Vec::new())?;
        loop {
            let read = content.read(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            crc.update(&self.buffer[..read]);
            fields.size += read as u64;
            self.encoder.write_all(&self.buffer[..read])?;
            self.drain()?;
        }
        self.encoder.try_finish()?;
        self.drain()?;
        (fields.crc, fields.packed) = (crc.sum(), self.at - start);
        self.write(&fields.behind())?;
        self.directory.add(&fields)?;
        Ok(fields.size)
    }

    /// Sends what the encoder has made.
    fn drain(&mut self) -> io::Result<()> {
        let made = self.encoder.get_mut();
        self.at += made.len() as u64;
        self.pipe.write_all(made)?;
        made.clear();
        Ok(())
    }
}

impl Packer for ZipPacker {
    const NEEDS_SIZE: bool = false;

    fn directory(&mut self, name: &Path, metadata: &Metadata) -> io::Result<()> {
        let name = [name.as_os_str().as_bytes(), b"/"].concat();
        self.known(&name, metadata, b"")
    }

    fn symlink(&mut self, name: &Path, metadata: &Metadata, target: &Path) -> io::Result<()> {
        let target = target.as_os_str().as_bytes();
        self.known(name.as_os_str().as_bytes(), metadata, target)
    }

    fn file(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<u64> {
        let name = name.as_os_str().as_bytes();
        if size > SMALL_BYTES {
            return self.streamed(name, metadata, size, content);
        }
        let mut held = Vec::new();
        content.take(SMALL_BYTES).read_to_end(&mut held)?;
        self.known(name, metadata, &held)?;
        Ok(held.len() as u64)
    }

    fn finish(mut self) -> io::Result<()> {
        let (entries, start) = (self.directory.entries, self.at);
        let mut directory = std::mem::take(&mut self.directory);
        directory.read(&mut self.buffer, |bytes| {
            self.at += bytes.len() as u64;
            self.pipe.write_all(bytes)
        })?;
        let end = end_records(entries, start, self.at);
        self.pipe.write_all(&end)?;
        self.pipe.finish()
    }
}

impl Fields<'_> {
    /// The local header, with the name and the extra fields.
    fn local(&self) -> Vec<u8> {
        let mut header = b"PK\x03\x04".to_vec();
        self.common(&mut header, self.is_large);
        let mut extra = Vec::new();
        if self.is_large {
            extra.extend([1, 0, 16, 0]);
            extra.extend([0; 16]);
        }
        self.end(&mut header, extra, &[]);
        header
    }

    /// What stands behind the content, whose size was not known before it.
    fn behind(&self) -> Vec<u8> {
        let mut record = b"PK\x07\x08".to_vec();
        record.extend(self.crc.to_le_bytes());
        for size in [self.packed, self.size] {
            let bytes = size.to_le_bytes();
            record.extend(&bytes[..if self.is_large { 8 } else { 4 }]);
        }
        record
    }

    /// The header in the directory, with the name and the extra fields.
    fn central(&self) -> Vec<u8> {
        let mut large = Vec::new();
        for number in [self.size, self.packed, self.at] {
            if small(number) == PLACEHOLDER {
                large.extend(number.to_le_bytes());
            }
        }
        let mut header = HEADER.to_vec();
        header.extend(MADE_BY.to_le_bytes());
        self.common(&mut header, !large.is_empty() || self.is_large);
        let sizes = [self.packed, self.size].map(|size| small(size).to_le_bytes());
        let at = header.len() - 8;
        header[at..].copy_from_slice(sizes.as_flattened());
        let mut extra = Vec::new();
        if !large.is_empty() {
            extra.extend([1, 0, u8::try_from(large.len()).unwrap_or(0), 0]);
            extra.extend(large);
        }
        // No comment, the first disk, no inner attributes.
        let mut fixed = vec![0; 6];
        let mode = self.metadata.mode() << 16;
        let dos = u32::from(self.metadata.is_dir()) * DOS_DIRECTORY;
        fixed.extend((mode | dos).to_le_bytes());
        fixed.extend(small(self.at).to_le_bytes());
        self.end(&mut header, extra, &fixed);
        header
    }

    /// From the version that is needed to the sizes, which both headers have.
    fn common(&self, header: &mut Vec<u8>, is_large: bool) {
        let needed = if is_large { NEEDED_ZIP64 } else { NEEDED };
        let is_utf8 = !self.name.is_ascii() && std::str::from_utf8(self.name).is_ok();
        let flags = self.flags | if is_utf8 { FLAG_UTF8 } else { 0 };
        let (time, date) = dos_time(self.metadata.mtime());
        for field in [needed, flags, self.method, time, date] {
            header.extend(field.to_le_bytes());
        }
        let sizes = [self.packed, self.size];
        let sizes = sizes.map(|size| if is_large { PLACEHOLDER } else { small(size) });
        for field in [self.crc, sizes[0], sizes[1]] {
            header.extend(field.to_le_bytes());
        }
    }

    /// The lengths, what is fixed behind them, the name and the extra fields.
    fn end(&self, header: &mut Vec<u8>, mut extra: Vec<u8>, fixed: &[u8]) {
        // The time to the second, as Info-ZIP writes it; what does not fit its 32 bits has the
        // other only.
        if let Ok(seconds) = i32::try_from(self.metadata.mtime()) {
            extra.extend(*b"UT\x05\x00\x01");
            extra.extend(seconds.to_le_bytes());
        }
        for length in [self.name.len(), extra.len()] {
            // Names have 4,095 bytes at most.
            header.extend(u16::try_from(length).unwrap_or(0).to_le_bytes());
        }
        header.extend(fixed);
        header.extend(self.name);
        header.extend(extra);
    }
}

/// A number in 32 bits, or what says that it is elsewhere.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(PLACEHOLDER)
}

/// What ends an archive whose directory lies between two places.
fn end_records(entries: u64, start: u64, end: u64) -> Vec<u8> {
    let count = u16::try_from(entries).unwrap_or(PLACEHOLDER_COUNT);
    let (bytes, start32) = (small(end - start), small(start));
    let mut record = Vec::new();
    if count == PLACEHOLDER_COUNT || bytes == PLACEHOLDER || start32 == PLACEHOLDER {
        record.extend(b"PK\x06\x06");
        record.extend(44u64.to_le_bytes());
        record.extend(MADE_BY.to_le_bytes());
        record.extend(NEEDED_ZIP64.to_le_bytes());
        record.extend([0; 8]);
        for number in [entries, entries, end - start, start] {
            record.extend(number.to_le_bytes());
        }
        record.extend(b"PK\x06\x07\0\0\0\0");
        record.extend(end.to_le_bytes());
        record.extend(1u32.to_le_bytes());
    }
    record.extend(b"PK\x05\x06\0\0\0\0");
    record.extend([count.to_le_bytes(); 2].as_flattened());
    record.extend(bytes.to_le_bytes());
    record.extend(start32.to_le_bytes());
    record.extend([0; 2]);
    record
}

/// The directory, which comes behind all entries. It does not grow in memory.
#[derive(Debug, Default)]
struct Directory {
    entries: u64,
    held: Vec<u8>,
    spool_dir: PathBuf,
    spooled: Option<File>,
}

impl Directory {
    fn new(spool_dir: &Path) -> Self {
        Self {
            spool_dir: spool_dir.to_owned(),
            ..Self::default()
        }
    }

    fn add(&mut self, fields: &Fields<'_>) -> io::Result<()> {
        self.entries += 1;
        self.held.extend(fields.central());
        if self.held.len() < HELD_BYTES {
            return Ok(());
        }
        let spooled = match &mut self.spooled {
            Some(file) => file,
            none => none.insert(TempFile::create(open_dir(&self.spool_dir)?)?.unnamed()?),
        };
        spooled.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }

    /// Gives all of it, piece by piece.
    fn read(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(file) = &mut self.spooled {
            file.rewind()?;
            loop {
                let read = file.read(buffer)?;
                if read == 0 {
                    break;
                }
                take(&buffer[..read])?;
            }
        }
        take(&self.held)
    }
}
