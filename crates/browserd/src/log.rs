//! Where log events go: stdout, as text for a person or as JSON for a program.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Installs the subscriber for the whole process.
pub(crate) fn init(settings: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log_level).context("LOG_LEVEL")?;
    let as_text = match settings.log_format {
        LogFormat::Auto => std::io::stdout().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let builder = fmt().with_env_filter(filter);
    let installed = if as_text {
        builder
            .with_ansi(std::io::stdout().is_terminal())
            .try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    };
    installed.map_err(|error| anyhow::anyhow!("cannot install the log: {error}"))
}
