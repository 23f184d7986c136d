//! What /proc tells about the Chromium processes of a profile.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

const DATA_DIR: &[u8] = b"--user-data-dir=";

/// The command line of a process.
#[derive(Debug)]
pub(super) struct CommandLine(Vec<u8>);

impl CommandLine {
    /// Reads it; `None` when the process is gone, or dead and not yet waited for.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        let end = self
            .0
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        self.0[..end].split(|&byte| byte == 0)
    }

    /// The line as one text, when the process has overwritten its arguments by one: Chromium's
    /// children do, with spaces between what were arguments (`setproctitle_linux.cc`).
    fn title(&self) -> Option<&[u8]> {
        let mut arguments = self.arguments();
        let only = arguments.next()?;
        (arguments.next().is_none() && find(only, b" --type=").is_some()).then_some(only)
    }

    /// Whether it is one of Chromium's child processes.
    pub(super) fn is_child(&self) -> bool {
        self.title().is_some() || self.arguments().any(|one| one.starts_with(b"--type="))
    }

    /// Whether it was started for this profile: by that very argument.
    pub(super) fn is_for(&self, data_dir: &Path) -> bool {
        let wanted = [DATA_DIR, data_dir.as_os_str().as_bytes()].concat();
        if let Some(title) = self.title() {
            let wanted = [b" ", wanted.as_slice()].concat();
            let rest = find(title, &wanted).map(|at| &title[at + wanted.len()..]);
            return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "));
        }
        self.arguments().any(|argument| argument == wanted)
    }

    /// The profile that it was started for, as it was written.
    pub(super) fn data_dir(&self) -> Option<PathBuf> {
        let value = self
            .arguments()
            .find_map(|argument| argument.strip_prefix(DATA_DIR))?;
        Some(PathBuf::from(OsStr::from_bytes(value)))
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The processes there are.
pub(super) fn all() -> std::io::Result<impl Iterator<Item = i32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// Whether a process is alive and a Chromium or Chrome, going by its name (`chromium`,
/// `chrome`, `chromium-browse`).
pub(super) fn is_browser(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("chrom"))
}

/// Where a process is.
pub(super) fn working_dir(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The process that started this one, told apart from another of the same number.
pub(super) fn supervisor() -> String {
    let pid = std::os::unix::process::parent_id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: field 22 is the moment of its start (proc(5)).
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let started = fields.split_ascii_whitespace().nth(19).unwrap_or_default();
    format!("{pid} {started}")
}
