//! Why Chromium ended: from its last lines, its exit status, and what the kernel did to it.
//!
//! What is told is a sentence of this file. Nothing of the log but the name of a library is in it,
//! for pages write into that log too.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use nix::sys::signal::Signal;
use rustix::fs::statvfs;
use tokio::time::{Instant, sleep};

/// How much of the log's end is looked at, in bytes.
const TAIL: u64 = 64 * 1024;
/// How long the last lines of one that never came up may take to get into the log, through
/// supervisord.
const LINES: Duration = Duration::from_secs(1);
/// The same for one that did, and is to be back soon. One that was killed has no last lines.
const LINES_OF_ONE_THAT_WORKED: Duration = Duration::from_millis(100);
/// How long to leave between two looks at it.
const PAUSE: Duration = Duration::from_millis(50);
/// Below this much room, in bytes, nothing can be written.
const NO_ROOM: u64 = 1024 * 1024;
/// What the launcher says before it starts Chromium.
pub(super) const STARTING: &str = "starting Chromium";
/// What Chromium says when it can be connected to.
const CAME_UP: &str = "DevTools listening on ";
/// How the dynamic linker begins when a library is not there.
const NO_LIBRARY: &str = "error while loading shared libraries: ";
/// Chromium's exit status when another one holds its profile (`RESULT_CODE_PROFILE_IN_USE`).
const PROFILE_IN_USE: i32 = 21;
/// Where the kernel counts those that it has ended for want of memory, by the version of cgroups.
const MEMORY_EVENTS: [&str; 2] = [
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
];

/// What each of these lines means.
const SIGNS: &[(&str, Cause)] = &[
    ("Failed to move to new namespace", Cause::Sandbox),
    ("No usable sandbox!", Cause::Sandbox),
    (
        "The SUID sandbox helper binary was found, but is not configured",
        Cause::Sandbox,
    ),
    (
        "sandbox/linux/suid/client/setuid_sandbox_host.cc",
        Cause::Sandbox,
    ),
    ("sandbox/linux/services/credentials.cc", Cause::Sandbox),
    ("No space left on device", Cause::Disk),
    (
        "The profile appears to be in use by another",
        Cause::Profile,
    ),
    (
        "pthread_create: Resource temporarily unavailable",
        Cause::Processes,
    ),
    ("fork: Resource temporarily unavailable", Cause::Processes),
    ("Cannot fork", Cause::Processes),
    ("Missing X server or $DISPLAY", Cause::Display),
    ("Read-only file system", Cause::ReadOnly),
    ("Permission denied (13)", Cause::Forbidden),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Sandbox,
    Disk,
    Profile,
    Processes,
    Display,
    Memory,
    ReadOnly,
    Forbidden,
}

impl Cause {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Sandbox => {
                "its sandbox is not allowed here: run the container with --security-opt \
                 seccomp=images/seccomp.json, or with CHROMIUM_FLAGS=--no-sandbox for pages that \
                 are trusted"
            }
            Self::Disk => "the disk is full",
            Self::Profile => "another Chromium uses its profile",
            Self::Processes => {
                "it may not start more processes or threads: give the container a larger --pids-limit"
            }
            Self::Display => "the X server is not there",
            Self::Memory => {
                "the kernel ended it for want of memory: give the container a larger --memory"
            }
            Self::ReadOnly => "it cannot write where it has to: a file system is read-only",
            Self::Forbidden => "it may not write where it has to",
        }
    }
}

/// Looks on from before the start.
#[derive(Debug)]
pub(super) struct Witness {
    log: PathBuf,
    data_dir: PathBuf,
    killed_for_memory: u64,
}

/// What became of Chromium.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// It could be connected to.
    pub(super) came_up: bool,
    /// It came up, and then somebody else ended it, or it did so itself in good order.
    pub(super) worked: bool,
    /// In a sentence; none where it ended as it should.
    pub(super) why: Option<String>,
}

impl Witness {
    /// Takes note of what is before the start.
    pub(super) fn new(log: &Path, data_dir: &Path) -> Self {
        Self {
            log: log.to_owned(),
            data_dir: data_dir.to_owned(),
            killed_for_memory: killed_for_memory(),
        }
    }

    /// Whether it has come up by now.
    pub(super) fn came_up(&self) -> bool {
        self.lines().contains(CAME_UP)
    }

    /// Tells why it ended, once its last lines are there.
    pub(super) async fn tell(&self, status: ExitStatus) -> Ended {
        let ended = Instant::now();
        let was_killed = status.signal() == Some(Signal::SIGKILL as i32);
        loop {
            let lines = self.lines();
            let came_up = lines.contains(CAME_UP);
            if status.success() {
                return Ended {
                    came_up,
                    worked: true,
                    why: None,
                };
            }
            let cause = self.cause(&lines, status);
            let patience = match came_up {
                true if was_killed => Duration::ZERO,
                true => LINES_OF_ONE_THAT_WORKED,
                false => LINES,
            };
            if cause.is_some() || ended.elapsed() >= patience {
                let why = Some(sentence(status, cause.as_deref()));
                return Ended {
                    came_up,
                    worked: came_up && was_killed && cause.is_none(),
                    why,
                };
            }
            sleep(PAUSE).await;
        }
    }

    fn cause(&self, lines: &str, status: ExitStatus) -> Option<String> {
        // What the kernel has counted is more certain than any line.
        let killed = status.signal() == Some(Signal::SIGKILL as i32);
        if killed && killed_for_memory() > self.killed_for_memory {
            return Some(Cause::Memory.sentence().to_owned());
        }
        said(lines, status).or_else(|| {
            let room = statvfs(&self.data_dir).ok()?;
            let full = room.f_bavail * room.f_frsize < NO_ROOM;
            full.then(|| Cause::Disk.sentence().to_owned())
        })
    }

    /// What was said since the last start.
    fn lines(&self) -> String {
        let tail = tail(&self.log).unwrap_or_default();
        let from = tail.rfind(STARTING).unwrap_or(0);
        tail[from..].to_owned()
    }
}

/// What the last lines say, of which the last that means something counts.
fn said(lines: &str, status: ExitStatus) -> Option<String> {
    // A page's own lines.
    let lines = || lines.lines().filter(|line| !line.contains(":CONSOLE"));
    if status.code() == Some(127)
        && let Some(line) = lines().find_map(|line| line.split(NO_LIBRARY).nth(1))
    {
        let name: String = line.chars().take_while(|&c| c != ':').collect();
        return Some(format!("the library {name} is not there"));
    }
    if status.code() == Some(PROFILE_IN_USE) {
        return Some(Cause::Profile.sentence().to_owned());
    }
    let cause = lines().find_map(|line| {
        let sign = SIGNS.iter().find(|(sign, _)| line.contains(sign));
        sign.map(|(_, cause)| *cause)
    })?;
    Some(cause.sentence().to_owned())
}

fn sentence(status: ExitStatus, cause: Option<&str>) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("Chromium ended with status {code}"),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
            format!("Chromium was killed by {name}")
        }
    };
    match cause {
        Some(cause) => format!("{how}: {cause}"),
        None => how,
    }
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How many processes of this machine the kernel has ended for want of memory.
fn killed_for_memory() -> u64 {
    let texts = MEMORY_EVENTS
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    texts.filter_map(|text| counted(&text)).sum()
}

fn counted(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABORTED: i32 = 6;

    fn killed(signal: i32) -> ExitStatus {
        ExitStatus::from_raw(signal)
    }

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    async fn told(log: &str, status: ExitStatus) -> Ended {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, log).unwrap();
        Witness::new(&path, dir.path()).tell(status).await
    }

    #[tokio::test]
    async fn the_cause_is_in_the_last_lines() {
        for (line, status, part) in [
            (
                "Failed to move to new namespace: PID namespaces supported, but failed: errno = \
                 Operation not permitted",
                killed(ABORTED),
                "Chromium was killed by SIGABRT: its sandbox is not allowed here",
            ),
            (
                "/usr/lib/chromium/chromium: error while loading shared libraries: libnspr4.so: \
                 cannot open shared object file",
                exited(127),
                "Chromium ended with status 127: the library libnspr4.so is not there",
            ),
            (
                "write: No space left on device (28)",
                exited(1),
                "the disk is full",
            ),
            ("", exited(21), "another Chromium uses its profile"),
            (
                "[1:1:FATAL:platform_thread_posix.cc(1)] pthread_create: Resource temporarily \
                 unavailable (11)",
                killed(5),
                "--pids-limit",
            ),
        ] {
            let ended = told(&format!("{STARTING}\n{line}\n[1:1] more\n"), status).await;
            let why = ended.why.unwrap();
            assert!(why.contains(part), "{line}: {why}");
            assert!(!ended.came_up);
        }
    }

    #[tokio::test]
    async fn what_is_not_known_is_not_guessed() {
        let before = format!("Cannot fork\n{STARTING}\n{CAME_UP}ws://x\n");
        let ended = told(&before, killed(9)).await;
        assert_eq!(ended.why.as_deref(), Some("Chromium was killed by SIGKILL"));
        assert!(ended.came_up && ended.worked);
        let ended = told(&before, killed(ABORTED)).await;
        assert!(ended.came_up && !ended.worked);
        let page = format!("{STARTING}\n[1:1:INFO:CONSOLE] \"Cannot fork\"\n");
        let ended = told(&page, exited(3)).await;
        assert_eq!(ended.why.as_deref(), Some("Chromium ended with status 3"));
        assert_eq!(told("", exited(0)).await.why, None);
    }

    #[test]
    fn the_kernels_count_is_read() {
        assert_eq!(counted("low 0\noom 4\noom_kill 3\n"), Some(3));
        assert_eq!(
            counted("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            Some(2)
        );
        assert_eq!(counted("low 0\n"), None);
    }
}
