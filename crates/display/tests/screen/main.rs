//! The screen half of the crate against a real Xvfb: pictures, cursor, clipboard, windows.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

mod client;
mod clipboard;
mod cursor;
mod pictures;
mod windows;
mod xvfb;
