//! Running commands: to their end, or beside the daemon with streams and terminals.
//!
//! # Theory of operation
//!
//! [`start`] gives a [`Handle`]. [`Handle::exec`] runs a command and returns its output;
//! [`Handle::spawn`] starts a [`Process`] that is then reached by its id. Both start it in the
//! same way and give it the same life:
//!
//! - It leads its own session and process group, and inherits nothing but three descriptors and
//!   the environment that it is given ([`Environment`], [`Secrets`]).
//! - One task reads its output, waits for it by pidfd, and ends it when its time is over. It
//!   waits for nobody else: output goes into a bounded store, from which readers take it at
//!   their own speed ([`Reader`]).
//! - Its exit is told after its last output. Others that hold its pipes then are left alone, and
//!   get 200 ms to say more.
//! - To terminate is to ask the group to end, and to kill what is left of the session after a
//!   grace.
//!
//! Below that is a [`Starter`], which gives a [`Child`]: a program that runs, with raw pipes, its
//! end and its [`Group`], for those who need no store.
//!
//! At a limit of the system (descriptors, processes, memory) a start fails with
//! [`Error::Exhausted`], and nothing is left of it.
//!
//! The daemon is a subreaper: what its descendants leave behind becomes its child, and is reaped
//! without touching the exit codes of its own children (module `children`).
//!
//! Other code in the daemon may start programs by itself, on two conditions: they stay in the
//! daemon's session (no `setsid`), or their exit codes would pass for those of orphans; and a
//! [`fork_guard`] is held while they are started.

mod attach;
mod capture;
mod child;
mod children;
mod config;
mod environment;
mod error;
mod group;
mod handle;
mod launch;
mod output;
mod pool;
mod process;
mod procfs;
mod program;
mod pty;
mod pump;
mod reaper;
mod request;
mod run;
mod secrets;
mod signal;
mod spare;
mod stdin;
mod streams;
mod switch;
mod sys;
mod table;
mod usage;
mod user;

pub use attach::Attachment;
pub use capture::Captured;
pub use child::{Child, Starter};
pub use children::Exit;
pub use config::{BECOME, Config, KeepAwake};
pub use environment::Environment;
pub use error::Error;
pub use group::Group;
pub use handle::{Handle, Outcome};
pub use output::{Event, FLOOR_BYTES_PER_SEC, Offsets, ParseOffsetsError, Reader, Stream};
pub use process::{End, Process, Status};
pub use program::Program;
pub use pty::{ForkGuard, fork_guard};
pub use reaper::start;
pub use request::{Request, Size};
pub use secrets::{Secrets, forbid_inspection};
pub use signal::Signal;
pub use streams::{Ends, Streams};
pub use switch::{Switch, become_program};
pub use usage::Usage;
pub use user::Identity;
