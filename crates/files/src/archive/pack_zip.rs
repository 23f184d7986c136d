//! Writing a zip archive.

use std::{
    fs::Metadata,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use zip::{
    CompressionMethod, DateTime, ZipWriter,
    result::ZipError,
    write::{ExtendedFileOptions, FileOptions, StreamWriter},
};

use super::{pack::Packer, pipe::Pipe};

/// The fastest: whoever wants it small takes tar.zst.
const LEVEL: i64 = 1;
const COPY_BYTES: usize = 256 * 1024;
/// From here on sizes do not surely fit 32 bits: deflate may make a file a little larger.
const LARGE_BYTES: u64 = 0xf000_0000;
/// The header of the extended timestamp, Info-ZIP's "UT".
const EXTENDED_TIMESTAMP: u16 = 0x5455;

/// What marks a directory for readers that know no mode.
const DOS_DIRECTORY: u32 = 0x10;

type Options = FileOptions<'static, 'static, ExtendedFileOptions>;

/// A zip archive that is being written.
pub(super) struct ZipPacker {
    zip: ZipWriter<StreamWriter<Pipe>>,
    buffer: Vec<u8>,
}

impl ZipPacker {
    pub(super) fn new(pipe: Pipe) -> Self {
        Self {
            zip: ZipWriter::new_stream(pipe),
            buffer: vec![0; COPY_BYTES],
        }
    }

    fn options(metadata: &Metadata) -> io::Result<Options> {
        let mut options = Options::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            // The whole mode: `unix_permissions` would drop the set-id and sticky bits.
            .external_attributes(
                (metadata.mode() << 16) | (u32::from(metadata.is_dir()) * DOS_DIRECTORY),
            )
            .last_modified_time(dos_time(metadata.mtime()));
        // The time to the second; what does not fit its 32 bits has the other only.
        if let Ok(seconds) = i32::try_from(metadata.mtime()) {
            let mut field = vec![1];
            field.extend(seconds.to_le_bytes());
            options
                .add_extra_field(EXTENDED_TIMESTAMP, field, false)
                .map_err(into_io)?;
        }
        Ok(options)
    }
}

impl Packer for ZipPacker {
    fn directory(&mut self, name: &Path, metadata: &Metadata) -> io::Result<()> {
        let options = stored(Self::options(metadata)?);
        self.zip
            .add_directory(text(name)?, options)
            .map_err(into_io)
    }

    fn symlink(&mut self, name: &Path, metadata: &Metadata, target: &Path) -> io::Result<()> {
        let options = stored(Self::options(metadata)?);
        self.zip
            .add_symlink(text(name)?, text(target)?, options)
            .map_err(into_io)
    }

    fn file(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        let mut options = Self::options(metadata)?.large_file(size >= LARGE_BYTES);
        if size == 0 {
            options = stored(options);
        }
        self.zip.start_file(text(name)?, options).map_err(into_io)?;
        loop {
            let read = content.read(&mut self.buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.zip.write_all(&self.buffer[..read])?;
        }
    }

    fn finish(self) -> io::Result<()> {
        self.zip.finish().map_err(into_io)?.into_inner().finish()
    }
}

fn stored(options: Options) -> Options {
    options
        .compression_method(CompressionMethod::Stored)
        .compression_level(None)
}

/// Names in a zip archive are UTF-8; a name that is not cannot be told.
fn text(name: &Path) -> io::Result<&str> {
    std::str::from_utf8(name.as_os_str().as_bytes()).map_err(|_| {
        let name = name.display();
        io::Error::other(format!(
            "the name {name} is not UTF-8, which zip cannot hold"
        ))
    })
}

pub(super) fn into_io(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// A time in UTC as MS-DOS writes it: from 1980 on, to two seconds.
fn dos_time(seconds: i64) -> DateTime {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let small = |value: i64| u8::try_from(value).unwrap_or(0);
    let year = u16::try_from(year).unwrap_or(0);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    DateTime::from_date_and_time(
        year,
        small(month),
        small(day),
        small(hour),
        small(minute),
        small(second),
    )
    .unwrap_or_default()
}

/// The date of a day counted from 1970-01-01, after Howard Hinnant's "chrono-compatible
/// low-level date algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The other way round: the day counted from 1970-01-01.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(20_778), (2026, 11, 21));
        assert_eq!(civil(11_016), (2000, 2, 29));
        for days in -200_000..200_000 {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        let time = dos_time(1_795_222_861);
        assert_eq!((time.year(), time.month(), time.day()), (2026, 11, 21));
        assert_eq!(dos_time(-1), DateTime::default());
    }
}
