//! Descriptors kept in reserve, for what must not fail once a process runs: at the limit a
//! process would run that nobody can wait for, and orphans could not be found.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A directory and a file of it, and two for threads that are faster.
const COUNT: usize = 4;

static SPARE: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

fn spare() -> MutexGuard<'static, Vec<OwnedFd>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Completes the reserve. Whoever starts something does this first, and fails here at the limit,
/// before anything was done.
pub(crate) fn fill() -> io::Result<()> {
    complete(&mut spare())
}

/// Whether there is room for what libraries open that do not say what they failed at: for a
/// terminal, and for the files that users are looked up in.
pub(crate) fn room() -> io::Result<()> {
    const ROOM: usize = 8;
    let room: io::Result<Vec<File>> = (0..ROOM).map(|_| File::open("/dev/null")).collect();
    room.map(drop)
}

fn complete(spare: &mut Vec<OwnedFd>) -> io::Result<()> {
    while spare.len() < COUNT {
        spare.push(File::open("/dev/null")?.into());
    }
    Ok(())
}

/// Does what needs descriptors, with those of the reserve if there are no others.
pub(crate) fn with<T>(act: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let first = act();
    if !first.as_ref().is_err_and(is_at_limit) {
        return first;
    }
    let mut spare = spare();
    spare.clear();
    let second = act();
    // What cannot be kept again now is when the next process starts.
    let _ = complete(&mut spare);
    second
}

fn is_at_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
