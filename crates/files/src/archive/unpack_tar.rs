//! Reading a tar archive that is compressed with Zstandard.

use std::{
    cell::Cell,
    ffi::OsStr,
    fs::File,
    io::{self, Read, Seek},
    os::unix::ffi::OsStrExt,
    path::Path,
    rc::Rc,
};

use rustix::fs::Timespec;
use tar::{Archive, Entry, EntryType};

use super::{
    name::entry_path,
    stage::{Attributes, Stage, damaged},
};
use crate::{Error, Result, path::shorten};

/// Between two entries there are headers and extended headers, no more than this.
const MAX_HEADER_BYTES: u64 = 1024 * 1024;
/// The label of a volume, by GNU tar.
const LABEL: u8 = b'V';
/// A directory in an incremental archive of GNU tar.
const INCREMENTAL_DIRECTORY: u8 = b'D';
/// Behind the last entry there are zeros, no more than this.
const MAX_TRAILER_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn unpack(mut file: File, stage: &mut Stage, strip_components: usize) -> Result<()> {
    let broken = |error| damaged(Path::new("archive"), error);
    file.rewind().map_err(broken)?;
    let meter = Meter::default();
    let mut archive = Archive::new(Metered {
        reader: zstd::Decoder::new(file).map_err(broken)?,
        meter: meter.clone(),
    });
    let mut entries = archive.entries().map_err(not_whole)?;
    loop {
        meter.allow(MAX_HEADER_BYTES);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(not_whole)?;
        meter.allow(u64::MAX);
        stage.tally().add_entries(1)?;
        unpack_entry(&mut entry, stage, strip_components)?;
        io::copy(&mut entry, &mut io::sink()).map_err(not_whole)?;
    }
    if meter.ended() {
        return Err(Error::bad_archive("it ends in the middle"));
    }
    // Only at its end the compressed stream says whether it is whole.
    meter.allow(MAX_TRAILER_BYTES);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(not_whole)?;
    Ok(())
}

fn unpack_entry(
    entry: &mut Entry<'_, impl Read>,
    stage: &mut Stage,
    strip_components: usize,
) -> Result<()> {
    let name = entry.path_bytes().into_owned();
    let kind = entry.header().entry_type();
    // A volume's label is no file.
    if kind == EntryType::XGlobalHeader || kind.as_byte() == LABEL {
        return Ok(());
    }
    let shown = shorten(OsStr::from_bytes(&name));
    if let Some(what) = unsupported(entry)? {
        return Err(Error::bad_archive(format!(
            "the entry {shown:?} is {what}, which is not supported"
        )));
    }
    let Some(path) = entry_path(&name, strip_components)? else {
        return Ok(());
    };
    let attributes = attributes(entry).map_err(|error| damaged(&path, error))?;
    let target = || {
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        target
            .filter(|it| !it.is_empty() && !it.contains(&0))
            .ok_or_else(|| Error::bad_archive(format!("the link {shown:?} has no target")))
    };
    match kind {
        EntryType::Directory => stage.directory(&path, attributes),
        // Its content is a list of names, for those who restore increments.
        _ if kind.as_byte() == INCREMENTAL_DIRECTORY => stage.directory(&path, attributes),
        // Old archives mark directories by their name.
        EntryType::Regular if name.ends_with(b"/") => stage.directory(&path, attributes),
        EntryType::Symlink => stage.symlink(&path, &target()?, attributes),
        EntryType::Link => {
            let target = target()?;
            let to = entry_path(&target, strip_components)?.ok_or_else(|| {
                Error::bad_archive(format!("the hard link {shown:?} is to a directory"))
            })?;
            stage.hard_link(&path, &to)
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => Err(Error::bad_archive(format!(
            "the entry {shown:?} is neither a file, a directory nor a link"
        ))),
        // A type that is not known is a regular file, by the ustar format of POSIX.
        _ => {
            let size = entry.size();
            stage.file(&path, attributes, size, entry)
        }
    }
}

/// What an entry is that would come out as something else than it was.
fn unsupported(entry: &mut Entry<'_, impl Read>) -> Result<Option<&'static str>> {
    let what = match entry.header().entry_type().as_byte() {
        b'A' => Some("an access control list of Solaris"),
        b'E' => Some("an extended attribute of Solaris"),
        b'I' => Some("an inode without content"),
        b'M' => Some("the rest of a file from another volume"),
        b'N' => Some("a list of long names of an old GNU tar"),
        b'X' => Some("an extended header of Solaris"),
        _ => None,
    };
    if what.is_some() {
        return Ok(what);
    }
    let Some(extensions) = entry.pax_extensions().map_err(not_whole)? else {
        return Ok(None);
    };
    for extension in extensions {
        let extension = extension.map_err(not_whole)?;
        if extension.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(Some("a sparse file in pax format"));
        }
    }
    Ok(None)
}

fn attributes(entry: &mut Entry<'_, impl Read>) -> io::Result<Attributes> {
    let mut modified = Timespec {
        tv_sec: header_time(entry.header())?,
        tv_nsec: 0,
    };
    let mode = entry.header().mode()?;
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            if extension.key_bytes() == b"mtime" {
                let text = extension.value().unwrap_or_default();
                modified = pax_time(text).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "it has no valid time")
                })?;
            }
        }
    }
    Ok(Attributes {
        mode,
        modified: Some(modified),
    })
}

/// The time in the header itself. GNU tar writes one before 1970 as a number of two's complement
/// to the base 256, whose first byte is 255; the crate knows none that is negative.
fn header_time(header: &tar::Header) -> io::Result<i64> {
    match header.as_old().mtime {
        [0xff, 0xff, 0xff, 0xff, seconds @ ..] => Ok(i64::from_be_bytes(seconds)),
        _ => Ok(i64::try_from(header.mtime()?).unwrap_or(i64::MAX)),
    }
}

/// A time as pax headers write it: seconds, with a fraction or without.
fn pax_time(text: &str) -> Option<Timespec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let tv_sec: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    if seconds.starts_with('-') && nanoseconds > 0 {
        return Some(Timespec {
            tv_sec: tv_sec.checked_sub(1)?,
            tv_nsec: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Timespec {
        tv_sec,
        tv_nsec: nanoseconds,
    })
}

fn not_whole(error: io::Error) -> Error {
    damaged(Path::new("archive"), error)
}

/// How much may still be read, and whether the end was met.
#[derive(Debug, Clone, Default)]
struct Meter(Rc<(Cell<u64>, Cell<bool>)>);

impl Meter {
    fn allow(&self, bytes: u64) {
        self.0.0.set(bytes);
    }

    fn ended(&self) -> bool {
        self.0.1.get()
    }
}

/// Keeps what the archive reader takes into memory within bounds: the length of an extended
/// header is whatever the archive says.
struct Metered<R> {
    reader: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (left, ended) = &*self.meter.0;
        let read = self.reader.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            ended.set(true);
        }
        match left.get().checked_sub(read as u64) {
            Some(now) => left.set(now),
            None => return Err(io::Error::other("its headers are too long")),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_times_are_read() {
        for (text, expected) in [
            ("12", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.1234567899", Some((12, 123_456_789))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-3", Some((-3, 0))),
            ("", None),
            ("x", None),
            ("1.x", None),
        ] {
            let read = pax_time(text).map(|time| (time.tv_sec, time.tv_nsec));
            assert_eq!(read, expected, "{text}");
        }
    }
}
