//! Ports and a display number that no other test on the machine has.
//!
//! A block is held by a locked file, so that test programs that run at once do not race, and
//! lies outside the range that the kernel gives to outgoing connections.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// Ports in a block.
const SIZE: u16 = 16;
/// The display of the first block; lower ones belong to people and to other tools.
const FIRST_DISPLAY: u16 = 200;

/// A block of ports and one display number, held until dropped.
#[derive(Debug)]
pub struct Block {
    first: u16,
    display: u16,
    _lock: File,
}

impl Block {
    /// Takes the first block that is neither held nor in use.
    pub fn claim() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join("browserd-e2e-ports");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Another user's tests share the folder; only its owner can open it up.
        drop(fs::set_permissions(&folder, Permissions::from_mode(0o777)));
        let (from, to) = range(&ephemeral()?);
        for (index, first) in (from..=to - SIZE).step_by(SIZE.into()).enumerate() {
            let Some(lock) = hold(&folder.join(first.to_string()))? else {
                continue;
            };
            let display = FIRST_DISPLAY + u16::try_from(index).context("too many blocks")?;
            let is_free = (first..first + SIZE).all(is_free_port) && is_free_display(display);
            if is_free {
                return Ok(Self {
                    first,
                    display,
                    _lock: lock,
                });
            }
        }
        bail!("every block of ports from {from} to {to} is in use")
    }

    /// One of the block's sixteen ports.
    ///
    /// # Panics
    ///
    /// When there is no such port in a block.
    #[must_use]
    pub fn port(&self, index: u16) -> u16 {
        assert!(index < SIZE, "a block has {SIZE} ports");
        self.first + index
    }

    /// The number of an X display that nobody serves.
    #[must_use]
    pub fn display(&self) -> u16 {
        self.display
    }

    /// The files that mark the display as served.
    #[must_use]
    pub fn display_files(&self) -> [PathBuf; 2] {
        display_files(self.display)
    }
}

fn hold(path: &Path) -> anyhow::Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    drop(file.set_permissions(Permissions::from_mode(0o666)));
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn is_free_port(port: u16) -> bool {
    let is_v6_free = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(_) => true,
        // Not every machine has IPv6.
        Err(error) => error.kind() != std::io::ErrorKind::AddrInUse,
    };
    is_v6_free && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

fn display_files(display: u16) -> [PathBuf; 2] {
    [
        format!("/tmp/.X{display}-lock").into(),
        format!("/tmp/.X11-unix/X{display}").into(),
    ]
}

fn is_free_display(display: u16) -> bool {
    display_files(display).iter().all(|path| !path.exists())
}

fn ephemeral() -> anyhow::Result<std::ops::RangeInclusive<u16>> {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let bounds: Vec<u16> = text.split_whitespace().flat_map(str::parse).collect();
    let [low, high] = bounds[..] else {
        bail!("{path} holds {text:?}")
    };
    Ok(low..=high)
}

/// The larger of the two stretches below and above what the kernel hands out.
fn range(ephemeral: &std::ops::RangeInclusive<u16>) -> (u16, u16) {
    const LOWEST: u16 = 20_000;
    let below = (LOWEST, *ephemeral.start());
    let above = (*ephemeral.end(), u16::MAX);
    let length = |(from, to): (u16, u16)| to.saturating_sub(from);
    if length(below) >= length(above) {
        below
    } else {
        above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_share_no_port_and_no_display() {
        let (one, two) = (Block::claim().unwrap(), Block::claim().unwrap());
        assert_ne!(one.display(), two.display());
        assert!(one.first.abs_diff(two.first) >= SIZE);
    }

    #[test]
    fn a_block_with_a_port_in_use_is_passed_over() {
        let first = Block::claim().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first.port(3))).unwrap();
        let port = first.port(0);
        drop(first);
        let next = Block::claim().unwrap();
        assert_ne!(next.port(0), port);
        drop(taken);
    }

    #[test]
    fn the_range_avoids_what_the_kernel_hands_out() {
        assert_eq!(range(&(32_768..=60_999)), (20_000, 32_768));
        assert_eq!(range(&(15_000..=40_000)), (40_000, u16::MAX));
    }
}
