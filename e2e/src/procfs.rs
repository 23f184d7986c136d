//! What the kernel tells about processes.

use std::{collections::HashMap, fs, path::PathBuf};

use anyhow::Context as _;

/// Where a process stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its parent.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// The process group that the keys of its terminal go to.
    pub foreground: Option<u32>,
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub started: u64,
    /// Whether it has ended and waits to be reaped.
    pub is_zombie: bool,
}

/// The memory of a process.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now, in bytes.
    pub rss_bytes: u64,
    /// The most that was resident since the start or [`reset_peak`], in bytes.
    pub peak_bytes: u64,
}

fn file(pid: u32, name: &str) -> PathBuf {
    format!("/proc/{pid}/{name}").into()
}

/// Reads the place of a process; `None` once it is gone.
#[must_use]
pub fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(file(pid, "stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        is_zombie: *fields.first()? == "Z",
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        // -1 without a terminal.
        foreground: fields.get(5)?.parse().ok(),
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Every process that there is.
#[must_use]
pub fn all() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

/// Whether the environment or the command line of a process holds the text.
#[must_use]
pub fn mentions(pid: u32, text: &str) -> bool {
    let holds = |name| {
        let bytes = fs::read(file(pid, name)).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    holds("environ") || holds("cmdline")
}

/// The numbers of a process: this machine's, and those of the PID namespaces that it is in, from
/// the outermost on.
#[must_use]
pub fn numbers(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(file(pid, "status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let numbers = line.unwrap_or_default().split_whitespace();
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// The command line of a process, one argument each.
#[must_use]
pub fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(file(pid, "cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Reads the memory of a process.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = file(pid, "status");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.map(|kib| kib * 1024)
            .with_context(|| format!("no {key} in {}", path.display()))
    };
    Ok(Memory {
        rss_bytes: bytes("VmRSS:")?,
        peak_bytes: bytes("VmHWM:")?,
    })
}

/// Forgets the peak so far.
pub fn reset_peak(pid: u32) -> anyhow::Result<()> {
    let path = file(pid, "clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {}", path.display()))
}

/// Counts the open descriptors of a process.
pub fn open_files(pid: u32) -> anyhow::Result<usize> {
    let path = file(pid, "fd");
    Ok(fs::read_dir(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .count())
}

/// Names what each open descriptor of a process is, sorted.
#[must_use]
pub fn open_file_names(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(file(pid, "fd"))
        .into_iter()
        .flatten()
        .flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let mut names: Vec<String> = targets.map(|path| path.display().to_string()).collect();
    names.sort();
    names
}

/// Counts the established connections that have come in at a TCP port.
#[must_use]
pub fn connections_at(port: u16) -> usize {
    let is_one = |line: &str| {
        // "0: <local address>:<port> <remote address>:<port> <state> …", in hexadecimal.
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|local| local.rsplit(':').next());
        let local = local.and_then(|local| u16::from_str_radix(local, 16).ok());
        local == Some(port) && fields.nth(1) == Some("01")
    };
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines())
        .filter(|line| is_one(line))
        .count()
}

/// Counts the threads of a process.
pub fn threads(pid: u32) -> anyhow::Result<usize> {
    let path = file(pid, "task");
    Ok(fs::read_dir(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .count())
}
