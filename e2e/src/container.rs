//! A browser machine in a container, run as docs/images.md says.
//!
//! The engine's client is `docker`, or what `DOCKER` names with its options.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;

use crate::{Api, Endpoints, patience, settings};

/// How long a machine may take to be ready on a quiet machine.
const START: Duration = Duration::from_secs(60);
/// How long one command of the engine's client may take.
const COMMAND: Duration = Duration::from_secs(60);
/// Ports inside of a container: the API, the metrics, the DevTools proxy.
const PORTS: [u16; 3] = [10001, 10002, 9222];

/// Numbers the names of this process' containers and volumes.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// How to run a container.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    image: String,
    options: Vec<String>,
    arguments: Vec<String>,
}

/// A container that was started. Dropping it removes it.
#[derive(Debug)]
pub struct Container {
    name: String,
}

/// A volume. Dropping it removes it.
#[derive(Debug)]
pub struct Volume {
    name: String,
}

impl Builder {
    /// The options of docs/images.md: nothing privileged, and Chromium's sandbox. Its ports are free ones of this machine.
    pub fn new(image: &str) -> Self {
        let profile = settings::repository().join("images/seccomp.json");
        let mut builder = Self {
            image: image.to_owned(),
            options: Vec::new(),
            arguments: Vec::new(),
        }
        .option(&format!("--security-opt=seccomp={}", profile.display()));
        for port in PORTS {
            builder = builder.option(&format!("--publish=127.0.0.1::{port}"));
        }
        builder
    }

    /// Adds an option of `docker run`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Takes back the options that begin like this.
    pub fn without(mut self, option: &str) -> Self {
        self.options.retain(|given| !given.starts_with(option));
        self
    }

    /// Adds an argument for what runs in the container.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets a variable.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.option(&format!("--env={name}={value}"))
    }

    /// Keeps the user data in a volume.
    pub fn user_data(self, volume: &Volume) -> Self {
        self.option(&format!("--volume={}:/home/kernel/user-data", volume.name))
    }

    /// Starts it, and waits until `/readyz` says so.
    pub async fn start(self) -> anyhow::Result<Container> {
        let container = self.start_unready().await?;
        container.ready().await?;
        Ok(container)
    }

    /// Starts it without waiting for anything.
    pub async fn start_unready(self) -> anyhow::Result<Container> {
        let name = name();
        let container = Container { name: name.clone() };
        let mut arguments = vec!["run", "--detach", "--name", &name];
        arguments.extend(self.options.iter().map(String::as_str));
        arguments.push(&self.image);
        arguments.extend(self.arguments.iter().map(String::as_str));
        docker(&arguments).await?;
        Ok(container)
    }
}

impl Container {
    /// Where it is reached. A container that was started anew has other ports.
    pub async fn at(&self) -> anyhow::Result<Endpoints> {
        let mut addresses = Vec::new();
        for port in PORTS {
            let told = docker(&["port", &self.name, &format!("{port}/tcp")]).await?;
            let line = told.lines().next().unwrap_or_default();
            let address: SocketAddr = line
                .parse()
                .with_context(|| format!("docker port says {line:?}"))?;
            addresses.push(address);
        }
        let [api, metrics, devtools] = addresses[..] else {
            anyhow::bail!("there are not three ports");
        };
        Ok(Endpoints {
            api: Api::new(api)?,
            devtools,
            metrics,
        })
    }

    /// Waits until `/readyz` says yes; a failure shows what the container has logged.
    pub async fn ready(&self) -> anyhow::Result<Endpoints> {
        let at = self.at().await?;
        match at.ready(START).await {
            Ok(()) => Ok(at),
            Err(error) => Err(error.context(self.logs().await?)),
        }
    }

    /// Everything that it has logged.
    pub async fn logs(&self) -> anyhow::Result<String> {
        docker(&["logs", &self.name]).await
    }

    /// A command of the engine's client about this container, such as `stop`.
    pub async fn command(&self, command: &[&str]) -> anyhow::Result<String> {
        let mut arguments = command.to_vec();
        arguments.push(&self.name);
        docker(&arguments).await
    }

    /// Runs a program in it as root; returns what it prints.
    pub async fn run(&self, program: &[&str]) -> anyhow::Result<String> {
        let mut arguments = vec!["exec", self.name.as_str()];
        arguments.extend(program);
        docker(&arguments).await
    }

    /// Starts a program in it as root, and leaves it there.
    pub async fn detach(&self, program: &[&str]) -> anyhow::Result<()> {
        let mut arguments = vec!["exec", "--detach", self.name.as_str()];
        arguments.extend(program);
        docker(&arguments).await.map(drop)
    }

    /// Waits for its end; returns its exit code.
    pub async fn ended(&self) -> anyhow::Result<String> {
        let code = docker(&["wait", &self.name]).await?;
        Ok(code.trim().to_owned())
    }

    /// What `/readyz` says of a part while that part is not ready.
    pub async fn lacks(&self, part: &str) -> anyhow::Result<String> {
        let at = self.at().await?;
        let what = async || {
            let readyz: Value = at.api.get("/readyz").await?.expect(503)?.json()?;
            let part = &readyz["parts"][part];
            anyhow::ensure!(part["ready"] == false, "{readyz}");
            anyhow::Ok(part["detail"].as_str().unwrap_or_default().to_owned())
        };
        match patience::until(START, what).await {
            Ok(detail) => Ok(detail),
            Err(error) => Err(error.context(self.logs().await?)),
        }
    }

    /// A field of `docker inspect`.
    pub async fn inspect(&self, format: &str) -> anyhow::Result<String> {
        let told = docker(&["inspect", "--format", format, &self.name]).await?;
        Ok(told.trim().to_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        remove(&["rm", "--force", "--volumes", &self.name]);
    }
}

impl Volume {
    /// Makes one. It is root's, as volumes are.
    pub async fn new() -> anyhow::Result<Self> {
        let name = name();
        docker(&["volume", "create", &name]).await?;
        Ok(Self { name })
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        remove(&["volume", "rm", "--force", &self.name]);
    }
}

/// Runs the engine's client; returns its stdout and stderr.
pub async fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let client = settings::docker();
    let output = Command::new(&client[0])
        .args(&client[1..])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(settings::patience(COMMAND), output).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output
        .with_context(|| format!("docker {arguments:?} takes too long"))?
        .with_context(|| format!("cannot run {client:?}"))?;
    let mut text = String::from_utf8_lossy(&stdout).into_owned();
    write!(text, "{}", String::from_utf8_lossy(&stderr))?;
    anyhow::ensure!(status.success(), "docker {arguments:?}: {status}: {text}");
    Ok(text)
}

/// Removes something at once, whether or not it is there.
pub(crate) fn remove(arguments: &[&str]) {
    let client = settings::docker();
    #[expect(
        clippy::disallowed_methods,
        reason = "a drop cannot wait in another way"
    )]
    let _ = std::process::Command::new(&client[0])
        .args(&client[1..])
        .args(arguments)
        .stdin(Stdio::null())
        .output();
}

fn name() -> String {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("browserd-e2e-{}-{number}", std::process::id())
}
