//! What a machine has and a container has not: a kernel of its own, with a command line, disks
//! and a power supply.

use std::{fs, path::Path};

use nix::{
    mount::{MsFlags, mount, umount},
    sys::{
        reboot::{RebootMode, reboot, set_cad_enabled},
        resource::{Resource, setrlimit},
    },
    unistd::sync,
};

use crate::{machine, network};

/// The identity of the first PID namespace: `PROC_PID_INIT_INO` of `linux/proc_ns.h`.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// How many files each process may have open. The kernel begins with 1024 and 4096, of which the
/// daemon's connections alone may take more.
const OPEN_FILES: u64 = 65_536;
/// The word of the command line that says how the machine ends.
const RESET: &str = "reboot=";

/// Whether this process is the first of a kernel, and not of a container.
pub(crate) fn is_own() -> bool {
    let namespace = fs::read_link("/proc/self/ns/pid");
    machine::is_first() && namespace.is_ok_and(|name| name == Path::new(FIRST_NAMESPACE))
}

/// Sets up what an engine sets up for a container.
pub(crate) fn set_up() {
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    // Ctrl-Alt-Del, which Firecracker sends, then is a SIGINT instead of a reset.
    if let Err(error) = set_cad_enabled(false) {
        tracing::warn!(%error, "Ctrl-Alt-Del resets the machine at once");
    }
    network::configure(&command_line());
}

fn command_line() -> String {
    fs::read_to_string("/proc/cmdline").unwrap_or_default()
}

/// Ends the machine: if its first process just ended, the kernel would panic. Returns when it
/// cannot be ended.
pub(crate) fn switch_off() {
    sync();
    release_disks(&fs::read_to_string("/proc/self/mounts").unwrap_or_default());
    let Err(error) = reboot(how_to_end(&command_line()));
    tracing::error!(%error, "cannot switch the machine off");
}

/// Without ACPI there is no switching off, and a reset ends the machine; the command line of such
/// a machine says how to reset it, as Firecracker's documentation has it.
fn how_to_end(command_line: &str) -> RebootMode {
    let mut words = command_line.split_ascii_whitespace();
    if words.any(|word| word.starts_with(RESET)) {
        RebootMode::RB_AUTOBOOT
    } else {
        RebootMode::RB_POWER_OFF
    }
}

/// Leaves no disk to be repaired at the next start.
fn release_disks(mounts: &str) {
    for dir in disks(mounts) {
        let released = if dir == "/" {
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(None::<&str>, dir, None::<&str>, flags, None::<&str>)
        } else {
            umount(dir)
        };
        if let Err(error) = released {
            tracing::warn!(dir, %error, "cannot release a disk");
        }
    }
}

/// The folders with a disk of their own, the last mounted first; `mounts` as in `proc(5)`.
fn disks(mounts: &str) -> Vec<&str> {
    let disk = |line: &'_ str| line.starts_with("/dev/");
    let lines = mounts.lines().rev().filter(|line| disk(line));
    lines.filter_map(|line| line.split(' ').nth(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_released_in_turn() {
        let mounts = "/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0\n\
            /dev/vdb /home/kernel/user-data ext4 rw,nosuid 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n";
        assert_eq!(disks(mounts), ["/home/kernel/user-data", "/"]);
    }

    #[test]
    fn a_machine_without_a_switch_is_reset() {
        assert_eq!(how_to_end("quiet panic=1"), RebootMode::RB_POWER_OFF);
        assert_eq!(how_to_end("reboot=k panic=1"), RebootMode::RB_AUTOBOOT);
    }

    #[test]
    fn a_test_is_no_first_process() {
        assert!(!is_own());
    }
}
