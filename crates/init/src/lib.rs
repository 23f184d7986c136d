//! The first process of a browser machine: a container or a microVM.
//!
//! # Theory of operation
//!
//! [`mount_missing()`] comes before anything else. [`run()`] prepares the machine (module `machine`), and runs two programs for as long as the machine
//! lives: the daemon, and supervisord with the services. The daemon comes first and waits for
//! nobody, so `/healthz` answers while the rest comes up; supervisord, which needs the folders,
//! comes right after. What else depends on something waits for it by itself: the launcher of
//! Chromium for the X server, the daemon for Chromium.
//!
//! Everything runs on one thread, and that thread alone waits for processes: it reaps whatever
//! has ended, and looks up whether it was one of the two. So no exit code can be lost to another
//! waiter. Helper threads only read logs and write stdout.
//!
//! A microVM has no engine around it. There the first process also configures the network
//! (module `network`), watches the power button (`power`), and switches the machine off at the
//! end (`hardware`).
//!
//! On SIGTERM the daemon is told first, so that clients hear that the machine goes away; then
//! supervisord stops the services, Chromium first, whose launcher lets it write its state; what
//! is left gets TERM and KILL. All of that takes less than ten seconds (module `stop`).

mod children;
mod error;
mod fitness;
mod gather;
mod hardware;
mod hold;
mod machine;
mod network;
mod output;
mod power;
mod ready;
mod run;
mod stop;
mod zone;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

pub use error::Error;
pub use machine::mount_missing;
pub use output::{Format, Output, Source, Writer};
pub use run::run;
pub use zone::{is_zone, set_zone};

/// What the first process is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The daemon.
    pub daemon: Program,
    /// What becomes supervisord.
    pub services: Program,
    /// supervisord's unix socket.
    pub supervisor_socket: PathBuf,
    /// Folders to make, and to be able to write in.
    pub folders: Vec<PathBuf>,
    /// The folder of the services' logs.
    pub log_dir: PathBuf,
    /// The folder of the browser's profile; its file system is looked at for room.
    pub data_dir: PathBuf,
    /// Where the daemon answers `/readyz`.
    pub api: SocketAddr,
    /// Where its DevTools proxy is.
    pub devtools: SocketAddr,
    /// Takes `+` and `-`: the platform does not suspend the machine while something is held.
    pub scale_to_zero_file: PathBuf,
}

/// A program to run, with all that it gets.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name in the log.
    pub name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The exit code that says that it can never work, and the machine had better stop.
    pub hopeless: Option<u8>,
    /// Its lines are JSON objects when the log is.
    pub structured: bool,
}
