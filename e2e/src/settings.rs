//! The settings of the suite itself, all from the environment.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};

fn variable(name: &str) -> Option<OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The directory of the checkout.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The programs that children find: the `PATH` of this process.
pub(crate) fn search_path() -> OsString {
    variable("PATH").unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin".into())
}

/// How much longer than on a quiet machine to wait: `E2E_PATIENCE`, a factor of at least one.
#[must_use]
pub fn patience(quiet: Duration) -> Duration {
    let factor: f64 = variable("E2E_PATIENCE")
        .and_then(|value| value.to_str()?.parse().ok())
        .filter(|factor| (1.0..=100.0).contains(factor))
        .unwrap_or(1.0);
    quiet.mul_f64(factor)
}

fn number(name: &str, usual: u64) -> u64 {
    let value = variable(name).and_then(|value| value.to_str()?.parse().ok());
    value.unwrap_or(usual)
}

/// How much a process writes to its readers: `PROCESS_TEST_BYTES`, 48 MiB unless set, of which
/// the daemon keeps all, however slow the readers are.
#[must_use]
pub fn process_bytes() -> u64 {
    number("PROCESS_TEST_BYTES", 48 << 20)
}

/// How long a process writes to nobody: `PROCESS_TEST_SECONDS`, 3 unless set.
#[must_use]
pub fn process_time() -> Duration {
    Duration::from_secs(number("PROCESS_TEST_SECONDS", 3))
}

/// How often a random text is typed: `TYPING_ROUNDS`, 2 unless set.
#[must_use]
pub fn typing_rounds() -> u64 {
    number("TYPING_ROUNDS", 2)
}

/// The container engine's client with its options: `DOCKER`, or `docker`.
#[must_use]
pub fn docker() -> Vec<String> {
    let value = variable("DOCKER").unwrap_or_else(|| "docker".into());
    let words = value.to_string_lossy();
    words.split_whitespace().map(ToOwned::to_owned).collect()
}

/// The image that daemons and stacks are containers of: `E2E_IMAGE`; unset, they are processes of
/// this machine.
#[must_use]
pub fn image() -> Option<String> {
    variable("E2E_IMAGE").map(|image| image.to_string_lossy().into_owned())
}

/// The tag of the images: `TAG`, `latest` unless set.
#[must_use]
pub fn tag() -> String {
    let tag = variable("TAG").map(|tag| tag.to_string_lossy().into_owned());
    tag.unwrap_or_else(|| "latest".to_owned())
}

/// The daemon's binary: `BROWSERD_BIN`, or the one beside this test's own binary.
pub fn browserd() -> anyhow::Result<PathBuf> {
    if let Some(path) = variable("BROWSERD_BIN") {
        return Ok(path.into());
    }
    let own = env::current_exe().context("cannot find the path of this test")?;
    // Tests lie in <profile>/deps, programs in <profile>.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("browserd"));
    let Some(path) = found.into_iter().find(|path| path.is_file()) else {
        bail!(
            "no browserd beside {}: run `cargo build -p browserd`",
            own.display()
        );
    };
    Ok(path)
}

/// The Python that has the packages of `e2e/clients/requirements.txt`: `E2E_PYTHON`, or that
/// of `.run/venv`.
#[must_use]
pub fn python() -> PathBuf {
    variable("E2E_PYTHON").map_or_else(|| repository().join(".run/venv/bin/python"), PathBuf::from)
}

/// The Node that runs the clients: `E2E_NODE`, or else the one inside the Python package
/// `playwright`, since the clients need a newer one than Debian 12 has.
pub fn node() -> anyhow::Result<PathBuf> {
    if let Some(path) = variable("E2E_NODE") {
        return Ok(path.into());
    }
    let python = python();
    let library = python
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("lib"));
    let library = library.context("E2E_PYTHON is not <folder>/bin/python")?;
    let versions = std::fs::read_dir(&library)
        .with_context(|| format!("no Python packages in {}", library.display()))?;
    let bundled = "site-packages/playwright/driver/node";
    let mut found = versions.flatten().map(|entry| entry.path().join(bundled));
    found
        .find(|path| path.is_file())
        .context("no Node in the Python package playwright")
}

/// Whether this process, and so the whole stack, runs as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
