//! Where in a file to begin: looking backwards from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::{memchr_iter, memmem, memrchr, memrchr_iter};

use super::file::OpenFile;
use crate::{Config, Start};

const BLOCK_BYTES: u64 = 256 * 1024;

/// The offset for a start that is in this file.
pub(super) fn offset(file: &OpenFile, config: &Config) -> io::Result<u64> {
    let length = file.metadata()?.len();
    match &config.start {
        Start::Beginning | Start::Resume { .. } => Ok(0),
        Start::LastLines(lines) if *lines > 0 => last_lines(file.file(), length, *lines),
        // What is written of a line comes with its rest, unless there will be none.
        Start::End | Start::LastMatch(_) | Start::LastLines(_) if config.follow => {
            line_start(file.file(), length, config.max_line_bytes)
        }
        Start::End | Start::LastMatch(_) | Start::LastLines(_) => Ok(length),
    }
}

/// The start of the last line that contains `needle` before `length`.
pub(super) fn last_match(
    file: &File,
    length: u64,
    needle: &[u8],
    max: usize,
) -> io::Result<Option<u64>> {
    let mut block = Vec::new();
    let mut end = length;
    loop {
        let start = end.saturating_sub(BLOCK_BYTES);
        // Blocks overlap, so that a match on their border is seen.
        read(
            file,
            &mut block,
            start,
            end + needle.len().saturating_sub(1) as u64,
        )?;
        if let Some(at) = memmem::rfind(&block, needle) {
            return line_start(file, start + at as u64, max).map(Some);
        }
        if start == 0 {
            return Ok(None);
        }
        end = start;
    }
}

/// The start of the line that `at` is in, but no more than `max` bytes before it.
pub(super) fn line_start(file: &File, at: u64, max: usize) -> io::Result<u64> {
    let lowest = at.saturating_sub(max as u64);
    let mut block = Vec::new();
    let mut end = at;
    while end > lowest {
        let start = end.saturating_sub(BLOCK_BYTES).max(lowest);
        read(file, &mut block, start, end)?;
        if let Some(newline) = memrchr(b'\n', &block) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    // A longer line: `at` itself is as good a place as any in it, and the only cheap one.
    Ok(if lowest == 0 { 0 } else { at })
}

/// The start of the last `lines` lines; a part of a line at the end is one.
fn last_lines(file: &File, length: u64, lines: u64) -> io::Result<u64> {
    let mut block = Vec::new();
    // The newline that ends the last line starts no other.
    let mut end = length;
    read(file, &mut block, length.saturating_sub(1), length)?;
    if block == b"\n" {
        end -= 1;
    }
    let mut left = lines;
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        read(file, &mut block, start, end)?;
        let here = memchr_iter(b'\n', &block).count() as u64;
        if here >= left {
            let nth = usize::try_from(left - 1).unwrap_or(usize::MAX);
            let newline = memrchr_iter(b'\n', &block).nth(nth).unwrap_or(0);
            return Ok(start + newline as u64 + 1);
        }
        left -= here;
        end = start;
    }
    Ok(0)
}

/// The bytes from `start` to `end`; fewer if the file has become shorter.
fn read(file: &File, block: &mut Vec<u8>, start: u64, end: u64) -> io::Result<()> {
    block.resize(usize::try_from(end - start).unwrap_or(usize::MAX), 0);
    let mut filled = 0;
    browserd_blocking::progress();
    while filled < block.len() {
        match file.read_at(&mut block[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(())
}
