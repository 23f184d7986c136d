//! Chromium as a program: its flags, its profile's locks, and the launcher that starts it and
//! closes it in good order.

pub mod flags;
pub mod launcher;
