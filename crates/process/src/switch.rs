//! Becoming another user on the way to a program.
//!
//! The kernel lets a process become another user; `posix_spawn(3)` has no step for it. So the
//! daemon's own program is started first, as the daemon's user and without an environment. It is
//! told the rest over a socket, becomes the user, and then the program:
//!
//! ```text
//! daemon ── posix_spawn ──► helper ── setgroups, setresgid, setresuid, chdir, execve ──► program
//!        ══ who and what ═►        ══ at what it failed; or the end, as the socket closes ═►
//! ```
//!
//! Nothing of the daemon's memory is in the helper while it is the user's, and no variable of the
//! user's (`LD_PRELOAD`) is in force while it is not.

use std::ffi::{CStr, CString};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::unistd::{Gid, Uid};

use crate::children::Own;
use crate::launch::{Failure, Step, Strings};
use crate::sys::{self, Plan, Stdio};
use crate::user::Ids;

/// The descriptor of the socket in the helper.
const LINK: i32 = 3;
/// The exit code of a helper that did not become the program.
const FAILED: u8 = 127;

/// What is started to become another user. It has to call [`become_program`] first of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The path of the program.
    pub program: PathBuf,
    /// The only argument, by which it knows what it is started for.
    pub argument: String,
}

impl Switch {
    /// This very program, with this as its argument.
    #[must_use]
    pub fn itself(argument: impl Into<String>) -> Self {
        Self {
            program: "/proc/self/exe".into(),
            argument: argument.into(),
        }
    }

    /// Starts a process that becomes a user, and then a program. Returns when it runs that.
    pub(crate) fn start(
        &self,
        strings: &Strings,
        ids: &Ids,
        stdio: Stdio<'_>,
    ) -> Result<Own, Failure> {
        let failed = |source| Failure {
            step: Step::User,
            source,
        };
        let path = CString::new(self.program.clone().into_os_string().into_vec());
        let argument = CString::new(self.argument.as_str());
        let (Ok(path), Ok(argument)) = (path, argument) else {
            return Err(failed(io::Error::other("the helper's name has a NUL byte")));
        };
        let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
        let plan = Plan {
            path: &path,
            argv: &[path.clone(), argument],
            envp: &[],
            cwd: None,
            stdio,
            link: Some(theirs.as_fd()),
        };
        let own = Own::start(|| sys::spawn(&plan)).map_err(failed)?;
        drop(theirs);
        match tell(&mut ours, strings, ids) {
            Ok(None) => Ok(own),
            Ok(Some(failure)) => {
                own.reap();
                Err(failure)
            }
            Err(error) => {
                let _ = sys::signal_process(own.pidfd().as_fd(), Some(crate::Signal::KILL));
                own.reap();
                Err(failed(error))
            }
        }
    }
}

/// Tells the helper what to become, and hears what came of it.
fn tell(link: &mut UnixStream, strings: &Strings, ids: &Ids) -> io::Result<Option<Failure>> {
    link.write_all(&encode(strings, ids))?;
    link.shutdown(Shutdown::Write)?;
    let mut reply = Vec::new();
    link.read_to_end(&mut reply)?;
    let Some((step, errno)) = reply.split_first() else {
        return Ok(None);
    };
    let step = match step {
        1 => Step::User,
        2 => Step::Cwd,
        _ => Step::Exec,
    };
    let errno = errno.first_chunk().map_or(0, |it| i32::from_le_bytes(*it));
    Ok(Some(Failure {
        step,
        source: io::Error::from_raw_os_error(errno),
    }))
}

/// Becomes the user and the program that it is told. To be called first in the `main` of a
/// program that was started with a [`Switch`]'s argument. Returns when it could not.
#[must_use]
pub fn become_program() -> ExitCode {
    let Ok(link) = sys::inherited(LINK) else {
        // Somebody tries what it does.
        return ExitCode::from(FAILED);
    };
    let mut link = UnixStream::from(link);
    let mut told = Vec::new();
    let Some(told) = link.read_to_end(&mut told).ok().and_then(|_| decode(&told)) else {
        return ExitCode::from(FAILED);
    };
    let (step, errno) = become_told(&told);
    let errno = errno as i32;
    let reply = [&[step as u8][..], &errno.to_le_bytes()].concat();
    let _ = link.write_all(&reply);
    ExitCode::from(FAILED)
}

/// Returns only with what went wrong.
fn become_told((strings, ids): &(Strings, Ids)) -> (Step, nix::Error) {
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    let groups: Vec<Gid> = ids.groups.iter().copied().map(Gid::from_raw).collect();
    let switched = nix::unistd::setgroups(&groups)
        .and_then(|()| nix::unistd::setresgid(gid, gid, gid))
        .and_then(|()| nix::unistd::setresuid(uid, uid, uid));
    if let Err(error) = switched {
        return (Step::User, error);
    }
    if let Some(cwd) = &strings.cwd
        && let Err(error) = nix::unistd::chdir(cwd.as_c_str())
    {
        return (Step::Cwd, error);
    }
    sys::default_sigpipe();
    let run = |path: &CString| -> io::Result<()> {
        let Err(error) = nix::unistd::execve(path, &strings.argv, &strings.envp);
        Err(error.into())
    };
    let error = try_each(&strings.candidates, run).err();
    let errno = error.and_then(|error| error.raw_os_error());
    (Step::Exec, nix::Error::from_raw(errno.unwrap_or(0)))
}

/// Tries the candidates in the manner of execvp(3). The error is the one that says most.
pub(crate) fn try_each<T>(
    candidates: &[CString],
    mut run: impl FnMut(&CString) -> io::Result<T>,
) -> io::Result<T> {
    let mut said = io::Error::from_raw_os_error(libc::ENOENT);
    for path in candidates {
        let error = match run(path) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => {}
            Some(libc::EACCES) => said = error,
            _ => return Err(error),
        }
    }
    Err(said)
}

fn encode(strings: &Strings, ids: &Ids) -> Vec<u8> {
    let mut text = Vec::new();
    let number = |number: usize| {
        // Nothing of it is longer than the memory of a start.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        number.to_le_bytes()
    };
    text.extend(ids.uid.to_le_bytes());
    text.extend(ids.gid.to_le_bytes());
    text.extend(number(ids.groups.len()));
    for group in &ids.groups {
        text.extend(group.to_le_bytes());
    }
    let cwd: Vec<CString> = strings.cwd.iter().cloned().collect();
    for list in [&cwd, &strings.candidates, &strings.argv, &strings.envp] {
        text.extend(number(list.len()));
        for string in list {
            text.extend_from_slice(string.as_bytes_with_nul());
        }
    }
    text
}

fn decode(mut text: &[u8]) -> Option<(Strings, Ids)> {
    let text = &mut text;
    let (uid, gid) = (take_number(text)?, take_number(text)?);
    let groups = take_number(text)?;
    let groups = (0..groups)
        .map(|_| take_number(text))
        .collect::<Option<_>>();
    let ids = Ids {
        uid,
        gid,
        groups: groups?,
    };
    let cwd = take_list(text)?.pop();
    let strings = Strings {
        cwd,
        candidates: take_list(text)?,
        argv: take_list(text)?,
        envp: take_list(text)?,
    };
    text.is_empty().then_some((strings, ids))
}

fn take_number(text: &mut &[u8]) -> Option<u32> {
    let (number, rest) = text.split_first_chunk()?;
    *text = rest;
    Some(u32::from_le_bytes(*number))
}

fn take_list(text: &mut &[u8]) -> Option<Vec<CString>> {
    let count = take_number(text)?;
    let take = |_| {
        let string = CStr::from_bytes_until_nul(text).ok()?;
        *text = &text[string.to_bytes_with_nul().len()..];
        Some(string.to_owned())
    };
    (0..count).map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let strings = Strings {
            candidates: vec![c"/bin/a".into(), c"/usr/bin/a".into()],
            argv: vec![c"a".into(), c"".into(), c"b c\n".into()],
            envp: vec![],
            cwd: Some(c"/tmp".into()),
        };
        let ids = Ids {
            uid: 61_234,
            gid: 7,
            groups: vec![1, 2, 3],
        };
        let told = encode(&strings, &ids);
        let (again, their_ids) = decode(&told).unwrap();
        assert_eq!(format!("{again:?}"), format!("{strings:?}"));
        assert_eq!(their_ids, ids);
        for cut in 0..told.len() {
            assert!(decode(&told[..cut]).is_none(), "{cut}");
        }
    }
}
