//! The settings of the first process.

use std::path::PathBuf;

use clap::Args;

use super::{Log, Machine, parse};

/// What the first process needs to know beside the settings of what it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "First process")]
pub(crate) struct Init {
    /// Program that becomes supervisord
    #[arg(
        long,
        env = "SERVICES",
        default_value = "/usr/share/browserd/supervisord/stack"
    )]
    pub(crate) services: PathBuf,
    /// Folder for sockets and process numbers
    #[arg(long, env = "RUN_DIR", default_value = "/var/run")]
    pub(crate) run_dir: PathBuf,
    /// Folder of the services' logs
    #[arg(long, env = "LOG_DIR", default_value = "/var/log/supervisord")]
    pub(crate) log_dir: PathBuf,
    /// File that takes + and - to keep the platform from suspending the machine
    #[arg(
        long,
        env = "SCALE_TO_ZERO_FILE",
        default_value = "/uk/libukp/scale_to_zero_disable"
    )]
    pub(crate) scale_to_zero_file: PathBuf,
    /// Time zone of the machine, such as Europe/Berlin; `TZ` does as well
    #[arg(long, env = "KERNEL_BROWSER_TIMEZONE", value_parser = parse::zone)]
    pub(crate) kernel_browser_timezone: Option<String>,
    /// Time zone of the machine where there is no `KERNEL_BROWSER_TIMEZONE`
    #[arg(long, env = "TZ", value_parser = parse::zone)]
    pub(crate) tz: Option<String>,
    #[command(flatten)]
    pub(crate) machine: Machine,
    #[command(flatten)]
    pub(crate) log: Log,
}

impl Init {
    /// The time zone that was asked for.
    pub(crate) fn zone(&self) -> Option<&str> {
        let zone = self.kernel_browser_timezone.as_ref().or(self.tz.as_ref());
        zone.map(String::as_str)
    }
}
