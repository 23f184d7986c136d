//! What /proc tells about processes: `proc_pid_stat(5)`.

use std::fs;
use std::io;

use rustix::process::Pid;

/// One process at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) pid: Pid,
    pub(crate) state: u8,
    pub(crate) ppid: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Processor time of the process and of its children that were waited for, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Resident memory, in pages.
    pub(crate) rss_pages: u64,
}

impl Stat {
    /// Ended, and not waited for yet.
    pub(crate) const fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    fn parse(text: &str) -> Option<Self> {
        let pid = text
            .split_once(' ')?
            .0
            .parse()
            .ok()
            .and_then(Pid::from_raw)?;
        // The second field is the name in parentheses, and may hold any character.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // `field(3)` is the state, as numbered in the manual.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |index: usize| field(index)?.parse::<i64>().ok();
        let mut cpu_ticks = 0;
        for index in 14..=17 {
            cpu_ticks += u64::try_from(number(index)?).unwrap_or(0);
        }
        Some(Self {
            pid,
            state: *field(3)?.as_bytes().first()?,
            ppid: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            cpu_ticks,
            rss_pages: u64::try_from(number(24)?).unwrap_or(0),
        })
    }
}

/// A process, if there is one with this number.
pub(crate) fn stat(pid: Pid) -> Option<Stat> {
    Stat::parse(&read(&pid.as_raw_nonzero().to_string())?)
}

/// All processes. Some may have come or gone meanwhile.
pub(crate) fn all() -> io::Result<Vec<Stat>> {
    let mut stats = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(name) = name
            .to_str()
            .filter(|name| name.as_bytes()[0].is_ascii_digit())
        else {
            continue;
        };
        // What is gone by now is no error.
        stats.extend(read(name).as_deref().and_then(Stat::parse));
    }
    Ok(stats)
}

/// The name of a program may be no UTF-8; the fields behind it are.
fn read(pid: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_entry() {
        let me = rustix::process::getpid();
        let stat = stat(me).unwrap();
        assert_eq!(stat.pid, me);
        assert!(!stat.is_zombie());
        assert!(stat.rss_pages > 0);
        assert!(all().unwrap().iter().any(|other| other.pid == me));
    }

    #[test]
    fn a_name_may_hold_spaces_and_parentheses() {
        let text = "42 (a) Z 1 b) S 7 42 41 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 99 4096 5 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.state, stat.ppid, stat.group, stat.session),
            (b'S', 7, 42, 41)
        );
        assert_eq!((stat.cpu_ticks, stat.rss_pages), (10, 5));
    }
}
