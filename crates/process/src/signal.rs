//! Signals by name, as in signal(7).

use std::fmt;

/// A signal number that the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(i32);

/// The names without `SIG`; of two names for one number the usual one comes first.
const NAMES: [(&str, i32); 34] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

impl Signal {
    /// Asks to end.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// Ends at once.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// What Ctrl-C sends.
    pub const INT: Self = Self(libc::SIGINT);

    /// Reads a name of signal(7), with or without `SIG`: `TERM`, `SIGUSR1`, `RTMIN+3`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Self(*number));
        }
        let (lowest, highest) = (libc::SIGRTMIN(), libc::SIGRTMAX());
        let number = if name == "RTMIN" {
            lowest
        } else if name == "RTMAX" {
            highest
        } else if let Some(above) = name.strip_prefix("RTMIN+") {
            lowest.checked_add(above.parse().ok()?)?
        } else if let Some(below) = name.strip_prefix("RTMAX-") {
            highest.checked_sub(below.parse().ok()?)?
        } else {
            return None;
        };
        (lowest..=highest).contains(&number).then_some(Self(number))
    }

    /// The number by which a process died.
    pub(crate) const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    /// Writes the name with `SIG`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMES.iter().find(|(_, number)| *number == self.0) {
            return write!(f, "SIG{name}");
        }
        match self.0 - libc::SIGRTMIN() {
            0 => f.write_str("SIGRTMIN"),
            above if above > 0 => write!(f, "SIGRTMIN+{above}"),
            _ => write!(f, "SIG{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_of_signal_7() {
        for (name, number) in NAMES {
            assert_eq!(Signal::from_name(name), Some(Signal(number)));
            assert_eq!(
                Signal::from_name(&format!("SIG{name}")),
                Some(Signal(number))
            );
        }
        assert_eq!(
            Signal::from_name("RTMIN+1"),
            Some(Signal(libc::SIGRTMIN() + 1))
        );
        assert_eq!(
            Signal::from_name("SIGRTMAX-1"),
            Some(Signal(libc::SIGRTMAX() - 1))
        );
    }

    #[test]
    fn refuses_what_is_no_signal() {
        for name in [
            "",
            "SIG",
            "FOO",
            "term",
            "9",
            "RTMIN+99",
            "RTMAX--1",
            "RTMIN+-1",
            "SIGSIGTERM",
        ] {
            assert_eq!(Signal::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn is_shown_by_its_usual_name() {
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!(Signal(libc::SIGABRT).to_string(), "SIGABRT");
        assert_eq!(Signal(libc::SIGRTMIN() + 2).to_string(), "SIGRTMIN+2");
    }
}
