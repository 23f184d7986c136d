//! A process that the daemon was asked to start, and the routes to reach it by.

use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use crate::{Api, Call, http::Answer, sse::Events};

/// How long a process may take to exit on a quiet machine.
const EXIT: Duration = Duration::from_secs(20);

/// A process at a daemon.
#[derive(Debug, Clone)]
pub struct Spawned {
    api: Api,
    /// Its id at the daemon.
    pub id: String,
    /// Its number in the machine.
    pub pid: u32,
}

/// How a process ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Stdout.
    pub stdout: Vec<u8>,
    /// Stderr.
    pub stderr: Vec<u8>,
    /// The exit event.
    pub exit: Value,
}

impl Api {
    /// POSTs JSON.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let call = Call::new(Method::POST, path).body("application/json", body.to_string());
        self.send(call).await
    }

    /// Runs a shell script to its end, whatever that is.
    pub async fn exec(&self, script: &str) -> anyhow::Result<Answer> {
        let body = json!({ "command": "sh", "args": ["-c", script] });
        self.post("/process/exec", &body).await
    }

    /// Spawns a process.
    pub async fn spawn(&self, request: &Value) -> anyhow::Result<Spawned> {
        let answer = self.post("/process/spawn", request).await?;
        let body: Value = answer.expect(200)?.json()?;
        let id = body["process_id"].as_str().context("no process_id")?;
        let pid = body["pid"].as_u64().context("no pid")?;
        Ok(Spawned {
            api: self.clone(),
            id: id.to_owned(),
            pid: u32::try_from(pid)?,
        })
    }

    /// Spawns a shell script.
    pub async fn spawn_script(&self, script: &str) -> anyhow::Result<Spawned> {
        let request = json!({ "command": "sh", "args": ["-c", script] });
        self.spawn(&request).await
    }

    /// Spawns a program in a terminal.
    pub async fn spawn_in_terminal(&self, command: &str, args: &[&str]) -> anyhow::Result<Spawned> {
        let request = json!({ "command": command, "args": args, "allocate_tty": true });
        self.spawn(&request).await
    }
}

impl Spawned {
    /// The path of one of its routes.
    #[must_use]
    pub fn path(&self, route: &str) -> String {
        format!("/process/{}/{route}", self.id)
    }

    /// Calls one of its routes.
    pub async fn post(&self, route: &str, body: &Value) -> anyhow::Result<Answer> {
        self.api.post(&self.path(route), body).await
    }

    /// Signals its group.
    pub async fn kill(&self, signal: &str) -> anyhow::Result<()> {
        let answer = self.post("kill", &json!({ "signal": signal })).await?;
        answer.expect(200).map(drop)
    }

    /// Its status.
    pub async fn status(&self) -> anyhow::Result<Value> {
        let answer = self.api.get(&self.path("status")).await?;
        answer.expect(200)?.json()
    }

    /// Streams its output, from the start or from behind an event.
    pub async fn output(&self, last_event_id: Option<&str>) -> anyhow::Result<Events> {
        let path = self.path("stdout/stream");
        Events::open(self.api.address(), &path, last_event_id).await
    }

    /// Reads its whole output, and waits for its exit meanwhile.
    pub async fn whole(&self) -> anyhow::Result<Whole> {
        let limit = crate::settings::patience(EXIT);
        let read = tokio::time::timeout(limit, self.read());
        read.await
            .with_context(|| format!("process {} goes on after {limit:?}", self.id))?
    }

    async fn read(&self) -> anyhow::Result<Whole> {
        let mut events = self.output(None).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(event) = events.next().await? {
            let event = event.json()?;
            let Some(stream) = event["stream"]
                .as_str()
                .filter(|_| event["event"].is_null())
            else {
                let exit = event;
                anyhow::ensure!(exit["event"] == "exit", "not all of it: {exit}");
                anyhow::ensure!(
                    events.next().await?.is_none(),
                    "something comes behind the exit"
                );
                return Ok(Whole {
                    stdout,
                    stderr,
                    exit,
                });
            };
            let data = decoded(&event["data_b64"])?;
            match stream {
                "stdout" => stdout.extend(data),
                _ => stderr.extend(data),
            }
        }
        anyhow::bail!("the stream ends without an exit event")
    }

    /// The URL to attach to its terminal by.
    #[must_use]
    pub fn attach_url(&self, query: &str) -> String {
        format!("ws://{}{}{query}", self.api.address(), self.path("attach"))
    }
}

/// The bytes of a text in base64.
pub fn decoded(text: &Value) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    let text = text.as_str().context("no text in base64")?;
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}
