//! Processes: commands that are run to their end, and those that are spawned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{Base64, Code};

/// Which process is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ProcessPath {
    /// As the answer to the spawn told it.
    pub process_id: Uuid,
}

/// A command to run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// One program: a path, or a name that is looked up on the PATH of the resulting
    /// environment. No shell reads it.
    #[schema(min_length = 1, example = "uname")]
    pub command: String,
    /// The arguments behind the command.
    #[serde(default)]
    #[schema(example = json!(["-a"]))]
    pub args: Vec<String>,
    /// The working directory, absolute; the daemon's own without it.
    #[schema(pattern = "^/")]
    pub cwd: Option<String>,
    /// Variables that are laid over the daemon's own environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The user to run as: a name, a uid, or `uid:gid`.
    pub as_user: Option<String>,
    /// Run as root. Not together with `as_user`.
    #[serde(default)]
    pub as_root: bool,
    /// Seconds after which the whole process group is terminated.
    #[schema(minimum = 1)]
    pub timeout_sec: Option<u64>,
    /// What is written to stdin, which is then closed.
    pub stdin_b64: Option<Base64>,
    /// Bytes of each stream to keep at most, head and tail; the configured limit still holds.
    pub max_output_bytes: Option<u64>,
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpawnRequest {
    /// One program: a path, or a name that is looked up on the PATH of the resulting
    /// environment. No shell reads it.
    #[schema(min_length = 1, example = "bash")]
    pub command: String,
    /// The arguments behind the command.
    #[serde(default)]
    pub args: Vec<String>,
    /// The working directory, absolute; the daemon's own without it.
    #[schema(pattern = "^/")]
    pub cwd: Option<String>,
    /// Variables that are laid over the daemon's own environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The user to run as: a name, a uid, or `uid:gid`.
    pub as_user: Option<String>,
    /// Run as root. Not together with `as_user`.
    #[serde(default)]
    pub as_root: bool,
    /// Seconds after which the whole process group is terminated.
    #[schema(minimum = 1)]
    pub timeout_sec: Option<u64>,
    /// What is written to stdin first; stdin stays open behind it.
    pub stdin_b64: Option<Base64>,
    /// Bytes of each stream to keep at most, head and tail; the configured limit still holds.
    pub max_output_bytes: Option<u64>,
    /// Give it a terminal.
    #[serde(default)]
    pub allocate_tty: bool,
    /// Height of the terminal in characters; 24 without it.
    #[schema(minimum = 1, maximum = 65535)]
    pub rows: Option<u16>,
    /// Width of the terminal in characters; 80 without it.
    #[schema(minimum = 1, maximum = 65535)]
    pub cols: Option<u16>,
}

/// How a command ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExecResult {
    /// Its exit code; 128 and the signal's number when a signal ended it.
    pub exit_code: i32,
    /// What it wrote to stdout.
    pub stdout_b64: Base64,
    /// What it wrote to stderr.
    pub stderr_b64: Base64,
    /// Milliseconds from its start to its exit.
    pub duration_ms: u64,
    /// It was terminated because its time was over.
    pub timed_out: bool,
    /// The signal that ended it, such as `SIGKILL`.
    pub signal: Option<String>,
    /// Bytes in the middle of stdout are missing.
    pub stdout_truncated: bool,
    /// Bytes in the middle of stderr are missing.
    pub stderr_truncated: bool,
}

/// The error of a command that did not end in time, with what it had said by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExecTimeout {
    /// What was wrong.
    pub message: String,
    /// `timeout`.
    pub code: Code,
    /// The id of the request, as in the `X-Request-Id` header and in the log.
    pub request_id: String,
    /// The partial output, with `timed_out`.
    pub result: ExecResult,
}

/// A process that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Spawned {
    /// By which the other routes find it.
    pub process_id: Uuid,
    /// Its number in the machine, which is also that of its group and session.
    pub pid: u32,
    /// When it was started.
    #[schema(format = DateTime)]
    pub started_at: String,
}

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It runs, or its last output is still being read.
    Running,
    /// It has exited, and its output has ended.
    Exited,
}

/// A process among the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProcessInfo {
    /// By which the other routes find it.
    pub process_id: Uuid,
    /// Its number in the machine.
    pub pid: u32,
    /// The command as it was asked for.
    pub command: String,
    /// The arguments behind it.
    pub args: Vec<String>,
    /// Whether it runs.
    pub state: ProcessState,
    /// Its exit code, once it has exited; 128 and the signal's number when a signal ended it.
    pub exit_code: Option<i32>,
    /// When it was started.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it exited.
    #[schema(format = DateTime)]
    pub exited_at: Option<String>,
}

/// What a process does and uses.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProcessStatus {
    /// Whether it runs.
    pub state: ProcessState,
    /// Its exit code, once it has exited; 128 and the signal's number when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it, such as `SIGKILL`.
    pub signal: Option<String>,
    /// Share of one processor that its whole tree has used since the last call of this route,
    /// at first since its start, in percent; above 100 when several are busy.
    pub cpu_pct: f64,
    /// Resident memory of its whole tree, in bytes.
    pub mem_bytes: u64,
    /// When it was started.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it exited.
    #[schema(format = DateTime)]
    pub exited_at: Option<String>,
}

/// One of the two streams of a process. A terminal's output is all `stdout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// An event of a process' output. Its id is `<stdout bytes>.<stderr bytes>` behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OutputEvent {
    /// Bytes of one stream.
    Data {
        /// The stream.
        stream: OutputStream,
        /// The bytes.
        data_b64: Base64,
    },
    /// Bytes that are not kept any more.
    Gap {
        /// `gap`.
        event: GapName,
        /// The stream.
        stream: OutputStream,
        /// How many bytes are gone.
        lost_bytes: u64,
    },
    /// The process has exited, and this was all of its output.
    Exit {
        /// `exit`.
        event: ExitName,
        /// Its exit code; 128 and the signal's number when a signal ended it.
        exit_code: i32,
        /// The signal that ended it, such as `SIGKILL`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        signal: Option<String>,
    },
    /// The stream ends although the process goes on: the daemon shuts down.
    Error {
        /// `error`.
        event: ErrorName,
        /// When.
        #[schema(format = DateTime)]
        timestamp: String,
        /// Why.
        message: String,
    },
}

/// The name of a gap event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapName {
    /// The only one.
    Gap,
}

/// The name of an exit event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitName {
    /// The only one.
    Exit,
}

/// The name of an error event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorName {
    /// The only one.
    Error,
}

/// Bytes for a process' stdin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StdinRequest {
    /// The bytes.
    pub data_b64: Base64,
    /// Close stdin behind them; a terminal is sent its end-of-file character instead.
    #[serde(default)]
    pub close: bool,
}

/// What became of bytes for a process' stdin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StdinResult {
    /// How many bytes the process' stdin took. What it did not take within 30 s is not
    /// written.
    pub written_bytes: u64,
}

/// A signal for a process' group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KillRequest {
    /// A name of signal(7), with or without `SIG`: `TERM`, `KILL`, `INT`, `HUP`, `USR1`,
    /// `RTMIN+3`, … TERM is followed by KILL for what is left of the group after 2 s.
    #[schema(example = "TERM")]
    pub signal: String,
}

/// A size for a process' terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResizeRequest {
    /// Height in characters.
    #[schema(minimum = 1, maximum = 65535)]
    pub rows: u16,
    /// Width in characters.
    #[schema(minimum = 1, maximum = 65535)]
    pub cols: u16,
}

/// It was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}

/// How to attach to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachParameters {
    /// Take the terminal over from whoever is attached; they are told by close code 4001.
    #[serde(default)]
    #[param(default = false)]
    pub takeover: bool,
}

/// What a client tells an attached terminal, in a text frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AttachControl {
    /// The client's window has another size.
    Resize {
        /// Height in characters.
        rows: u16,
        /// Width in characters.
        cols: u16,
    },
}

/// What an attached terminal tells its client, in a text frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AttachEvent {
    /// The process has exited; the connection is closed next, with 1000.
    Exit {
        /// Its exit code; 128 and the signal's number when a signal ended it.
        #[serde(rename = "exitCode")]
        exit_code: i32,
    },
    /// The client read so slowly that output is not kept any more.
    Gap {
        /// How many bytes are gone.
        #[serde(rename = "lostBytes")]
        lost_bytes: u64,
    },
    /// A text frame could not be followed. The connection goes on.
    Error {
        /// What was wrong with it.
        message: String,
    },
}
