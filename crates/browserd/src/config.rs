//! Every setting of every command: the only reader of the environment.
//!
//! A setting is a flag and an environment variable of the same name. Where the variable
//! is not set, the one with the prefix `KERNEL_IMAGES_API_` counts; an empty one counts
//! as not set.

mod computer;
mod environment;
mod init;
mod list;
mod parse;
mod report;
mod together;

use std::{ffi::OsString, path::PathBuf};

use browserd_chromium::launcher;
use browserd_devtools::upstream::Fixed;
use browserd_server::{HostPattern, OpenWhen, Origin};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub(crate) use self::{
    environment::{environment, for_chromium, secrets},
    init::Init,
    list::page,
    report::Refused,
    together::looks_like_a_setting,
};

/// The prefix under which existing images set the daemon's variables.
const PREFIX: &str = "KERNEL_IMAGES_API_";

/// Makes a browser machine usable from outside.
#[derive(Debug, Parser)]
#[command(name = "browserd", version, max_term_width = 100)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    flatten_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon: the HTTP API and the DevTools proxy.
    Serve(Box<Serve>),
    /// Prepare the profile and the display, run Chromium, and close it in good order.
    Chromium(Box<Launch>),
    /// Be the first process of a machine: run the daemon and the services.
    Init(Box<Init>),
    /// Print the API's OpenAPI document.
    Openapi,
    /// Print the list of settings, in Markdown.
    Settings,
}

/// The settings of the daemon.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) ports: Ports,
    #[command(flatten)]
    pub(crate) devtools: DevTools,
    #[command(flatten)]
    pub(crate) processes: ProcessBounds,
    #[command(flatten)]
    pub(crate) files: FileBounds,
    #[command(flatten)]
    pub(crate) machine: Machine,
    #[command(flatten)]
    pub(crate) profile: Profile,
    #[command(flatten)]
    pub(crate) computer: computer::Computer,
    #[command(flatten)]
    pub(crate) callers: Callers,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// Where the daemon listens.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct Ports {
    /// Address that all ports are bound to; `::` takes IPv4 too
    #[arg(long, env = "LISTEN_ADDRESS", default_value = "::", value_parser = parse::ip)]
    pub(crate) listen_address: std::net::IpAddr,
    /// Port of the HTTP API
    #[arg(long, env = "PORT", default_value = "10001", value_parser = parse::port)]
    pub(crate) port: u16,
    /// Port of the Prometheus metrics
    #[arg(long, env = "METRICS_PORT", default_value = "10002", value_parser = parse::port)]
    pub(crate) metrics_port: u16,
    /// Port of the DevTools proxy
    #[arg(long, env = "DEVTOOLS_PROXY_PORT", default_value = "9222", value_parser = parse::port)]
    pub(crate) devtools_proxy_port: u16,
    /// When the API port opens: start, or ready (when the browser and the display answer, or after
    /// 60 s with the reason in the log)
    #[arg(long, env = "OPEN_WHEN", default_value = "start", value_parser = parse::open_when)]
    pub(crate) open_when: OpenWhen,
    /// Connections at once on all ports together
    #[arg(long, env = "MAX_CONNECTIONS", default_value = "4096", value_parser = parse::count)]
    pub(crate) max_connections: usize,
    /// Seconds that a request head may take from its first byte to its last
    #[arg(long, env = "HEADER_TIMEOUT_SEC", default_value = "10", value_parser = parse::seconds)]
    pub(crate) header_timeout_sec: u64,
    /// Bytes that a JSON body may have
    #[arg(long, env = "MAX_JSON_BYTES", default_value = "8388608", value_parser = parse::bytes)]
    pub(crate) max_json_bytes: usize,
    /// Readers of one process' output, or of one watch, at once
    #[arg(long, env = "MAX_STREAMS", default_value = "256", value_parser = parse::count)]
    pub(crate) max_streams: usize,
}

/// How Chromium's DevTools endpoint is found and relayed.
#[derive(Debug, Args)]
#[command(next_help_heading = "DevTools proxy")]
pub(crate) struct DevTools {
    /// Log that Chromium announces its endpoint in
    #[arg(
        long,
        env = "CHROMIUM_LOG_FILE",
        default_value = "/var/log/supervisord/chromium"
    )]
    pub(crate) chromium_log_file: PathBuf,
    /// Endpoint that never changes (ws://… or http://…); the log is then not read
    #[arg(long, env = "DEVTOOLS_UPSTREAM", value_parser = parse::upstream)]
    pub(crate) devtools_upstream: Option<Fixed>,
    /// Seconds that a new connection waits while Chromium restarts
    #[arg(long, env = "DEVTOOLS_WAIT_SEC", default_value = "10", value_parser = parse::seconds_or_zero)]
    pub(crate) devtools_wait_sec: u64,
    /// Seconds between pings to a client, which keep gateways awake; 0 sends none
    #[arg(long, env = "DEVTOOLS_PING_SEC", default_value = "20", value_parser = parse::seconds_or_zero)]
    pub(crate) devtools_ping_sec: u64,
    /// Seconds in which a peer must acknowledge what it is sent, and make room for what waits, on
    /// every port (TCP user timeout). An unanswered ping ends nothing
    #[arg(long, env = "DEVTOOLS_PEER_TIMEOUT_SEC", default_value = "180", value_parser = parse::seconds)]
    pub(crate) devtools_peer_timeout_sec: u64,
    /// Log direction, opcode and length of every frame
    #[arg(long, env = "LOG_CDP_MESSAGES", default_value = "false", value_parser = parse::boolean,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) log_cdp_messages: bool,
}

/// The bounds of commands and spawned processes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Processes")]
pub(crate) struct ProcessBounds {
    /// Processes at once, executed and spawned ones together
    #[arg(long, env = "MAX_PROCESSES", default_value = "1000", value_parser = parse::count)]
    pub(crate) max_processes: usize,
    /// Bytes of output kept of one stream of an executed command, head and tail, in memory
    #[arg(long, env = "EXEC_OUTPUT_BYTES", default_value = "67108864", value_parser = parse::bytes)]
    pub(crate) exec_output_bytes: usize,
    /// Bytes of output kept of a spawned process, head and tail
    #[arg(long, env = "PROCESS_OUTPUT_BYTES", default_value = "67108864", value_parser = parse::bytes)]
    pub(crate) process_output_bytes: usize,
    /// Part of those bytes that is kept in memory
    #[arg(long, env = "PROCESS_OUTPUT_MEMORY_BYTES", default_value = "1048576", value_parser = parse::bytes)]
    pub(crate) process_output_memory_bytes: usize,
    /// Folder for the rest of them; the files in it have no names
    #[arg(long, env = "PROCESS_OUTPUT_DIR", default_value = "/tmp")]
    pub(crate) process_output_dir: PathBuf,
    /// Bytes that those files take together
    #[arg(long, env = "PROCESS_OUTPUT_DISK_BYTES", default_value = "4294967296", value_parser = parse::size)]
    pub(crate) process_output_disk_bytes: u64,
    /// Bytes that requests hold in memory together: output of executed commands, at four times its
    /// length, until the answer is sent. What is beyond is cut out of the output
    #[arg(long, env = "REQUEST_MEMORY_BYTES", default_value = "536870912", value_parser = parse::size)]
    pub(crate) request_memory_bytes: u64,
}

/// The machine around the browser.
#[derive(Debug, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct Machine {
    /// Number of the X display
    #[arg(long, env = "DISPLAY_NUM", default_value = "1", value_parser = parse::display)]
    pub(crate) display_num: u16,
    /// Unix socket of supervisord
    #[arg(
        long,
        env = "SUPERVISOR_SOCKET",
        default_value = "/var/run/supervisor.sock"
    )]
    pub(crate) supervisor_socket: PathBuf,
    /// Seconds that a request waits for the X server or supervisord while it cannot be reached; 0
    /// does not wait
    #[arg(long, env = "PART_WAIT_SEC", default_value = "10", value_parser = parse::seconds_or_zero)]
    pub(crate) part_wait_sec: u64,
}

/// What the user leaves in the browser.
#[derive(Debug, Args)]
#[command(next_help_heading = "Profile")]
pub(crate) struct Profile {
    /// Folder of the browser's profile
    #[arg(
        long,
        env = "BROWSER_DATA_DIR",
        default_value = "/home/kernel/user-data",
        value_parser = parse::absolute
    )]
    pub(crate) browser_data_dir: PathBuf,
}

/// Who may call.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who may call")]
pub(crate) struct Callers {
    /// Origins of pages that may call, as a comma list; they get CORS answers
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',', value_parser = parse::origin)]
    pub(crate) allowed_origins: Vec<Origin>,
    /// Names besides addresses and internal ones that Host may have: a comma list of names,
    /// *.suffix, or * for any
    #[arg(long, env = "ALLOWED_HOSTS", value_delimiter = ',', value_parser = parse::host_pattern)]
    pub(crate) allowed_hosts: Vec<HostPattern>,
}

/// What is logged, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct Log {
    /// auto (text on a terminal, else JSON), text or json
    #[arg(long, env = "LOG_FORMAT", default_value = "auto", value_parser = parse::log_format)]
    pub(crate) log_format: LogFormat,
    /// A level, or a filter of levels by crate
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = parse::log_level)]
    pub(crate) log_level: String,
}

/// How log events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Auto,
    Text,
    Json,
}

/// Words of one value. clap would take a plain `Vec` for a flag that may be repeated.
type Words = Vec<String>;

/// The settings of the launcher.
#[derive(Debug, Args)]
#[command(next_help_heading = "Chromium")]
pub(crate) struct Launch {
    /// Program to run
    #[arg(long, env = "CHROMIUM_BINARY", default_value = "/usr/bin/chromium")]
    pub(crate) chromium_binary: PathBuf,
    /// Flags for Chromium, quoted as in a shell
    #[arg(long, env = "CHROMIUM_FLAGS", default_value = "", allow_hyphen_values = true,
          value_parser = parse::words)]
    pub(crate) chromium_flags: Words,
    /// JSON file with flags that are laid over those
    #[arg(long, env = "CHROMIUM_FLAGS_FILE", default_value = "/chromium/flags")]
    pub(crate) chromium_flags_file: PathBuf,
    #[command(flatten)]
    pub(crate) profile: Profile,
    /// Run Chromium as root, without its sandbox
    #[arg(long, env = "RUN_AS_ROOT", default_value = "false", value_parser = parse::boolean,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) run_as_root: bool,
    /// User that Chromium runs as when the launcher is root
    #[arg(long, env = "CHROMIUM_USER", default_value = "kernel")]
    pub(crate) chromium_user: String,
    /// Width of the screen in pixels
    #[arg(long, env = "WIDTH", default_value = "1920", value_parser = parse::width)]
    pub(crate) width: u16,
    /// Height of the screen in pixels
    #[arg(long, env = "HEIGHT", default_value = "1080", value_parser = parse::height)]
    pub(crate) height: u16,
    /// Number of the X display
    #[arg(long, env = "DISPLAY_NUM", default_value = "1", value_parser = parse::display)]
    pub(crate) display_num: u16,
    /// A window manager is started too: wait for it, so that it makes the window fill the screen
    #[arg(long, env = "WINDOW_MANAGER", default_value = "false", value_parser = parse::boolean,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) window_manager: bool,
    /// Show tabs and address. Without, and without a window manager, they are above the edge of the
    /// screen, so that pages have all of it
    #[arg(long, env = "BROWSER_UI", default_value = "false", value_parser = parse::boolean,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) browser_ui: bool,
    /// Port that Chromium's own DevTools server listens on
    #[arg(long, env = "INTERNAL_PORT", default_value = "9223", value_parser = parse::port)]
    pub(crate) internal_port: u16,
    /// Log that Chromium's lines get into; why it ended is looked up there
    #[arg(
        long,
        env = "CHROMIUM_LOG_FILE",
        default_value = "/var/log/supervisord/chromium"
    )]
    pub(crate) chromium_log_file: PathBuf,
    /// File that counts the starts in vain, which make the next one wait
    #[arg(
        long,
        env = "CHROMIUM_STARTS_FILE",
        default_value = "/var/run/chromium.failures"
    )]
    pub(crate) chromium_starts_file: PathBuf,
    #[command(flatten)]
    pub(crate) log: Log,
}

impl Cli {
    /// Reads the command line and the environment.
    pub(crate) fn read() -> Result<Self, Refused> {
        Self::from_arguments(&std::env::args_os().collect::<Vec<_>>())
    }

    /// What a command of this program would read from the environment alone.
    pub(crate) fn of(command: &str) -> Result<Self, Refused> {
        Self::from_arguments(&["browserd".into(), command.into()])
    }

    fn from_arguments(arguments: &[OsString]) -> Result<Self, Refused> {
        let mut command = with_variables(Self::command());
        let read = command
            .try_get_matches_from_mut(arguments)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| Refused::new(&error, &command, arguments))?;
        if let Command::Serve(serve) = &read.command {
            together::check_ports(serve, None)?;
        }
        Ok(read)
    }
}

/// Whether the daemon and Chromium can run beside each other with these.
pub(crate) fn check_together(serve: &Serve, launch: &Launch) -> Result<(), Refused> {
    together::check_ports(serve, Some(launch))?;
    together::check_manager(launch)
}

impl From<Launch> for launcher::Config {
    fn from(settings: Launch) -> Self {
        Self {
            binary: settings.chromium_binary,
            flags: settings.chromium_flags,
            flags_file: settings.chromium_flags_file,
            data_dir: settings.profile.browser_data_dir,
            run_as_root: settings.run_as_root,
            user: settings.chromium_user,
            width: settings.width,
            height: settings.height,
            display_num: settings.display_num,
            window_manager: settings.window_manager,
            browser_ui: settings.browser_ui,
            internal_port: settings.internal_port,
            environment: for_chromium(environment()),
            log_file: settings.chromium_log_file,
            starts_file: settings.chromium_starts_file,
        }
    }
}

/// Points every argument of every command at the variable that counts for it.
fn with_variables(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|subcommand| {
        subcommand.mut_args(|argument| {
            let Some(name) = argument.get_env().and_then(|name| name.to_str()) else {
                return argument;
            };
            let prefixed = format!("{PREFIX}{name}");
            match (
                environment::variable(name),
                environment::variable(&prefixed),
            ) {
                (Some(value), _) if !value.is_empty() => argument,
                (_, Some(value)) if !value.is_empty() => argument.env(prefixed),
                (None, _) => argument,
                (Some(_empty), _) => argument.env(None),
            }
        })
    })
}

/// The bounds of archives and watches.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct FileBounds {
    /// Folder for uploads that cannot go to their place yet; the files in it have no names
    #[arg(long, env = "UPLOAD_DIR", default_value = "/tmp")]
    pub(crate) upload_dir: PathBuf,
    /// Seconds that a file system may take for a step of a call; a call that makes no progress for
    /// so long is answered with 503
    #[arg(long, env = "FILE_DEADLINE_SEC", default_value = "30", value_parser = parse::seconds)]
    pub(crate) file_deadline_sec: u64,
    /// Archives that are packed or unpacked at once
    #[arg(long, env = "MAX_ARCHIVES", default_value = "32", value_parser = parse::count)]
    pub(crate) max_archives: usize,
    /// Entries that an uploaded archive may have
    #[arg(long, env = "ARCHIVE_MAX_ENTRIES", default_value = "100000", value_parser = parse::count)]
    pub(crate) archive_max_entries: usize,
    /// Bytes that an uploaded archive may unpack to
    #[arg(long, env = "ARCHIVE_MAX_BYTES", default_value = "17179869184", value_parser = parse::size)]
    pub(crate) archive_max_bytes: u64,
    /// Bytes that an uploaded archive may unpack to for each of its own, past the first 16 MiB
    #[arg(long, env = "ARCHIVE_MAX_RATIO", default_value = "1000", value_parser = parse::size)]
    pub(crate) archive_max_ratio: u64,
    /// Watches at once; each takes one of the kernel's inotify instances
    #[arg(long, env = "MAX_WATCHES", default_value = "64", value_parser = parse::count)]
    pub(crate) max_watches: usize,
    /// Events that are kept of a watch
    #[arg(long, env = "WATCH_EVENTS", default_value = "10000", value_parser = parse::count)]
    pub(crate) watch_events: usize,
    /// Seconds after which a watch that nobody reads ends
    #[arg(long, env = "WATCH_IDLE_SEC", default_value = "3600", value_parser = parse::seconds)]
    pub(crate) watch_idle_sec: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_variable() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_env().is_some(),
                    "{} has none",
                    argument.get_id()
                );
            }
        }
    }
}
