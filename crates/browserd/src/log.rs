//! Where log events go: stdout, as text for a person or as JSON for a program.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter};

use crate::config::{Log, LogFormat};

/// Installs the subscriber for the whole process.
pub(crate) fn init(settings: &Log) -> anyhow::Result<()> {
    init_to(settings, std::io::stdout)
}

/// Installs one that writes elsewhere than to stdout.
pub(crate) fn init_to<W>(settings: &Log, writer: W) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&settings.log_level).context("LOG_LEVEL")?;
    let builder = fmt().with_env_filter(filter).with_writer(writer);
    let installed = if is_text(settings) {
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

/// Whether the log is for a person.
pub(crate) fn is_text(settings: &Log) -> bool {
    match settings.log_format {
        LogFormat::Auto => std::io::stdout().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    }
}
