//! Terminals over WebSockets, with the programs that people run in them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use browserd_e2e::{Api, assert_eventually, case::Lacking, procfs, settings, spawned::Spawned};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

use crate::{process::daemon, shared::Suite, streams::hex};

type Outcome = anyhow::Result<()>;

/// How long a terminal may take to show something on a quiet machine.
const SHOWN: Duration = Duration::from_secs(20);

/// A client that is attached.
pub(crate) struct Terminal {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What has come and was not looked for yet.
    screen: Vec<u8>,
}

impl Terminal {
    pub(crate) async fn attach(process: &Spawned) -> anyhow::Result<Self> {
        Self::open(process, "").await
    }

    async fn open(process: &Spawned, query: &str) -> anyhow::Result<Self> {
        let (socket, _) = connect_async(process.attach_url(query)).await?;
        let screen = Vec::new();
        Ok(Self { socket, screen })
    }

    pub(crate) async fn type_in(&mut self, keys: impl AsRef<[u8]>) -> Outcome {
        let keys = keys.as_ref().to_vec();
        Ok(self.socket.send(Message::Binary(keys.into())).await?)
    }

    async fn tell(&mut self, control: &str) -> Outcome {
        Ok(self.socket.send(Message::text(control)).await?)
    }

    /// The next message that is not a ping: those come however long nothing else does.
    async fn next(&mut self) -> anyhow::Result<Message> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Ping(_))) => {}
                    other => break other,
                }
            }
        };
        let next = tokio::time::timeout(settings::patience(SHOWN), next);
        let seen = || format!("after {:?}", String::from_utf8_lossy(&self.screen));
        let message = next.await.with_context(seen)?;
        Ok(message.context("the connection has ended")??)
    }

    /// Waits until the screen shows the text, and forgets everything up to there.
    pub(crate) async fn shows(&mut self, text: &str) -> anyhow::Result<Vec<u8>> {
        loop {
            let mut windows = self.screen.windows(text.len());
            if let Some(at) = windows.position(|window| window == text.as_bytes()) {
                let rest = self.screen.split_off(at + text.len());
                return Ok(std::mem::replace(&mut self.screen, rest));
            }
            match self
                .next()
                .await
                .with_context(|| format!("waiting for {text:?}"))?
            {
                Message::Binary(bytes) => self.screen.extend_from_slice(&bytes),
                other => bail!("{other:?} instead of {text:?}"),
            }
        }
    }

    /// Waits for a control frame.
    async fn told(&mut self) -> anyhow::Result<Value> {
        loop {
            match self.next().await? {
                Message::Binary(bytes) => self.screen.extend_from_slice(&bytes),
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                other => bail!("{other:?} instead of a control frame"),
            }
        }
    }

    /// Waits for the close frame; returns its code.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<u16> {
        loop {
            if let Message::Close(frame) = self.next().await? {
                return Ok(frame.context("a close without a code")?.code.into());
            }
        }
    }

    /// Waits for the exit of the process and the close behind it; returns the exit code.
    async fn exits(&mut self) -> anyhow::Result<i64> {
        let exit = self.told().await?;
        assert_eq!(exit["type"], "exit", "{exit}");
        assert_eq!(self.ended().await?, 1000);
        exit["exitCode"].as_i64().context("no exit code")
    }
}

pub(crate) async fn bash_is_typed_into_and_resized(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let request = json!({
        "command": "bash", "args": ["--norc"], "allocate_tty": true, "rows": 30, "cols": 90
    });
    let process = daemon.at.api.spawn(&request).await?;
    let mut terminal = Terminal::attach(&process).await?;
    terminal.type_in("stty size; echo $TERM\n").await?;
    terminal.shows("30 90\r\n").await?;
    terminal.shows("xterm-256color\r\n").await?;
    terminal
        .tell(r#"{"type":"resize","rows":41,"cols":101}"#)
        .await?;
    terminal.type_in("stty size\n").await?;
    terminal.shows("41 101\r\n").await?;
    let size = json!({ "rows": 52, "cols": 112 });
    process.post("resize", &size).await?.expect(200)?;
    terminal.type_in("stty size\n").await?;
    terminal.shows("52 112\r\n").await?;
    terminal.type_in("exit 3\n").await?;
    assert_eq!(terminal.exits().await?, 3);
    // All of it is on the stream as well.
    let whole = process.whole().await?;
    let stdout = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(
        stdout.contains("41 101\r\n") && whole.stderr.is_empty(),
        "{stdout}"
    );
    process.post("resize", &size).await?.expect(409)?;
    Ok(())
}

pub(crate) async fn control_frames_that_cannot_be_are_answered(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let process = daemon.at.api.spawn_in_terminal("cat", &[]).await?;
    let mut terminal = Terminal::attach(&process).await?;
    for control in [
        "ls\n",
        r#"{"type":"resize","rows":0,"cols":80}"#,
        r#"{"type":"resize","rows":70000,"cols":80}"#,
        r#"{"type":"paint"}"#,
    ] {
        terminal.tell(control).await?;
        let answer = terminal.told().await?;
        assert_eq!(answer["type"], "error", "{control}: {answer}");
        let is_told = answer.to_string().contains("send binary frames");
        assert_eq!(is_told, control == "ls\n", "{answer}");
    }
    terminal.type_in("still here\n").await?;
    terminal.shows("still here\r\n").await?;
    // It may be refused before all of it is written.
    let _ = terminal.type_in(vec![b'x'; (1 << 20) + 1]).await;
    assert_eq!(terminal.ended().await?, 1009);
    Ok(())
}

pub(crate) async fn ctrl_c_ends_a_sleep(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let process = daemon.at.api.spawn_in_terminal("bash", &["--norc"]).await?;
    let mut terminal = Terminal::attach(&process).await?;
    terminal
        .type_in("echo ready-$((1+1)); sleep 1000\n")
        .await?;
    terminal.shows("ready-2\r\n").await?;
    let shell = process.pid;
    // Until the shell has handed the terminal over, the key would be its own.
    let sleep = ["sleep", "1000"].map(str::to_owned);
    assert_eventually!("the keys go to the sleep", {
        let group = procfs::stat(shell).and_then(|shell| shell.foreground);
        group.is_some_and(|group| procfs::arguments(group) == sleep)
    });
    terminal.type_in("\x03").await?;
    terminal.shows("^C").await?;
    terminal.type_in("echo ended-$?\n").await?;
    terminal.shows("ended-130\r\n").await?;
    // A Ctrl-D would be lost before the shell asks for the next line.
    terminal.type_in("exit\n").await?;
    terminal.exits().await?;
    Ok(())
}

/// Skips a test where a program is missing.
async fn needs(api: &Api, program: &str) -> anyhow::Result<()> {
    let found = api.exec(&format!("command -v {program}")).await?;
    if found.expect(200)?.json::<Value>()?["exit_code"] == 0 {
        return Ok(());
    }
    Err(Lacking(program.to_owned()).into())
}

pub(crate) async fn vi_runs(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let api = &daemon.at.api;
    // Debian's small package has no other name for it.
    needs(api, "vim.tiny").await?;
    let process = api.spawn_in_terminal("vim.tiny", &["-c", "q"]).await?;
    let whole = process.whole().await?;
    assert_eq!(whole.exit["exit_code"], 0);
    assert!(whole.stdout.starts_with(b"\x1b["), "{:?}", whole.stdout);
    Ok(())
}

pub(crate) async fn top_runs(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let api = &daemon.at.api;
    needs(api, "top").await?;
    let process = api.spawn_in_terminal("top", &[]).await?;
    let mut terminal = Terminal::attach(&process).await?;
    terminal.shows("load average").await?;
    terminal.shows("COMMAND").await?;
    terminal.type_in("q").await?;
    assert_eq!(terminal.exits().await?, 0);
    Ok(())
}

pub(crate) async fn a_long_paste_arrives_whole(_: Suite) -> Outcome {
    const PASTE: usize = 100 << 10;
    let daemon = daemon().await?;
    let script = format!("stty raw -echo; echo ready; sleep 1; head -c {PASTE} | sha256sum");
    let process = daemon
        .at
        .api
        .spawn_in_terminal("sh", &["-c", &script])
        .await?;
    let mut terminal = Terminal::attach(&process).await?;
    terminal.shows("ready").await?;
    let paste: Vec<u8> = (0..PASTE)
        .map(|at| b"0123456789abcde\n"[at * 7 % 16])
        .collect();
    let wanted = hex(Sha256::new_with_prefix(&paste));
    // In one message, before the process begins to read.
    terminal.type_in(paste).await?;
    terminal.shows(&wanted).await?;
    assert_eq!(terminal.exits().await?, 0);
    Ok(())
}

/// The status of a refused attach.
async fn refused(process: &Spawned) -> anyhow::Result<u16> {
    match connect_async(process.attach_url("")).await {
        Err(tungstenite::Error::Http(answer)) => Ok(answer.status().as_u16()),
        other => bail!("{other:?} instead of a refusal"),
    }
}

pub(crate) async fn one_client_is_attached_and_can_be_taken_over(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let process = daemon.at.api.spawn_in_terminal("bash", &["--norc"]).await?;
    let mut first = Terminal::attach(&process).await?;
    first.type_in("echo earlier-$((1+1))\n").await?;
    first.shows("earlier-2\r\n").await?;
    assert_eq!(refused(&process).await?, 409);
    let mut second = Terminal::open(&process, "?takeover=true").await?;
    assert_eq!(first.ended().await?, 4001);
    // What was on the screen comes again.
    second.shows("earlier-2\r\n").await?;
    second.type_in("echo later-$((1+2))\n").await?;
    second.shows("later-3\r\n").await?;
    drop(first);
    assert_eq!(refused(&process).await?, 409);
    second.socket.close(None).await?;
    assert_eventually!("the seat is free", {
        drop(Terminal::attach(&process).await?);
    });
    let piped = daemon.at.api.spawn(&json!({ "command": "cat" })).await?;
    assert_eq!(refused(&piped).await?, 400);
    Ok(())
}

pub(crate) async fn a_client_that_vanishes_ends_nothing(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let process = daemon.at.api.spawn_in_terminal("yes", &[]).await?;
    let mut terminal = Terminal::attach(&process).await?;
    terminal.shows("y\r\ny\r\n").await?;
    // Without a close frame, and with output on its way.
    drop(terminal);
    let mut again = assert_eventually!("the seat is free", Some(Terminal::attach(&process).await?));
    again.shows("y\r\ny\r\n").await?;
    assert_eq!(process.status().await?["state"], "running");
    process.kill("KILL").await?;
    assert_eq!(again.exits().await?, 137);
    Ok(())
}

pub(crate) async fn the_last_64_kib_come_first(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let script = "seq 100000; echo ready; cat";
    let process = daemon
        .at
        .api
        .spawn_in_terminal("sh", &["-c", script])
        .await?;
    let mut stream = process.output(None).await?;
    let mut tail = String::new();
    while !tail.contains("ready") {
        let event = stream.next().await?.context("it has ended")?;
        tail =
            String::from_utf8_lossy(&browserd_e2e::spawned::decoded(&event.json()?["data_b64"])?)
                .into_owned();
    }
    let mut terminal = Terminal::attach(&process).await?;
    let replayed = terminal.shows("ready\r\n").await?;
    assert_eq!(replayed.len(), 64 << 10);
    assert!(!String::from_utf8_lossy(&replayed).contains("\n90000\r"));
    terminal.type_in("\x04").await?;
    assert_eq!(terminal.exits().await?, 0);
    Ok(())
}
