//! Chromium as a program: its flags, its profile's locks, and the launcher that becomes it.

pub mod flags;
pub mod launcher;
