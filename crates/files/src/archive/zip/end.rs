//! Finding the directory of a zip archive, and reading it entry by entry.
//!
//! Nothing of it is taken into memory at once. What says where it is, how long it is and how many
//! entries it has is compared with what is there.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use super::entry::{At, Entry, HEADER, HEADER_BYTES};
use crate::{
    Error, Result,
    archive::{limits::Tally, stage::damaged},
};

/// "end of central directory record", 4.3.16.
const END: &[u8; 4] = b"PK\x05\x06";
const END_BYTES: usize = 22;
/// "zip64 end of central directory locator", 4.3.15.
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const LOCATOR_BYTES: usize = 20;
/// "zip64 end of central directory record", 4.3.14, in its version without extensible data.
const END64: &[u8; 4] = b"PK\x06\x06";
const END64_BYTES: usize = 56;
/// "digital signature", 4.3.13: it may follow the last header.
const SIGNATURE: &[u8; 4] = b"PK\x05\x05";
/// The end is looked for where the longest comment lets it be.
const SEARCHED_BYTES: u64 = 65_535 + END_BYTES as u64;
/// An ordinary directory of 100,000 entries takes a quarter of it.
const MAX_DIRECTORY_BYTES: u64 = 64 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// Where the directory of an archive is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directory {
    start: u64,
    bytes: u64,
    entries: u64,
    /// What stands before the archive in its file: a program that unpacks it.
    offset: u64,
}

/// What the end record says, or the one of zip64 in its place.
struct Claims {
    entries: u64,
    bytes: u64,
    start: u64,
    one_disk: bool,
    /// Where the directory ends.
    end: u64,
}

impl Directory {
    /// Finds the directory, and counts its entries as the archive's.
    pub(super) fn find(file: &File, tally: &mut Tally) -> Result<Self> {
        let length = file.metadata().map_err(broken)?.len();
        let claims = claims(file, length)?;
        tally.add_entries(usize::try_from(claims.entries).unwrap_or(usize::MAX))?;
        if claims.bytes > MAX_DIRECTORY_BYTES {
            return Err(Error::ArchiveTooLarge {
                reason: format!("its directory has more than {MAX_DIRECTORY_BYTES} bytes"),
            });
        }
        let Some(start) = claims.start_in(file)? else {
            return Err(Error::bad_archive("its directory is not where it says"));
        };
        let found = Self {
            start,
            bytes: claims.bytes,
            entries: claims.entries,
            offset: start - claims.start,
        };
        found.walk(file)?;
        Ok(found)
    }

    /// Where the archive begins in its file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the entries, one after the other.
    pub(super) fn each(
        &self,
        file: &File,
        mut work: impl FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let mut reader = BufReader::with_capacity(
            READ_BYTES,
            At {
                file,
                at: self.start,
            },
        );
        let mut header = Vec::new();
        for _ in 0..self.entries {
            header.resize(HEADER_BYTES, 0);
            reader.read_exact(&mut header).map_err(broken)?;
            header.resize(HEADER_BYTES + rest_of(&header), 0);
            let rest = &mut header[HEADER_BYTES..];
            reader.read_exact(rest).map_err(broken)?;
            work(&Entry::parse(&header)?)?;
        }
        Ok(())
    }

    /// Makes sure that it has as many entries as it says, and nothing behind them.
    fn walk(&self, file: &File) -> Result<()> {
        let mut reader = BufReader::with_capacity(READ_BYTES, file);
        reader.seek(SeekFrom::Start(self.start)).map_err(broken)?;
        let mut left = self.bytes;
        let fixed = HEADER_BYTES as u64;
        let mut header = [0; HEADER_BYTES];
        for _ in 0..self.entries {
            if left < fixed {
                return Err(miscounted(self.entries));
            }
            reader.read_exact(&mut header).map_err(broken)?;
            let rest = rest_of(&header) as u64;
            if !header.starts_with(HEADER) || left - fixed < rest {
                return Err(miscounted(self.entries));
            }
            left -= fixed + rest;
            let rest = i64::try_from(rest).unwrap_or(i64::MAX);
            reader.seek_relative(rest).map_err(broken)?;
        }
        let mut next = [0; 4];
        if left >= 4 {
            reader.read_exact(&mut next).map_err(broken)?;
        }
        if left == 0 || &next == SIGNATURE {
            return Ok(());
        }
        Err(miscounted(self.entries))
    }
}

impl Claims {
    /// Where the directory begins in the file: right before the end record, so that what stands
    /// before the archive moves it; or else, as `unzip` has it, where it says, so that what
    /// stands between the two, such as another end record, is passed over.
    fn start_in(&self, file: &File) -> Result<Option<u64>> {
        if !self.one_disk {
            return Ok(None);
        }
        let moved = self.end.checked_sub(self.bytes);
        let moved = moved.filter(|start| *start >= self.start);
        let told = self.start.checked_add(self.bytes);
        let told = told.filter(|end| *end <= self.end).map(|_| self.start);
        for start in [moved, told].into_iter().flatten() {
            let mut signature = [0; 4];
            if self.entries > 0 {
                file.read_exact_at(&mut signature, start).map_err(broken)?;
            }
            if self.entries == 0 || &signature == HEADER {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }
}

/// Reads the last end record of the file.
fn claims(file: &File, length: u64) -> Result<Claims> {
    let from = length.saturating_sub(SEARCHED_BYTES);
    let mut tail = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut tail, from).map_err(broken)?;
    let Some(at) = last_end(&tail) else {
        return Err(Error::bad_archive("it has no end record"));
    };
    let end = &tail[at..];
    let position = from + at as u64;
    let claims = Claims {
        entries: u16_at(end, 10).into(),
        bytes: u32_at(end, 12).into(),
        start: u32_at(end, 16).into(),
        one_disk: end[4..8] == [0; 4] && end[8..10] == end[10..12],
        end: position,
    };
    let Some(locator_at) = position.checked_sub(LOCATOR_BYTES as u64) else {
        return Ok(claims);
    };
    let mut locator = [0; LOCATOR_BYTES];
    file.read_exact_at(&mut locator, locator_at)
        .map_err(broken)?;
    if !locator.starts_with(LOCATOR) {
        return Ok(claims);
    }
    let large = zip64(file, locator_at, &locator)?;
    let placeholder = (claims.entries, claims.bytes, claims.start);
    let is_placeholder = placeholder.0 == u16::MAX.into()
        || placeholder.1 == u32::MAX.into()
        || placeholder.2 == u32::MAX.into();
    // Where nothing is too large for it, some readers take the one, and some the other.
    let same = placeholder == (large.entries, large.bytes, large.start);
    if !is_placeholder && !same {
        return Err(Error::bad_archive("its end records do not say the same"));
    }
    Ok(large)
}

/// Reads the record of zip64, which stands right before its locator.
fn zip64(file: &File, locator_at: u64, locator: &[u8]) -> Result<Claims> {
    let misplaced = || Error::bad_archive("its zip64 end record is not where it says");
    let position = locator_at.checked_sub(END64_BYTES as u64);
    let position = position.ok_or_else(misplaced)?;
    let mut end = [0; END64_BYTES];
    file.read_exact_at(&mut end, position).map_err(broken)?;
    let claims = Claims {
        entries: u64_at(&end, 32),
        bytes: u64_at(&end, 40),
        start: u64_at(&end, 48),
        one_disk: end[16..24] == [0; 8] && end[24..32] == end[32..40] && locator[4..8] == [0; 4],
        end: position,
    };
    let record_bytes = (END64_BYTES - 12) as u64;
    if !end.starts_with(END64) || u64_at(&end, 4) != record_bytes || u32_at(locator, 16) > 1 {
        return Err(misplaced());
    }
    // What stands before the archive moves the record and the directory alike.
    let moved = position.checked_sub(u64_at(locator, 8));
    let directory = claims.start.checked_add(claims.bytes);
    if moved.is_none() || moved != directory.and_then(|end| position.checked_sub(end)) {
        return Err(misplaced());
    }
    Ok(claims)
}

/// The last end record whose comment ends within the file.
fn last_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_BYTES)?;
    (0..=last).rev().find(|at| {
        let record = &tail[*at..];
        let comment = usize::from(u16_at(record, 20));
        record.starts_with(END) && END_BYTES + comment <= record.len()
    })
}

/// How long the name, the extra fields and the comment behind a header are.
fn rest_of(header: &[u8]) -> usize {
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(header, at)));
    lengths.iter().sum()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn miscounted(entries: u64) -> Error {
    Error::bad_archive(format!(
        "its directory does not have the {entries} entries that it says"
    ))
}

fn broken(error: io::Error) -> Error {
    damaged(Path::new("archive"), error)
}
