//! A file system that never answers costs only the calls that touch it.

use anyhow::Context as _;
use browserd_e2e::{Call, Daemon, assert_eventually, hung::Hung, metrics::Metrics};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// More than all threads that the runtime has for what blocks.
const READS: usize = 600;

/// Sends a request without waiting for what becomes of it.
async fn ask(daemon: &Daemon, target: &str) -> anyhow::Result<TcpStream> {
    let address = daemon.at.api.address();
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn value(daemon: &Daemon, name: &str) -> anyhow::Result<f64> {
    Metrics::read(daemon.at.metrics).await?.value(name)
}

/// Calls of each kind that touch nothing of the mount.
async fn all_else_answers(daemon: &Daemon) -> Outcome {
    let api = &daemon.at.api;
    let folder = TempDir::with_prefix("browserd-e2e-")?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let body = |call: Call, body: &Value| call.body("application/json", body.to_string());
    let write = Call::new(Method::PUT, format!("/fs/write_file?path={}", path("a")));
    let write = write.body("application/octet-stream", "content");
    api.send(write).await?.expect(201)?;
    let read = format!("/fs/read_file?path={}", path("a"));
    assert_eq!(api.get(&read).await?.expect(200)?.text(), "content");
    let list = format!("/fs/list_files?path={}", folder.path().display());
    api.get(&list).await?.expect(200)?;
    let zip = format!("/fs/download_dir_zip?path={}", folder.path().display());
    api.get(&zip).await?.expect(200)?;
    let copy = json!({"src_path": path("a"), "dest_path": path("b")});
    let call = body(Call::new(Method::PUT, "/fs/copy"), &copy);
    api.send(call).await?.expect(200)?;
    let log = format!("/logs/stream?source=path&follow=false&path={}", path("a"));
    api.get(&log).await?.expect(200)?;
    let exec = body(
        Call::new(Method::POST, "/process/exec"),
        &json!({"command": "true"}),
    );
    api.send(exec).await?.expect(200)?;
    api.get("/healthz").await?.expect(200).map(drop)
}

/// Six hundred reads of it, and as many of its logs, wait; nobody else does.
pub(crate) async fn nothing_else_waits_for_it(_suite: Suite) -> Outcome {
    let daemon = Daemon::builder().start().await?;
    let mut hung = Hung::mount()?;
    let file = hung.path().join("file").display().to_string();
    let mut waiting = Vec::new();
    for _ in 0..READS {
        waiting.push(ask(&daemon, &format!("/fs/read_file?path={file}")).await?);
    }
    for target in [
        format!("/logs/stream?source=path&path={file}"),
        format!("/fs/list_files?path={}", hung.path().display()),
        format!("/fs/download_dir_zip?path={}", hung.path().display()),
    ] {
        waiting.push(ask(&daemon, &target).await?);
    }
    assert_eventually!(
        "not all reads wait",
        value(&daemon, "browserd_blocking_queued").await? > 400.0
    );
    all_else_answers(&daemon).await?;
    hung.end();
    assert_eventually!(
        "a thread stays in a call",
        value(&daemon, "browserd_blocking_busy").await? == 0.0
    );
    Ok(())
}

/// Past the deadline the answer is 503; once all threads of the mount hang, at once.
pub(crate) async fn its_callers_are_told(_suite: Suite) -> Outcome {
    let daemon = Daemon::builder().env("FILE_DEADLINE_SEC", "1").start();
    let daemon = daemon.await?;
    let mut hung = Hung::mount()?;
    let target = format!("/fs/read_file?path={}", hung.path().join("file").display());
    let answer = daemon.at.api.get(&target).await?.expect(503)?;
    let error: Value = answer.json()?;
    assert_eq!(error["code"], "upstream_unavailable", "{error}");
    let message = error["message"].as_str().context("no message")?;
    let place = hung.path().display().to_string();
    assert!(message.contains(&place), "{message}");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eventually!(
        "the thread is not stuck",
        value(&daemon, "browserd_blocking_stuck").await? > 0.0
    );
    hung.end();
    assert_eventually!(
        "the thread does not come back",
        value(&daemon, "browserd_blocking_stuck").await? == 0.0
    );
    Ok(())
}

/// A profile on it is told by `/readyz`, and `/healthz` does not notice.
pub(crate) async fn a_profile_on_it_is_not_ready(_suite: Suite) -> Outcome {
    let hung = Hung::mount()?;
    let profile = hung.path().join("profile").display().to_string();
    let daemon = Daemon::builder().env("BROWSER_DATA_DIR", profile);
    let daemon = daemon.start().await?;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(ask(&daemon, "/readyz").await?);
    }
    let ready: Value = daemon.at.api.get("/readyz").await?.expect(503)?.json()?;
    let disk = &ready["parts"]["disk"];
    assert_eq!(disk["ready"], false, "{disk}");
    let place = hung.path().display().to_string();
    let detail = disk["detail"].as_str().context("no detail")?;
    assert!(detail.contains(&place), "{detail}");
    all_else_answers(&daemon).await
}
