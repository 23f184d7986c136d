//! Unpacking a tar archive that is compressed with Zstandard.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufReader, Read, Seek},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::{
    name::entry_path,
    stage::{Attributes, Stage, damaged},
    tar::{Kind, Member, Reader},
};
use crate::{Error, Result, path::shorten};

/// Headers are read block by block.
const READ_BYTES: usize = 64 * 1024;
/// What members get that do not say their permissions.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

pub(super) fn unpack(mut file: File, stage: &mut Stage, strip_components: usize) -> Result<()> {
    let broken = |error| damaged(Path::new("archive"), error);
    file.rewind().map_err(broken)?;
    let decoder = zstd::Decoder::new(file).map_err(broken)?;
    let mut reader = Reader::new(BufReader::with_capacity(READ_BYTES, decoder));
    while let Some(member) = reader.next()? {
        browserd_blocking::progress();
        stage.tally().add_entries(1)?;
        unpack_member(&member, &mut reader, stage, strip_components)?;
        skip_rest(&mut reader, stage)?;
    }
    Ok(())
}

fn unpack_member(
    member: &Member,
    content: &mut impl Read,
    stage: &mut Stage,
    strip_components: usize,
) -> Result<()> {
    let shown = shorten(OsStr::from_bytes(&member.name));
    let Some(path) = entry_path(&member.name, strip_components)? else {
        return Ok(());
    };
    let mode = match member.kind {
        Kind::Directory => DIRECTORY_MODE,
        _ => FILE_MODE,
    };
    let attributes = Attributes {
        mode: member.mode.unwrap_or(mode),
        modified: member.modified,
    };
    let target = || {
        let target = &member.link;
        if target.is_empty() || target.contains(&0) {
            return Err(Error::bad_archive(format!(
                "the link {shown:?} has no valid target"
            )));
        }
        Ok(target)
    };
    match member.kind {
        Kind::File => match &member.parts {
            None => stage.file(&path, attributes, member.size, content),
            Some(parts) => stage.sparse_file(&path, attributes, member.size, parts, content),
        },
        Kind::Directory => stage.directory(&path, attributes),
        Kind::Symlink => stage.symlink(&path, target()?, attributes),
        Kind::HardLink => {
            let to = entry_path(target()?, strip_components)?.ok_or_else(|| {
                Error::bad_archive(format!("the hard link {shown:?} is to a directory"))
            })?;
            stage.hard_link(&path, &to)
        }
        Kind::Special => Err(Error::bad_archive(format!(
            "the entry {shown:?} is neither a file, a directory nor a link"
        ))),
    }
}

/// Passes over content that is not unpacked. It counts as if it were: somebody reads it.
fn skip_rest(reader: &mut impl Read, stage: &mut Stage) -> Result<()> {
    let mut buffer = [0; 8192];
    loop {
        let read = reader.read(&mut buffer);
        match read.map_err(|error| damaged(Path::new("archive"), error))? {
            0 => return Ok(()),
            read => stage.tally().add_bytes(read as u64)?,
        }
    }
}
