//! Keeping the daemon's secrets from the commands that it runs.
//!
//! Three places hold them, and this is what keeps a child from each:
//!
//! - **The child's environment** is made without them ([`Secrets::covers`]).
//! - **The daemon's own `/proc/<pid>/environ`** shows the environment that the daemon was started
//!   with, to every process of its user and to root. [`Secrets::hide`] overwrites the values
//!   there, so they are gone for everybody, root included.
//! - **The daemon's memory.** [`forbid_inspection`] makes the kernel refuse it, with everything
//!   else in `/proc/<pid>` that is private and with `ptrace`, to processes of the same user, and
//!   writes no core dump. A command that runs as root with `CAP_SYS_PTRACE` in the same PID
//!   namespace can still read the memory of every process, the daemon included; so can it read
//!   the files that secrets come from. Run commands as another user (`as_user`) where that
//!   matters.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// A name may begin with this.
const PREFIX: &str = "KERNEL_IMAGES_API_";
/// What is secret by its name.
const FAMILIES: [&str; 2] = ["AUTH_", "TLS_"];

/// Which environment variables are secret.
#[derive(Debug, Default)]
pub struct Secrets {
    names: Vec<String>,
    values: Vec<OsString>,
}

impl Secrets {
    /// All variables whose name begins with `AUTH_` or `TLS_`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A variable with this name is secret too.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// A variable with this value is secret too, whatever its name: what was read from a
    /// `*_FILE` may have been passed by an entry point under another name.
    #[must_use]
    pub fn value(mut self, value: impl Into<OsString>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.values.push(value);
        }
        self
    }

    /// Whether a variable is secret.
    #[must_use]
    pub fn covers(&self, name: &OsStr, value: &OsStr) -> bool {
        let name = name.as_bytes();
        let short = name.strip_prefix(PREFIX.as_bytes()).unwrap_or(name);
        FAMILIES
            .iter()
            .any(|family| short.starts_with(family.as_bytes()))
            || self
                .names
                .iter()
                .any(|known| known.as_bytes() == name || known.as_bytes() == short)
            || self.values.iter().any(|known| known == value)
    }

    /// Overwrites the secret values in the environment that this process was started with, as
    /// `/proc/<pid>/environ` shows it. Later reads of these variables give an empty value or
    /// none, so settings must have been read before.
    ///
    /// Call it at the start of `main`, before there are threads.
    ///
    /// # Errors
    ///
    /// When /proc is not there, or the secrets can still be read afterwards.
    pub fn hide(&self) -> io::Result<()> {
        let environ = fs::read("/proc/self/environ")?;
        let hidden = self.ranges(&environ);
        if hidden.is_empty() {
            return Ok(());
        }
        // The kernel shows the memory between these two addresses. It is the top of the main
        // thread's stack, which nothing refers to but the C library's list of variables; a
        // shorter value is a valid value there.
        let start = environment_start()?;
        let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
        for range in &hidden {
            memory.write_all_at(&vec![0; range.len()], start + range.start as u64)?;
        }
        let after = fs::read("/proc/self/environ")?;
        let is_blank = |range: &std::ops::Range<usize>| {
            after
                .get(range.clone())
                .is_some_and(|value| value.iter().all(|byte| *byte == 0))
        };
        if hidden.iter().all(is_blank) {
            Ok(())
        } else {
            Err(io::Error::other("the values can still be read"))
        }
    }

    /// Where the secret values are.
    fn ranges(&self, environ: &[u8]) -> Vec<std::ops::Range<usize>> {
        let mut ranges = Vec::new();
        let mut start = 0;
        for variable in environ.split(|byte| *byte == 0) {
            if let Some(equals) = variable.iter().position(|byte| *byte == b'=') {
                let name = OsStr::from_bytes(&variable[..equals]);
                let value = OsStr::from_bytes(&variable[equals + 1..]);
                if !value.is_empty() && self.covers(name, value) {
                    ranges.push(start + equals + 1..start + variable.len());
                }
            }
            start += variable.len() + 1;
        }
        ranges
    }
}

/// `env_start` of `proc_pid_stat(5)`, field 50.
fn environment_start() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields = text
        .rsplit_once(')')
        .map(|(_, fields)| fields)
        .unwrap_or_default();
    let start = fields
        .split_ascii_whitespace()
        .nth(50 - 3)
        .and_then(|field| field.parse().ok());
    start
        .filter(|start| *start != 0)
        .ok_or_else(|| io::Error::other("/proc/self/stat does not say where the environment is"))
}

/// Keeps other processes of this user from reading this process' memory and from tracing it.
/// Programs that it runs are not affected.
pub fn forbid_inspection() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(secrets: &Secrets, name: &str, value: &str) -> bool {
        secrets.covers(OsStr::new(name), OsStr::new(value))
    }

    #[test]
    fn knows_secrets_by_family_name_and_value() {
        let secrets = Secrets::new().name("PUSH_KEY").value("hunter2").value("");
        assert!(covers(&secrets, "AUTH_TOKEN", "x"));
        assert!(covers(&secrets, "TLS_KEY_FILE", "/etc/key.pem"));
        assert!(covers(&secrets, "KERNEL_IMAGES_API_AUTH_TOKEN", "x"));
        assert!(covers(&secrets, "PUSH_KEY", "x"));
        assert!(covers(&secrets, "KERNEL_IMAGES_API_PUSH_KEY", "x"));
        assert!(covers(&secrets, "ANYTHING", "hunter2"));
        assert!(!covers(&secrets, "PATH", "/bin"));
        assert!(!covers(&secrets, "EMPTY", ""));
        assert!(!covers(&secrets, "SSL_CERT_FILE", "/etc/ssl/cert.pem"));
        assert!(!covers(&secrets, "GIT_AUTHOR_NAME", "x"));
    }

    #[test]
    fn finds_the_values_in_an_environment() {
        let environ = b"A=1\0AUTH_TOKEN=abc\0AUTH_EMPTY=\0B=2\0";
        let ranges = Secrets::new().ranges(environ);
        assert_eq!(ranges.len(), 1);
        assert_eq!(&environ[ranges[0].clone()], b"abc");
    }
}
