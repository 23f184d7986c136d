//! Logs as event streams.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use browserd_e2e::{Call, Daemon, Stack, settings, sse::Events};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

const PATIENCE: Duration = Duration::from_secs(60);

fn stream(path: &str, more: &str) -> String {
    format!("/logs/stream?source=path&path={path}{more}")
}

async fn next(events: &mut Events) -> anyhow::Result<Option<(String, Value)>> {
    let event = timeout(settings::patience(PATIENCE), events.next())
        .await
        .context("no event in time")??;
    event
        .map(|event| Ok((event.id.clone(), event.json()?)))
        .transpose()
}

/// The text of the next line.
async fn line(events: &mut Events) -> anyhow::Result<String> {
    let (_, event) = next(events).await?.context("the stream ended")?;
    assert_eq!(event["event"], "log", "{event}");
    Ok(event["message"].as_str().context("no message")?.to_owned())
}

/// All lines up to the end.
async fn lines(at: SocketAddr, path: &str) -> anyhow::Result<Vec<String>> {
    let mut events = Events::open(at, path, None).await?;
    let mut lines = Vec::new();
    while let Some((_, event)) = next(&mut events).await? {
        lines.push(event["message"].as_str().context("no line")?.to_owned());
    }
    Ok(lines)
}

pub(crate) async fn history_and_resuming(_: Suite) -> Outcome {
    let daemon = Daemon::builder().start().await?;
    let at = daemon.at.api.address();
    let path = daemon.folder().join("app.log").display().to_string();
    fs::write(&path, "one\ntwo\nthree\npart")?;
    let once = |more: &str| stream(&path, &format!("&follow=false{more}"));
    let all = ["one", "two", "three", "part"];
    assert_eq!(lines(at, &once("")).await?, all);
    assert_eq!(lines(at, &once("&tail=2")).await?, all[2..]);
    assert!(lines(at, &once("&tail=0")).await?.is_empty());

    // What is written of a line comes with its rest.
    let mut events = Events::open(at, &stream(&path, "&tail=2"), None).await?;
    assert_eq!(line(&mut events).await?, "three");
    let mut file = OpenOptions::new().append(true).open(&path)?;
    file.write_all(b"ly\nnext\n")?;
    assert_eq!(line(&mut events).await?, "partly");
    let (id, _) = next(&mut events).await?.context("the stream ended")?;
    file.write_all(b"last\n")?;
    assert_eq!(line(&mut events).await?, "last");
    let mut resumed = Events::open(at, &stream(&path, ""), Some(&id)).await?;
    assert_eq!(line(&mut resumed).await?, "last");

    // A file that is gone leaves a gap.
    fs::remove_file(&path)?;
    fs::write(&path, "new\n")?;
    let gone = "1.100000";
    let mut events = Events::open(at, &stream(&path, "&follow=false"), Some(gone)).await?;
    let (_, gap) = next(&mut events).await?.context("the stream ended")?;
    assert_eq!(gap["event"], "gap", "{gap}");
    assert!(gap["lost_bytes"].is_null(), "{gap}");
    assert_eq!(line(&mut events).await?, "new");
    assert_eq!(next(&mut events).await?, None);

    // Behind the last line of a log that is not followed, there is nothing to connect again for.
    let mut events = Events::open(at, &once(""), None).await?;
    let (id, _) = next(&mut events).await?.context("the stream ended")?;
    let refused = Events::open(at, &once(""), Some(&id)).await;
    let refused = refused.err().context("a stream behind the end")?;
    assert!(refused.to_string().contains("204"), "{refused}");

    // A long line comes in pieces.
    fs::write(
        &path,
        [b"x".repeat(1_500_000), b"\nshort\n".to_vec()].concat(),
    )?;
    let mut events = Events::open(at, &once(""), None).await?;
    let (_, first) = next(&mut events).await?.context("the stream ended")?;
    assert_eq!(first["continued"], true);
    let (_, second) = next(&mut events).await?.context("the stream ended")?;
    assert!(second["continued"].is_null());
    let length = |event: &Value| event["message"].as_str().map_or(0, str::len);
    assert_eq!(length(&first) + length(&second), 1_500_000);
    assert_eq!(line(&mut events).await?, "short");
    Ok(())
}

pub(crate) async fn a_log_that_comes_late_is_waited_for(_: Suite) -> Outcome {
    let daemon = Daemon::builder().start().await?;
    let at = daemon.at.api.address();
    let path = daemon.folder().join("late/app.log");
    let shown = path.display().to_string();
    let mut events = Events::open(at, &stream(&shown, ""), None).await?;
    fs::create_dir(daemon.folder().join("late"))?;
    fs::write(&path, "first\nsecond\n")?;
    assert_eq!(line(&mut events).await?, "first");
    assert_eq!(line(&mut events).await?, "second");
    Ok(())
}

pub(crate) async fn logs_that_cannot_be_are_named(_: Suite) -> Outcome {
    let daemon = Daemon::builder().start().await?;
    let api = &daemon.at.api;
    let folder = daemon.folder().display().to_string();
    for (query, status, named) in [
        ("", 400, "source"),
        ("source=other", 400, "source"),
        ("source=path", 400, "path: "),
        ("source=supervisor", 400, "supervisor_process: "),
        (
            "source=path&path=/proc/kmsg&follow=false",
            400,
            "/proc/kmsg",
        ),
        ("source=path&path=/proc/kmsg", 400, "/proc/kmsg"),
        ("source=path&path=relative", 400, "is not absolute"),
        ("source=path&path=/a/../b", 400, "path: "),
        ("source=path&path=/none&follow=false", 404, "/none"),
        ("source=path&path=/none&follow=maybe", 400, "follow: "),
        ("source=path&path=/none&tail=-1", 400, "tail: "),
        (
            "source=path&path=/none&last_event_id=x",
            400,
            "Last-Event-ID",
        ),
        (&format!("source=path&path={folder}"), 400, "directory"),
        ("source=supervisor&supervisor_process=x", 503, "supervisord"),
    ] {
        let answer = api.send(Call::get(format!("/logs/stream?{query}"))).await?;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
        assert!(answer.text().contains(named), "{query}: {}", answer.text());
    }
    Ok(())
}

/// Writes numbered lines, and three times begins a new file in between.
fn write_and_rotate(path: &PathBuf, count: usize) -> anyhow::Result<()> {
    let mut file = File::options().append(true).open(path)?;
    let mut buffer = Vec::new();
    for n in 0..count {
        writeln!(buffer, "line {n}")?;
        if buffer.len() > 8_192 || n + 1 == count {
            file.write_all(&buffer)?;
            buffer.clear();
        }
        if (n + 1) % (count / 4) == 0 && n + 1 < count {
            file.write_all(&buffer)?;
            buffer.clear();
            // As logrotate does: the higher the number, the older.
            for generation in [2, 1] {
                let older = path.with_extension(format!("log.{}", generation + 1));
                drop(fs::rename(
                    path.with_extension(format!("log.{generation}")),
                    older,
                ));
            }
            fs::rename(path, path.with_extension("log.1"))?;
            file = File::create_new(path)?;
        }
    }
    Ok(())
}

pub(crate) async fn no_line_is_lost_or_told_twice(_: Suite) -> Outcome {
    // The million of the requirement takes a while with a debug build.
    const LINES: usize = if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    };
    let daemon = Daemon::builder().start().await?;
    let at = daemon.at.api.address();
    let folder = TempDir::with_prefix("browserd-e2e-")?;
    let path = folder.path().join("app.log");
    File::create(&path)?;
    let shown = path.display().to_string();
    let mut events = Events::open(at, &stream(&shown, ""), None).await?;
    // One who asks and does not read.
    let mut stalled = TcpStream::connect(at)?;
    let ask = stream(&shown, "");
    write!(stalled, "GET {ask} HTTP/1.1\r\nHost: {at}\r\n\r\n")?;
    let writing = tokio::task::spawn_blocking(move || write_and_rotate(&path, LINES));
    for n in 0..LINES {
        let told = line(&mut events).await?;
        assert_eq!(told, format!("line {n}"));
    }
    writing.await??;
    drop(stalled);
    Ok(())
}

pub(crate) async fn programs_are_found_by_supervisord(_: Suite) -> Outcome {
    let stack = Stack::builder().start().await?;
    let at = stack.at.api.address();
    let source = "/logs/stream?source=supervisor&supervisor_process=";
    let unknown = Call::get(format!("{source}nothing&follow=false"));
    stack.at.api.send(unknown).await?.expect(404)?;
    // A program that is yet to come is waited for.
    drop(Events::open(at, &format!("{source}nothing"), None).await?);
    let history = lines(at, &format!("{source}chromium&follow=false")).await?;
    let is_start = |line: &String| line.contains("DevTools listening on");
    assert_eq!(history.iter().filter(|&line| is_start(line)).count(), 1);
    // A follower begins at the end; the next browser writes to the same log.
    let mut events = Events::open(at, &format!("{source}chromium"), None).await?;
    stack.supervisorctl(&["restart", "chromium"]).await?;
    while !is_start(&line(&mut events).await?) {}
    Ok(())
}
