//! Finds flags that this Chromium does not know. It takes no notice of such a flag and says
//! nothing, so a misspelt one is hard to see.
//!
//! Chromium has no list of its flags, but each flag's name is a string of its program. A name that
//! is not in the program cannot be known. One that is there may be something else's name: what is
//! told is certain, and not all that could be.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
};

use memchr::memmem::{Finder, find};
use rustix::{
    fs::{Advice, fadvise},
    process::setpriority_process,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 4 * 1024 * 1024;
/// The lowest priority there is: nothing waits for this.
const LAST: i32 = 19;
/// How a program's file begins.
const ELF: &[u8; 4] = b"\x7fELF";

/// The names of the flags among these words, each once.
pub(super) fn names<'a>(words: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for word in words {
        let Some(flag) = word.strip_prefix("--") else {
            continue;
        };
        let name = flag.split('=').next().unwrap_or_default();
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Logs which of these names the running program of this number does not know.
///
/// This blocks for as long as it takes to read the program, at the lowest priority.
pub(super) fn tell(pid: u32, names: Vec<String>) {
    // Of this thread alone, on Linux. Without it, it is quicker and in the way.
    let _ = setpriority_process(None, LAST);
    match open(pid).and_then(|file| missing(&file, &file, names)) {
        Ok(missing) => {
            for name in missing {
                tracing::warn!(flag = %format!("--{name}"), "Chromium knows no flag of this name, and takes no notice of it");
            }
        }
        // It has ended meanwhile, or its file cannot be found.
        Err(error) => tracing::debug!(%error, "flags are not looked up"),
    }
}

/// The program by the first word of the command line, which Debian's start script makes its path.
/// The kernel's own link to it is only for those who may trace the process.
fn open(pid: u32) -> io::Result<File> {
    let line = fs::read(format!("/proc/{pid}/cmdline"))?;
    // Chromium puts spaces between what were words.
    let ends = [line.iter().position(|&byte| byte == 0), find(&line, b" --")];
    let end = ends.into_iter().flatten().min().unwrap_or(line.len());
    let mut file = File::open(OsStr::from_bytes(&line[..end]))?;
    let mut magic = [0; ELF.len()];
    file.read_exact(&mut magic)?;
    if magic != *ELF {
        return Err(io::Error::other("it is no program but a script"));
    }
    Ok(file)
}

/// The names that do not stand in the program, as strings of C: with a zero behind.
fn missing(file: &File, mut program: impl Read, names: Vec<String>) -> io::Result<Vec<String>> {
    let terminated: Vec<String> = names.iter().map(|name| format!("{name}\0")).collect();
    let mut wanted: Vec<(String, Finder<'_>)> = names
        .into_iter()
        .zip(terminated.iter().map(Finder::new))
        .collect();
    let overlap = terminated.iter().map(String::len).max().unwrap_or_default();
    let mut window = Vec::with_capacity(overlap + CHUNK);
    let mut position = 0;
    while !wanted.is_empty() {
        let read = program
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut window)?;
        if read == 0 {
            break;
        }
        wanted.retain(|(_, finder)| finder.find(&window).is_none());
        let kept = window.len().saturating_sub(overlap);
        window.drain(..kept);
        // What Chromium has mapped stays; the rest shall not fill the memory.
        let _ = fadvise(file, position, None, Advice::DontNeed);
        position += read as u64;
    }
    Ok(wanted.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn names_are_those_of_flags() {
        let words = owned(&["--a=b=c", "about:blank", "--d", "--a=e", "--", "-x"]);
        assert_eq!(names(&words), ["a", "d"]);
    }

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        let mut program = vec![0; 2 * CHUNK];
        // Across the border of two chunks, at the end, and one that is but a part of another.
        program[CHUNK - 3..CHUNK + 3].copy_from_slice(b"border");
        program.extend_from_slice(b"xlast\0partial-name\0");
        let file = tempfile::tempfile().unwrap();
        let names = owned(&["border", "last", "partial", "none"]);
        let missing = missing(&file, program.as_slice(), names).unwrap();
        assert_eq!(missing, ["partial", "none"]);
    }
}
