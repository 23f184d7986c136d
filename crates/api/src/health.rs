//! Whether the daemon lives, and whether the machine is ready for work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// The version of the daemon.
    pub version: String,
}

/// Whether everything that a browser session needs is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// True when every part is ready.
    pub ready: bool,
    /// The parts, one by one.
    pub parts: Parts,
}

/// The parts that readiness is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Parts {
    /// Chromium's DevTools endpoint is known and proven.
    pub devtools: Part,
    /// The X server answers.
    pub display: Part,
    /// supervisord answers.
    pub supervisor: Part,
    /// There is room left for files.
    pub disk: Part,
}

/// One part of readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// True when it can be used.
    pub ready: bool,
    /// One sentence on its state, for a person.
    pub detail: String,
}
