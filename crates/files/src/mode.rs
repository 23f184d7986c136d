//! Permission bits, as callers give them and as listings show them.

use std::fmt;

use crate::{Error, Result, path::shorten};

/// The permission bits of a file: up to 0o7777.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// What a new file gets: rw-r--r--.
    pub const FILE: Self = Self(0o644);
    /// What a new directory gets: rwxr-xr-x.
    pub const DIRECTORY: Self = Self(0o755);
    const BITS: u32 = 0o7777;

    /// Reads an octal number such as `644`, `0755` or `0o600`.
    pub fn parse(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let bits = u32::from_str_radix(digits, 8).ok();
        match bits.filter(|bits| plain && *bits <= Self::BITS) {
            Some(bits) => Ok(Self(bits)),
            None => Err(Error::InvalidMode {
                mode: shorten(text.as_ref()),
            }),
        }
    }

    /// The permission bits of a `st_mode`.
    #[must_use]
    pub const fn of(st_mode: u32) -> Self {
        Self(st_mode & Self::BITS)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode(0o{:o})", self.0)
    }
}

/// A `st_mode` as `ls -l` shows it, such as `drwxr-xr-x`.
pub(crate) fn symbolic(st_mode: u32) -> String {
    let kind = match st_mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let mut shown = String::with_capacity(10);
    shown.push(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = st_mode >> shift;
        shown.push(if bits & 4 != 0 { 'r' } else { '-' });
        shown.push(if bits & 2 != 0 { 'w' } else { '-' });
        shown.push(match (st_mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, false) => letter.to_ascii_uppercase(),
            (true, true) => letter,
        });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers_are_read() {
        for (text, bits) in [
            ("644", 0o644),
            ("0755", 0o755),
            ("0o600", 0o600),
            ("7777", 0o7777),
            ("0", 0),
        ] {
            assert_eq!(Mode::parse(text).unwrap().bits(), bits, "{text}");
        }
        for text in [
            "",
            "999",
            "10000",
            "rwx",
            "-644",
            "+644",
            "0x1ff",
            " 644",
            "0o",
            "99999999999999999999",
        ] {
            assert!(
                matches!(Mode::parse(text), Err(Error::InvalidMode { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn modes_look_as_in_ls() {
        assert_eq!(symbolic(0o040_755), "drwxr-xr-x");
        assert_eq!(symbolic(0o100_644), "-rw-r--r--");
        assert_eq!(symbolic(0o120_777), "lrwxrwxrwx");
        assert_eq!(symbolic(0o041_777), "drwxrwxrwt");
        assert_eq!(symbolic(0o106_755), "-rwsr-sr-x");
        assert_eq!(symbolic(0o107_644), "-rwSr-Sr-T");
    }
}
