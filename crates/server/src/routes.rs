//! The handlers, a file per resource. Each extracts, calls one domain method, converts.

pub(crate) mod computer;
pub(crate) mod devtools;
pub(crate) mod display;
pub(crate) mod docs;
pub(crate) mod files;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod operations;
pub(crate) mod process;
