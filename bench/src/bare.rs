//! The peer of the exec rows: spawns `true` in a session of its own with two pipes, reads both
//! to their end, and waits for it. Nothing else.

use std::{
    ffi::CStr,
    fs::File,
    io::Read as _,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, ensure};
use nix::{
    fcntl::OFlag,
    libc,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::wait::{WaitStatus, waitpid},
    unistd::pipe2,
};

/// The program that both sides run.
pub(crate) const PROGRAM: &str = "/bin/true";

/// Runs `true` once.
pub(crate) fn run() -> anyhow::Result<()> {
    const PATH: &CStr = c"/bin/true";
    let (out, out_end) = pipe()?;
    let (err, err_end) = pipe()?;
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_dup2(out_end.as_raw_fd(), 1)?;
    actions.add_dup2(err_end.as_raw_fd(), 2)?;
    let mut attributes = PosixSpawnAttr::init()?;
    // nix does not name this one.
    let new_session = libc::c_int::from(libc::POSIX_SPAWN_SETSID);
    attributes.set_flags(PosixSpawnFlags::from_bits_retain(new_session))?;
    let no_variables: [&CStr; 0] = [];
    let pid = posix_spawn(PATH, &actions, &attributes, &[PATH], &no_variables);
    let pid = pid.context("cannot start true")?;
    drop((out_end, err_end));
    for pipe in [out, err] {
        let mut output = Vec::new();
        File::from(pipe).read_to_end(&mut output)?;
    }
    let status = waitpid(pid, None)?;
    ensure!(status == WaitStatus::Exited(pid, 0), "true: {status:?}");
    Ok(())
}

fn pipe() -> anyhow::Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).context("no pipe")
}
