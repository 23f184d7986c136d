//! The daemon at its limit of open files: what it answers, and what it leaves.

use std::fs;

use anyhow::Context as _;
use browserd_e2e::{assert_eventually, procfs, spawned::decoded};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    process::{Outcome, daemon, daemon_with},
    shared::Suite,
};

/// A connection that stays, as a new one would need a descriptor.
struct Kept(TcpStream);

/// An answer: its head in lower case, and its body.
struct Told {
    head: String,
    body: Value,
}

impl Kept {
    async fn call(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Told> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await?);
        }
        let head = String::from_utf8(head)?.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .context("no length")?;
        let mut body = vec![0; length.parse()?];
        self.0.read_exact(&mut body).await?;
        let body = serde_json::from_slice(&body)?;
        Ok(Told { head, body })
    }
}

/// At every number of free descriptors a command runs, or is refused honestly; no process, no
/// zombie and no descriptor is left of it.
pub(crate) async fn a_command_at_the_limit_of_open_files(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let pid = daemon.pid();
    let mut kept = Kept(TcpStream::connect(daemon.at.api.address()).await?);
    let exec = json!({ "command": "true" }).to_string();
    kept.call("POST", "/process/exec", &exec).await?;
    // What the first call of a kind opens for good is open before it is counted.
    kept.call("GET", "/fs/file_info?path=/etc/passwd", "")
        .await?;
    let open = || -> anyhow::Result<u64> {
        Ok(fs::read_dir(format!("/proc/{pid}/fd"))?
            .count()
            .try_into()?)
    };
    let children = || {
        let all = procfs::all().into_values();
        all.filter(|stat| stat.parent == pid).count()
    };
    // The clients that waited for the start have gone.
    let mut before = open()?;
    assert_eventually!("connections are closed", {
        let (last, now) = (before, open()?);
        before = now;
        last == now && children() == 0
    });
    let process = Pid::from_raw(pid.try_into()?);
    // The daemon has inherited it.
    let usual = getrlimit(Resource::Nofile);
    for free in 0..=10 {
        let limit = Rlimit {
            current: Some(before + free),
            ..usual
        };
        prlimit(process, Resource::Nofile, limit)?;
        let told = kept.call("POST", "/process/exec", &exec).await?;
        if told.head.starts_with("http/1.1 200") {
            assert!(free > 0);
        } else {
            assert!(told.head.starts_with("http/1.1 503"), "{}", told.head);
            assert!(told.head.contains("\r\nretry-after: "), "{}", told.head);
            assert!(told.head.contains("\r\nx-should-retry: false\r\n"));
            let message = told.body["message"].as_str().context("no message")?;
            assert!(message.contains("RLIMIT_NOFILE"), "{message}");
        }
        if free == 0 {
            let file = "/fs/file_info?path=/etc/passwd";
            let told = kept.call("GET", file, "").await?;
            assert!(!told.head.starts_with("http/1.1 500"), "{}", told.head);
        }
        assert_eventually!("nothing is left", children() == 0);
    }
    prlimit(process, Resource::Nofile, usual)?;
    let told = kept.call("POST", "/process/exec", &exec).await?;
    assert!(told.head.starts_with("http/1.1 200"), "{}", told.head);
    assert_eventually!("descriptors are closed", open()? <= before);
    Ok(())
}

/// Beyond what requests may hold together, output is cut and told; an answer that was sent counts
/// no more.
pub(crate) async fn output_beyond_the_memory_of_requests_is_cut(_: Suite) -> Outcome {
    let daemon = daemon_with(&[("REQUEST_MEMORY_BYTES", "4000")]).await?;
    let api = &daemon.at.api;
    for script in ["seq 1000", "seq 1000; sleep 1000"] {
        let body = json!({ "command": "sh", "args": ["-c", script], "timeout_sec": 2 });
        for _ in 0..2 {
            let answer: Value = api.post("/process/exec", &body).await?.json()?;
            let result = answer.get("result").unwrap_or(&answer);
            assert_eq!(result["stdout_truncated"], true, "{result}");
            assert_eq!(decoded(&result["stdout_b64"])?.len(), 1000);
            assert_eq!(result["stderr_truncated"], false, "{result}");
        }
    }
    Ok(())
}
