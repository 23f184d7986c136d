//! The launcher: prepares what Chromium needs, starts it, and stays with it.
//!
//! In order: what is left of the last run is ended, stale profile locks go, the directories are
//! made, the X server answers and has its initial size, the internal port is free, Chromium is
//! started. Each wait is bounded and ends in an error of one line; supervisord then starts the
//! launcher again. The launcher ends with Chromium, and as it did; on SIGTERM it closes Chromium
//! so that nothing is lost (module `stay`).

mod ended;
mod environment;
mod leftovers;
mod litter;
mod lock;
mod port;
mod process;
mod profile;
mod sound;
mod starts;
mod stay;
mod unknown;
mod user;

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use browserd_display::{Connection, Display, Filling};
use rustix::fs::statvfs;

use crate::flags::{self, Dropped, Flags, Overlay, OverlayError, Screen};
use ended::Witness;
use environment::Environment;
use starts::Starts;
pub use stay::Ended;
use stay::Stay;
use user::Account;

/// How long the X server may take to come up.
const X_PATIENCE: Duration = Duration::from_secs(10);
/// How long one attempt to reach the X server may take.
const X_ATTEMPT: Duration = Duration::from_secs(3);
/// How long a window manager may take once the X server is there.
const MANAGER_PATIENCE: Duration = Duration::from_secs(5);
/// How long the internal port may take to become free.
const PORT_PATIENCE: Duration = Duration::from_secs(5);
/// How long to leave between two looks at something that gives no sign by itself.
const PAUSE: Duration = Duration::from_millis(4);
/// Below this much room in /dev/shm, in bytes, Chromium is told to keep away from it: containers give
/// 64 MiB by default. It takes anonymous files (memfd) instead of either, where the kernel has them.
const LEAST_SHARED_MEMORY: u64 = 1024 * 1024 * 1024;

/// What the launcher is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The program to start.
    pub binary: PathBuf,
    /// Flags from the configuration, one word each.
    pub flags: Vec<String>,
    /// The file of flags that the API laid over them.
    pub flags_file: PathBuf,
    /// The folder of the browser's profile.
    pub data_dir: PathBuf,
    /// Stay root, without Chromium's sandbox; without effect when not started as root.
    pub run_as_root: bool,
    /// The user to become when started as root.
    pub user: String,
    /// The width of the screen in pixels, unless it was resized since the X server came up.
    pub width: u16,
    /// The height of the screen, likewise.
    pub height: u16,
    /// The number of the X display.
    pub display_num: u16,
    /// A window manager is started too, and worth waiting for.
    pub window_manager: bool,
    /// Tabs and address are on the screen; else, without a window manager, they are above its edge.
    pub browser_ui: bool,
    /// The port of Chromium's own DevTools server, on the loopback address.
    pub internal_port: u16,
    /// Variables that Chromium may inherit: without the settings of this program. What is secret
    /// by its name, or would lead Chromium astray, is left out here.
    pub environment: Vec<(OsString, OsString)>,
    /// The log that Chromium's lines get into.
    pub log_file: PathBuf,
    /// Where the starts in vain are counted.
    pub starts_file: PathBuf,
}

/// Why Chromium was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user to become does not exist.
    #[error("the user {0:?} of CHROMIUM_USER does not exist (RUN_AS_ROOT=true stays root)")]
    NoUser(String),
    /// The user database cannot be read.
    #[error("cannot look up the user {name:?}")]
    LookUpUser {
        /// The user.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// The flags file is there and cannot be used.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// A directory cannot be made ready for the browser's user.
    #[error("cannot prepare the directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The profile's lock cannot be looked at or removed.
    #[error("cannot remove the profile lock {path}")]
    Lock {
        /// The lock.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another Chromium uses the profile and was not started for it by this launcher.
    #[error("the profile {path} is in use by process {pid}")]
    ProfileInUse {
        /// The profile.
        path: PathBuf,
        /// The process.
        pid: i32,
    },
    /// Processes of the last run cannot be ended.
    #[error("cannot end what is left of the last run")]
    Leftovers(#[source] io::Error),
    /// Processes of the last run live on although they were killed.
    #[error("processes {0:?} of the last run do not end")]
    LeftoversStay(Vec<i32>),
    /// The X server does not come up.
    #[error("the X server is not there after {} s", X_PATIENCE.as_secs())]
    NoDisplay(#[source] browserd_display::Error),
    /// Nobody would see to the windows of the browser.
    #[error("cannot watch over the browser's windows")]
    Windows(#[source] browserd_display::Error),
    /// The screen cannot be given its size.
    #[error("cannot set the size of the screen to {width}x{height}")]
    Resize {
        /// The wanted width.
        width: u16,
        /// The wanted height.
        height: u16,
        /// The cause.
        source: browserd_display::Error,
    },
    /// The internal port stays in use.
    #[error("port {port} on 127.0.0.1, for Chromium's DevTools, is in use")]
    PortInUse {
        /// The port.
        port: u16,
        /// The cause.
        source: io::Error,
    },
    /// The program cannot be executed.
    #[error("cannot execute {binary}")]
    Execute {
        /// The program.
        binary: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The launcher cannot wait for signals, or for Chromium's end.
    #[error("cannot wait for Chromium")]
    Wait(#[source] io::Error),
}

/// Prepares everything, starts Chromium, and stays until its end. Before that it waits, where the
/// last starts were in vain.
///
/// This blocks; it is the whole life of its process, and catches SIGTERM, SIGINT and SIGHUP.
pub fn launch(config: &Config) -> Result<Ended, Error> {
    let starts = Starts::begin(&config.starts_file);
    let launched = start(config, &starts);
    if let Err(Error::PortInUse { .. } | Error::NoDisplay(_)) = launched {
        // These have been waited for already.
        starts.worked();
    }
    launched
}

fn start(config: &Config, starts: &Starts) -> Result<Ended, Error> {
    let data_dir = std::path::absolute(&config.data_dir).map_err(|source| Error::Directory {
        path: config.data_dir.clone(),
        source,
    })?;
    let config = &Config {
        data_dir,
        ..config.clone()
    };
    let account = Account::choose(config.run_as_root, &config.user)?;
    let overlay = Overlay::read(&config.flags_file)?;
    leftovers::end(&config.data_dir)?;
    profile::give_home(&account);
    profile::make(&config.data_dir, &account)?;
    lock::release(&config.data_dir)?;
    litter::remove(&config.data_dir, account.home.as_deref());
    let environment = prepare_environment(&account, config)?;
    let (connection, screen) = prepare_screen(config)?;
    sound::wait(&environment.variables);
    port::wait_until_free(config.internal_port)?;
    let (flags, dropped) = command_line(config, &overlay, screen, account.is_root());
    for Dropped { argument, reason } in dropped {
        tracing::warn!(%argument, "flag left out: {reason}");
    }
    let binary = config.binary.display();
    let witness = Witness::new(&config.log_file, &config.data_dir);
    tracing::info!(%binary, user = %account.name, "{}", ended::STARTING);
    let command = program(&config.binary, flags, environment, &account);
    let given = unknown::names(config.flags.iter().chain(&overlay.flags));
    if let Some(screen) = screen {
        fill_screen(connection, screen)?;
    }
    let stay = Stay {
        binary: &config.binary,
        internal_port: config.internal_port,
        witness,
        starts,
    };
    stay.with(command, given)
}

fn prepare_environment(account: &Account, config: &Config) -> Result<Environment, Error> {
    let inherited = config.environment.clone();
    let mut environment = environment::for_chromium(inherited, account, config.display_num);
    if let Some(path) = environment.runtime_dir.clone()
        && !profile::make_private(&path, account)?
    {
        let path = path.display();
        tracing::warn!(%path, "Chromium gets no XDG_RUNTIME_DIR: it belongs to another user");
        environment.forget_runtime_dir();
    }
    Ok(environment)
}

/// Has the windows that Chromium opens fill the screen, for as long as this process lives.
fn fill_screen(connection: Connection, screen: Screen) -> Result<(), Error> {
    let filling = Filling::new(connection, screen.above.is_some(), screen.window())
        .map_err(Error::Windows)?;
    std::thread::spawn(move || {
        // Chromium does not survive the X server either.
        let error = filling.run();
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "windows are left alone"
        );
    });
    Ok(())
}

/// Waits for the X server and gives its screen the initial size. Tells what Chromium's window
/// is to fill, where no window manager sees to that.
fn prepare_screen(config: &Config) -> Result<(Connection, Option<Screen>), Error> {
    let display = Display::new(config.display_num);
    let deadline = Instant::now() + X_PATIENCE;
    let connection = loop {
        match display.connect(X_ATTEMPT) {
            Ok(connection) => break connection,
            Err(error) if Instant::now() >= deadline => return Err(Error::NoDisplay(error)),
            Err(_) => pause(),
        }
    };
    let Config { width, height, .. } = *config;
    let failed = |source| Error::Resize {
        width,
        height,
        source,
    };
    connection.set_initial_size(width, height).map_err(failed)?;
    if wait_for_manager(&connection, config.window_manager).map_err(failed)? {
        return Ok((connection, None));
    }
    let size = connection.size().map_err(failed)?;
    let screen = Screen {
        width: size.width,
        height: size.height,
        above: (!config.browser_ui).then_some(flags::UI_HEIGHT),
    };
    Ok((connection, Some(screen)))
}

/// Whether a window manager is in charge of the screen, which it may have to be waited for.
fn wait_for_manager(
    connection: &Connection,
    is_expected: bool,
) -> Result<bool, browserd_display::Error> {
    let deadline = Instant::now() + MANAGER_PATIENCE;
    loop {
        connection.allow(X_ATTEMPT);
        if connection.is_managed()? {
            return Ok(true);
        }
        if !is_expected {
            return Ok(false);
        }
        if Instant::now() >= deadline {
            tracing::warn!("there is no window manager after {MANAGER_PATIENCE:?}");
            return Ok(false);
        }
        pause();
    }
}

/// The arguments, and what was left out of them.
fn command_line(
    config: &Config,
    overlay: &Overlay,
    screen: Option<Screen>,
    as_root: bool,
) -> (Vec<String>, Vec<Dropped>) {
    let mut flags = flags::base(&config.data_dir, config.internal_port, screen);
    if as_root {
        // Chromium refuses to run its sandbox as root.
        flags.lay_over(&["--no-sandbox"]);
    }
    if !shared_memory_suffices() {
        flags.lay_over(&["--disable-dev-shm-usage"]);
    }
    let mut dropped = flags.lay_over(&config.flags);
    dropped.extend(flags.lay_over(&overlay.flags));
    open_a_page(&mut flags);
    (flags.into_arguments(), dropped)
}

/// Clients need a page to attach to, and the new-tab page loads things from the network.
fn open_a_page(flags: &mut Flags) {
    if flags.positional().is_empty() {
        flags.lay_over(&["about:blank"]);
    }
}

/// Whether /dev/shm has room for Chromium; where it cannot be asked, Chromium decides.
fn shared_memory_suffices() -> bool {
    statvfs("/dev/shm").map_or(true, |disk| {
        disk.f_bavail * disk.f_frsize >= LEAST_SHARED_MEMORY
    })
}

/// Chromium as the account's user, ready to be started.
fn program(
    binary: &Path,
    arguments: Vec<String>,
    environment: Environment,
    account: &Account,
) -> Command {
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.variables)
        .current_dir("/");
    if let Some((uid, gid)) = account.switch_to() {
        // Dropping root this way drops root's supplementary groups too.
        command.gid(gid).uid(uid);
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "no runtime lives yet")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests;
