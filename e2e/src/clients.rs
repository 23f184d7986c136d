//! Runs the programs of `e2e/clients`.
//!
//! Each prints one line of JSON with what it saw, and exits with a status other than zero, and
//! the cause on stderr, when something was not as it should be.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;

use crate::settings;

/// How long a program may take on a quiet machine.
const LIMIT: Duration = Duration::from_secs(90);

/// The folder of the programs.
#[must_use]
pub fn folder() -> PathBuf {
    settings::repository().join("e2e/clients")
}

/// Runs a program of the folder with Node or Python, by its name's ending.
pub async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<Value> {
    let is_python = Path::new(program)
        .extension()
        .is_some_and(|ending| ending == "py");
    let interpreter = if is_python {
        settings::python()
    } else {
        settings::node()?
    };
    let output = Command::new(&interpreter)
        .arg(program)
        .args(arguments)
        .current_dir(folder())
        // No proxy of the machine stands between a client and this machine.
        .envs(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, "")))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let limit = settings::patience(LIMIT);
    let output = tokio::time::timeout(limit, output).await;
    let output = output
        .with_context(|| format!("{program} {arguments:?} runs for more than {limit:?}"))?
        .with_context(|| format!("cannot run {}", interpreter.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let line = text
        .lines()
        .last()
        .with_context(|| format!("{program} prints nothing"))?;
    serde_json::from_str(line).with_context(|| format!("{program} prints no JSON: {line}"))
}
