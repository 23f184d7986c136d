//! What the directory of a zip archive says of an entry.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use flate2::{Crc, bufread::DeflateDecoder};

use super::{
    end::{u16_at, u32_at, u64_at},
    name::{Host, decode, separated},
    time::from_dos,
};
use crate::{Error, Result, archive::stage::damaged, path::shorten};

/// "central directory header", 4.3.12.
pub(super) const HEADER: &[u8; 4] = b"PK\x01\x02";
pub(super) const HEADER_BYTES: usize = 46;
/// "local file header", 4.3.7.
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const READ_BYTES: usize = 64 * 1024;
/// The flags of 4.4.4: encrypted, a name in UTF-8, a directory that is masked.
const ENCRYPTED: u16 = 1;
const UTF8: u16 = 1 << 11;
const MASKED: u16 = 1 << 13;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The extra fields of zip64, of Info-ZIP's times, and of its names in UTF-8.
const ZIP64: u16 = 1;
const TIMES: u16 = 0x5455;
const UNICODE_PATH: u16 = 0x7075;
/// The attributes of MS-DOS.
const READ_ONLY: u32 = 1;
const DIRECTORY: u32 = 0x10;

/// An entry, as the directory tells it.
#[derive(Debug)]
pub(super) struct Entry {
    /// With slashes between its parts.
    pub(super) name: Vec<u8>,
    pub(super) size: u64,
    host: Host,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    attributes: u32,
    pub(super) modified: Option<i64>,
    /// Where its own header is, from the beginning of the archive.
    at: u64,
}

impl Entry {
    /// Reads a header whose lengths were found to fit, with all that belongs to it.
    pub(super) fn parse(header: &[u8]) -> Result<Self> {
        let [name, extra] = [28, 30].map(|at| usize::from(u16_at(header, at)));
        let extra = &header[HEADER_BYTES + name..][..extra];
        let name = &header[HEADER_BYTES..][..name];
        let host = Host(header[5]);
        let flags = u16_at(header, 8);
        let decoded = match unicode_path(name, extra) {
            Some(decoded) if flags & UTF8 == 0 => Cow::Borrowed(decoded),
            _ => decode(name, flags & UTF8 != 0, host),
        };
        let mut entry = Self {
            name: separated(decoded, host).into_owned(),
            size: u32_at(header, 24).into(),
            host,
            flags,
            method: u16_at(header, 10),
            crc: u32_at(header, 16),
            packed: u32_at(header, 20).into(),
            attributes: u32_at(header, 38),
            modified: from_dos(u16_at(header, 12), u16_at(header, 14)),
            at: u32_at(header, 42).into(),
        };
        entry.take_zip64(extra)?;
        // To the second, where the archive says so.
        let times = field(extra, TIMES).filter(|times| times.len() >= 5 && times[0] & 1 != 0);
        if let Some(times) = times {
            entry.modified = Some(u32_at(times, 1).cast_signed().into());
        }
        Ok(entry)
    }

    /// What does not fit its field is in the extra field of zip64, one behind the other.
    fn take_zip64(&mut self, extra: &[u8]) -> Result<()> {
        let mut large = field(extra, ZIP64).unwrap_or_default();
        for value in [&mut self.size, &mut self.packed, &mut self.at] {
            // Without the field the number is what it is.
            if *value == u32::MAX.into() && field(extra, ZIP64).is_some() {
                let (number, rest) = large.split_at_checked(8).ok_or_else(|| {
                    Error::bad_archive("its directory has an entry without its zip64 sizes")
                })?;
                *value = u64_at(number, 0);
                large = rest;
            }
        }
        Ok(())
    }

    /// Refuses by the directory alone what can be refused by it.
    pub(super) fn check(&self) -> Result<()> {
        if self.flags & (ENCRYPTED | MASKED) != 0 {
            return Err(self.refused("is encrypted, which is not supported"));
        }
        let method = match self.method {
            STORED if self.packed != self.size => {
                return Err(self.refused("is stored and has two sizes"));
            }
            STORED | DEFLATED => return Ok(()),
            9 => "Deflate64",
            12 => "bzip2",
            14 => "LZMA",
            93 | 20 => "Zstandard",
            95 => "XZ",
            98 => "PPMd",
            99 => return Err(self.refused("is encrypted, which is not supported")),
            other => &format!("method {other}"),
        };
        Err(self.refused(&format!(
            "is compressed with {method}, which is not supported"
        )))
    }

    /// Whether it is a directory by its name, whatever its attributes say: many writers put those
    /// of a file there, or none.
    pub(super) fn is_named_directory(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// The whole mode, with the type, where it has one.
    pub(super) fn mode(&self) -> Option<u32> {
        let mode = self.attributes >> 16;
        if self.host.is_unix() {
            return (mode != 0).then_some(mode);
        }
        let is_directory = self.attributes & DIRECTORY != 0;
        let read_only = self.attributes & READ_ONLY != 0;
        match (self.host.is_dos(), is_directory, read_only) {
            (true, true, _) => Some(0o040_755),
            (true, false, true) => Some(0o100_444),
            _ => None,
        }
    }

    /// Its content. `offset` is where the archive begins in the file.
    pub(super) fn open<'a>(&self, file: &'a File, offset: u64) -> Result<Content<'a>> {
        let broken = |error| damaged(Path::new("archive"), error);
        let misplaced = || self.refused("is not where the directory says");
        let at = self.at.checked_add(offset).ok_or_else(misplaced)?;
        let mut local = [0; LOCAL_BYTES];
        file.read_exact_at(&mut local, at).map_err(broken)?;
        if !local.starts_with(LOCAL) {
            return Err(misplaced());
        }
        let lengths = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let at = at + LOCAL_BYTES as u64 + lengths;
        let packed = BufReader::with_capacity(READ_BYTES, At { file, at }.take(self.packed));
        Ok(Content {
            packed: match self.method {
                STORED => Packed::Stored(packed),
                _ => Packed::Deflated(DeflateDecoder::new(packed)),
            },
            // One more than it says tells that it has more.
            left: self.size.saturating_add(1),
            crc: Crc::new(),
            expected: self.crc,
        })
    }

    pub(super) fn refused(&self, why: &str) -> Error {
        let name = shorten(std::os::unix::ffi::OsStrExt::from_bytes(&self.name[..]));
        Error::bad_archive(format!("the entry {name:?} {why}"))
    }
}

/// The first extra field of a kind.
fn field(mut extra: &[u8], kind: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (head, rest) = extra.split_at(4);
        let (value, rest) = rest.split_at_checked(u16_at(head, 2).into())?;
        if u16_at(head, 0) == kind {
            return Some(value);
        }
        extra = rest;
    }
    None
}

/// A name that Info-ZIP has written in UTF-8 as well, unless the other was changed since.
fn unicode_path<'a>(name: &[u8], extra: &'a [u8]) -> Option<&'a [u8]> {
    let value = field(extra, UNICODE_PATH)?;
    let (head, decoded) = value.split_at_checked(5)?;
    let mut crc = Crc::new();
    crc.update(name);
    (head[0] == 1 && u32_at(head, 1) == crc.sum() && !decoded.is_empty()).then_some(decoded)
}

/// A file read from a place on, whoever else reads it.
#[derive(Debug)]
pub(super) struct At<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

type Bytes<'a> = BufReader<io::Take<At<'a>>>;

#[derive(Debug)]
enum Packed<'a> {
    Stored(Bytes<'a>),
    Deflated(DeflateDecoder<Bytes<'a>>),
}

/// The content of an entry. At its end the checksum is compared.
#[derive(Debug)]
pub(super) struct Content<'a> {
    packed: Packed<'a>,
    left: u64,
    crc: Crc,
    expected: u32,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let read = match &mut self.packed {
            Packed::Stored(bytes) => bytes.read(&mut buffer[..wanted])?,
            Packed::Deflated(decoder) => decoder.read(&mut buffer[..wanted])?,
        };
        if read == 0 && self.crc.sum() != self.expected {
            return Err(io::Error::other("its content has another checksum"));
        }
        self.crc.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_fields_are_found_or_not() {
        let extra = [&[2, 0, 1, 0, 9][..], &[1, 0, 2, 0, 7, 8], &[3, 0, 9, 0]].concat();
        assert_eq!(field(&extra, 2), Some(&[9][..]));
        assert_eq!(field(&extra, 1), Some(&[7, 8][..]));
        assert_eq!(field(&extra, 3), None);
        assert_eq!(field(&[], 1), None);
    }

    #[test]
    fn a_second_name_counts_for_the_first_only() {
        let mut crc = Crc::new();
        crc.update(b"name");
        let value = [&[1][..], &crc.sum().to_le_bytes(), "ñ".as_bytes()].concat();
        let extra = [&[0x75, 0x70, 7, 0][..], &value].concat();
        assert_eq!(unicode_path(b"name", &extra), Some("ñ".as_bytes()));
        assert_eq!(unicode_path(b"other", &extra), None);
    }
}
