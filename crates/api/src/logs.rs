//! Logs: files that are followed line by line.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::process::{ErrorName, GapName};

/// Which log, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogParameters {
    /// Where the log is found.
    #[param(inline)]
    pub source: LogSource,
    /// Wait for more lines. Without, the stream ends with what is there.
    #[serde(default = "follows")]
    #[param(default = true)]
    pub follow: bool,
    /// The absolute path of the file, for the source `path`.
    #[param(pattern = "^/.*")]
    pub path: Option<String>,
    /// The name of the program, for the source `supervisor`.
    pub supervisor_process: Option<String>,
    /// So many of the last lines to begin with: none without when following, else all.
    pub tail: Option<u64>,
}

const fn follows() -> bool {
    true
}

/// Where a log is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// At a path.
    Path,
    /// Where supervisord writes the output of a program to.
    Supervisor,
}

/// An event of a log. Its id is `<inode>.<offset>`: the byte behind the line, and the file that
/// it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LogEvent {
    /// A line, or a piece of a long one.
    Line {
        /// `log`.
        event: LogName,
        /// When it was read.
        #[schema(format = DateTime)]
        timestamp: String,
        /// The line without its newline. What is no UTF-8 in it is replaced by U+FFFD.
        message: String,
        /// The line goes on in the next event: it is longer than 1 MiB.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        #[schema(required = false)]
        continued: bool,
    },
    /// Bytes that are no more, between the line before and the line behind.
    Gap {
        /// `gap`.
        event: GapName,
        /// How many; null where that is not known.
        lost_bytes: Option<u64>,
    },
    /// The stream ends although more was asked for.
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

/// The name of a line's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogName {
    /// The only one.
    Log,
}
