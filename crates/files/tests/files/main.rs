//! The files of a real machine: its disks, its memory file system, its mounts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archives;
mod bad_input;
mod deep;
mod dialects;
mod forge;
mod hostile;
mod invariants;
mod operations;
mod packing;
mod profile;
mod read;
mod script;
mod support;
mod tar_dialects;
mod watch;
mod write;
mod zip_dialects;
mod zip_end;
