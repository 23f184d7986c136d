//! Reading a zip archive.

use std::{
    borrow::Cow,
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use rustix::fs::Timespec;
use zip::{
    CompressionMethod, System, ZipArchive,
    extra_fields::ExtraField,
    read::{Config, ZipFile},
    result::ZipError,
};

use super::{
    name::entry_path,
    pack_zip::days_from_civil,
    stage::{Attributes, Stage, damaged},
    zip_end::Directory,
};
use crate::{Error, Result, path::shorten};

const READ_BYTES: usize = 64 * 1024;
const KIND: u32 = 0o170_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_DIRECTORY: u32 = 0o040_000;
const KIND_LINK: u32 = 0o120_000;
/// `PATH_MAX` of Linux.
const MAX_TARGET_BYTES: u64 = 4095;

pub(super) fn unpack(file: File, stage: &mut Stage) -> Result<()> {
    let directory = Directory::find(&file, stage.tally())?;
    let config = Config {
        archive_offset: directory.offset(),
    };
    let reader = BufReader::with_capacity(READ_BYTES, file);
    let mut archive = ZipArchive::with_config(config, reader).map_err(refuse)?;
    let paths = check(&archive)?;
    for (index, path) in paths.iter().enumerate() {
        let mut entry = archive.by_index(index).map_err(refuse)?;
        // The destination itself is there already.
        if let Some(path) = path {
            unpack_entry(&mut entry, path, stage)?;
        }
    }
    Ok(())
}

/// Refuses by the directory alone what can be refused by it. Returns each entry's place.
///
/// Of entries with the same name the crate keeps the last, as `unzip` does.
fn check<R: Read + std::io::Seek>(archive: &ZipArchive<R>) -> Result<Vec<Option<PathBuf>>> {
    let mut paths = Vec::with_capacity(archive.len());
    let mut seen = HashSet::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(refuse)?;
        let name = entry.name().map_err(refuse)?;
        let method = entry.compression();
        if !matches!(
            method,
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            return Err(Error::bad_archive(format!(
                "the entry {:?} is compressed with {method}, which is not supported",
                shorten(OsStr::new(&*name))
            )));
        }
        // Dropbox names the folder that it packs so.
        if name == "/" {
            paths.push(None);
            continue;
        }
        let path = entry_path(separated(&name, entry.system()).as_bytes(), 0)?;
        // Where it is also named in other words, the crate has lost which was the last.
        if let Some(path) = &path
            && !seen.insert(path.clone())
            && archive.has_duplicate_names()
        {
            return Err(Error::bad_archive(format!(
                "the entry {:?} is there several times, in different words",
                shorten(path.as_os_str())
            )));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// A name with slashes. Some programs on Windows, such as PowerShell 5, write backslashes.
fn separated(name: &str, system: System) -> Cow<'_, str> {
    if system == System::Dos && !name.contains('/') {
        return Cow::Owned(name.replace('\\', "/"));
    }
    Cow::Borrowed(name)
}

fn unpack_entry(entry: &mut ZipFile<'_, impl Read>, path: &Path, stage: &mut Stage) -> Result<()> {
    let name = entry.name().map_err(refuse)?;
    // Whatever its attributes say: many writers put those of a file there, or none.
    let is_directory = separated(&name, entry.system()).ends_with('/');
    let mode = mode(entry).filter(|mode| !is_directory || mode & KIND == KIND_DIRECTORY);
    let attributes = |default| Attributes {
        mode: mode.map_or(default, |mode| mode & 0o7777),
        modified: modified(entry),
    };
    if is_directory && entry.size() > 0 {
        let name = shorten(path.as_os_str());
        return Err(Error::bad_archive(format!(
            "the entry {name:?} is named as a directory and has content"
        )));
    }
    let kind = match mode.unwrap_or(0) & KIND {
        _ if is_directory => KIND_DIRECTORY,
        0 => KIND_FILE,
        kind => kind,
    };
    match kind {
        KIND_DIRECTORY => stage.directory(path, attributes(0o755)),
        KIND_FILE => {
            let (attributes, size) = (attributes(0o644), entry.size());
            stage.file(path, attributes, size, entry)
        }
        KIND_LINK => {
            let attributes = attributes(0o777);
            let mut target = Vec::new();
            let read = entry.take(MAX_TARGET_BYTES + 1).read_to_end(&mut target);
            read.map_err(|error| damaged(path, error))?;
            let length = target.len() as u64;
            if target.is_empty() || target.contains(&0) || length > MAX_TARGET_BYTES {
                let name = shorten(path.as_os_str());
                return Err(Error::bad_archive(format!(
                    "the link {name:?} has no valid target"
                )));
            }
            stage.symlink(path, &target, attributes)
        }
        _ => {
            let name = shorten(path.as_os_str());
            Err(Error::bad_archive(format!(
                "the entry {name:?} is neither a file, a directory nor a link"
            )))
        }
    }
}

/// The entry's whole mode, where it has one. The crate takes the set-id and sticky bits away.
fn mode(entry: &ZipFile<'_, impl Read>) -> Option<u32> {
    let mode = entry.unix_mode()?;
    if entry.system() == System::Unix {
        return Some(entry.external_attributes() >> 16);
    }
    Some(mode)
}

/// When the entry was modified: to the second where the archive says so, else to two, in UTC.
fn modified(entry: &ZipFile<'_, impl Read>) -> Option<Timespec> {
    let precise = entry.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    let seconds = if let Some(seconds) = precise {
        i64::from(seconds.cast_signed())
    } else {
        let time = entry.last_modified().filter(zip::DateTime::is_valid)?;
        let days = days_from_civil(time.year().into(), time.month().into(), time.day().into());
        let minutes = i64::from(time.hour()) * 60 + i64::from(time.minute());
        days * 86_400 + minutes * 60 + i64::from(time.second())
    };
    Some(Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    })
}

fn refuse(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => damaged(Path::new("archive"), error),
        other => Error::bad_archive(other.to_string()),
    }
}
