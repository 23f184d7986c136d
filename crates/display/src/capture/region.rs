//! A part of the screen.

use std::fmt;

use crate::{Error, Size};

/// A rectangle on the screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The left edge, counted from the screen's.
    pub x: i32,
    /// The upper edge, counted from the screen's.
    pub y: i32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Region {
    /// The whole of a screen.
    pub(super) fn of(screen: Size) -> Self {
        Self {
            x: 0,
            y: 0,
            width: screen.width.into(),
            height: screen.height.into(),
        }
    }

    /// Checks that there is something in it, and all of it on the screen.
    pub(super) fn check(self, screen: Size) -> Result<(), Error> {
        let inside = |start: i32, len: u32, of: u16| {
            start >= 0 && len > 0 && i64::from(start) + i64::from(len) <= i64::from(of)
        };
        if inside(self.x, self.width, screen.width) && inside(self.y, self.height, screen.height) {
            return Ok(());
        }
        Err(Error::RegionOutside {
            region: self,
            width: screen.width,
            height: screen.height,
        })
    }

    /// The smallest region that holds both; each lies on the screen.
    pub(super) fn joined(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = self.right().max(other.right());
        let lower = self.lower().max(other.lower());
        Self {
            x,
            y,
            width: right.abs_diff(x),
            height: lower.abs_diff(y),
        }
    }

    /// As the X protocol has it; screens of X have at most 32,767 pixels a side.
    pub(super) fn wire(self) -> (i16, i16, u16, u16) {
        let signed = |value: i32| i16::try_from(value).unwrap_or(i16::MAX);
        let plain = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        (
            signed(self.x),
            signed(self.y),
            plain(self.width),
            plain(self.height),
        )
    }

    /// How many bytes its pixels take, four each.
    pub(crate) fn bytes(self) -> usize {
        4 * self.width as usize * self.height as usize
    }

    fn right(self) -> i32 {
        self.x.saturating_add_unsigned(self.width)
    }

    fn lower(self) -> i32 {
        self.y.saturating_add_unsigned(self.height)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}{:+}{:+}", self.width, self.height, self.x, self.y)
    }
}
