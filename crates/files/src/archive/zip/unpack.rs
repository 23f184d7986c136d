//! Unpacking a zip archive.

use std::{fs::File, io::Read as _, path::Path};

use rustix::fs::Timespec;

use super::{end::Directory, entry::Entry};
use crate::{
    Result,
    archive::{
        name::entry_path,
        stage::{Attributes, Stage, damaged},
    },
};

const KIND: u32 = 0o170_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_DIRECTORY: u32 = 0o040_000;
const KIND_LINK: u32 = 0o120_000;
/// `PATH_MAX` of Linux.
const MAX_TARGET_BYTES: u64 = 4095;

/// Of entries with the same name the last counts, as `unzip` has it.
pub(in crate::archive) fn unpack(file: &File, stage: &mut Stage) -> Result<()> {
    let directory = Directory::find(file, stage.tally())?;
    // First all that can be refused by the directory alone.
    directory.each(file, |entry| {
        entry.check()?;
        place(entry).map(|_| ())
    })?;
    directory.each(file, |entry| match place(entry)? {
        Some(path) => unpack_entry(entry, &path, &directory, file, stage),
        // The destination itself is there already.
        None => Ok(()),
    })
}

fn place(entry: &Entry) -> Result<Option<std::path::PathBuf>> {
    // Dropbox names the folder that it packs so.
    if entry.name == b"/" {
        return Ok(None);
    }
    entry_path(&entry.name, 0)
}

fn unpack_entry(
    entry: &Entry,
    path: &Path,
    directory: &Directory,
    file: &File,
    stage: &mut Stage,
) -> Result<()> {
    let is_directory = entry.is_named_directory();
    let mode = entry.mode();
    let mode = mode.filter(|mode| !is_directory || mode & KIND == KIND_DIRECTORY);
    let attributes = |default| Attributes {
        mode: mode.map_or(default, |mode| mode & 0o7777),
        modified: entry.modified.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 }),
    };
    let kind = match mode.unwrap_or(0) & KIND {
        _ if is_directory => KIND_DIRECTORY,
        0 => KIND_FILE,
        kind => kind,
    };
    match kind {
        KIND_DIRECTORY if entry.size > 0 => {
            Err(entry.refused("is named as a directory and has content"))
        }
        KIND_DIRECTORY => stage.directory(path, attributes(0o755)),
        KIND_FILE => {
            let mut content = entry.open(file, directory.offset())?;
            stage.file(path, attributes(0o644), entry.size, &mut content)
        }
        KIND_LINK => {
            let content = entry.open(file, directory.offset())?;
            let mut target = Vec::new();
            let read = content.take(MAX_TARGET_BYTES + 1).read_to_end(&mut target);
            read.map_err(|error| damaged(path, error))?;
            let length = target.len() as u64;
            if target.is_empty() || target.contains(&0) || length > MAX_TARGET_BYTES {
                return Err(entry.refused("is a link and has no valid target"));
            }
            stage.symlink(path, &target, attributes(0o777))
        }
        _ => Err(entry.refused("is neither a file, a directory nor a link")),
    }
}
