//! The bounds within which processes run.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use browserd_budget::Budget;

use crate::{Environment, Switch};

/// The argument with which a program of ours is started to become another user.
pub const BECOME: &str = "become";

/// Keeps the machine from being put to sleep while a process runs.
pub trait KeepAwake: fmt::Debug + Send + Sync {
    /// The machine stays awake until the answer is dropped.
    fn hold(&self) -> Box<dyn Any + Send>;
}

/// Limits and waits. [`Config::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// What children inherit.
    pub environment: Environment,
    /// What is started to become another user.
    pub switch: Switch,
    /// Processes that run at once.
    pub max_processes: usize,
    /// Readers of one process' output at once.
    pub max_streams: usize,
    /// Output kept of one spawned process, in bytes: half of it the first, half the last.
    pub output_bytes: usize,
    /// The part of it that is kept in memory, in bytes.
    pub output_memory_bytes: usize,
    /// Where the rest of it is kept, in unlinked files.
    pub output_dir: PathBuf,
    /// What those files take together at most. At its end, output is kept in memory only, in its
    /// bounds, and the rest is told as a gap. A process that is forgotten gives back its part.
    pub output_disk: Budget,
    /// What requests hold in memory, as far as it is counted: output of executed commands.
    pub request_memory: Budget,
    /// Output kept of one stream of an executed command, in bytes, in memory.
    pub exec_output_bytes: usize,
    /// How long an exited process stays visible.
    pub retention: Duration,
    /// How many exited processes stay visible.
    pub retained: usize,
    /// Between asking a process group to end and killing it.
    pub grace: Duration,
    /// How long output is read after the process has exited, while others hold its pipes.
    pub drain: Duration,
    /// How long one write to stdin waits for the process to read.
    pub stdin_wait: Duration,
    /// How long the shutdown takes at most, with `grace` inside.
    pub stop_within: Duration,
    /// Held while a process runs.
    pub keep_awake: Option<Arc<dyn KeepAwake>>,
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            switch: Switch::itself(BECOME),
            max_processes: 1_000,
            max_streams: 256,
            output_bytes: 64 * 1024 * 1024,
            output_memory_bytes: 1024 * 1024,
            output_dir: PathBuf::from("/tmp"),
            output_disk: Budget::new(4 << 30),
            request_memory: Budget::new(512 << 20),
            exec_output_bytes: 64 * 1024 * 1024,
            retention: Duration::from_secs(600),
            retained: 1_000,
            grace: Duration::from_secs(2),
            drain: Duration::from_millis(200),
            // Below the 60 s after which the SDKs' clients give up and write again.
            stdin_wait: Duration::from_secs(30),
            stop_within: Duration::from_secs(4),
            keep_awake: None,
        }
    }
}
