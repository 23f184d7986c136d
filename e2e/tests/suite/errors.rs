//! Bad input: settings, files, handshakes, frames and peers. Each gets a clear answer, and the
//! daemon lives on.

mod wire;

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::Context as _;
use browserd_e2e::{Cdp, Daemon, Echo, assert_eventually, settings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use self::wire::{Wire, client_frame, handshake};
use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// A daemon in front of an echo.
async fn daemon(settings: &[(&str, &str)]) -> anyhow::Result<(Daemon, Echo)> {
    let echo = Echo::start().await?;
    let builder = Daemon::builder().env("DEVTOOLS_UPSTREAM", echo.url());
    let builder = settings
        .iter()
        .fold(builder, |builder, (name, value)| builder.env(name, *value));
    Ok((builder.start().await?, echo))
}

/// The daemon answers on all of its ports, and relays.
async fn lives_on(daemon: &mut Daemon) -> Outcome {
    anyhow::ensure!(daemon.is_running(), "the daemon has ended");
    daemon.at.api.get("/healthz").await?.expect(200)?;
    daemon.at.scrape().await?;
    let mut client = daemon.at.browser().await?;
    client.send(None, "Echo.this", json!({})).await?;
    client.event("Echo.this").await?;
    client.close().await?;
    assert_eventually!(
        "no session is left over",
        daemon.at.scrape().await?.value("browserd_cdp_sessions")? < 0.5
    );
    Ok(())
}

pub(crate) async fn settings_that_cannot_be(_: Suite) -> Outcome {
    let cases = [
        ("PORT", "http", "65535"),
        ("PORT", "0", "65535"),
        ("METRICS_PORT", "70000", "65535"),
        ("KERNEL_IMAGES_API_DEVTOOLS_WAIT_SEC", "soon", "seconds"),
        ("LISTEN_ADDRESS", "localhost", "IP address"),
        ("DEVTOOLS_UPSTREAM", "127.0.0.1:9223", "ws://"),
        ("DEVTOOLS_UPSTREAM", "ftp://127.0.0.1:9223/", "ws://"),
        ("DEVTOOLS_UPSTREAM", "ws://", "ws://"),
        ("DEVTOOLS_PEER_TIMEOUT_SEC", "-1", "seconds"),
        ("DISPLAY_NUM", ":1", "display"),
        ("ALLOWED_ORIGINS", "app.example.com", "origin"),
        ("ALLOWED_HOSTS", "http://app.example.com", "host"),
        ("LOG_FORMAT", "xml", "json"),
        ("LOG_LEVEL", "loud", "info"),
        ("LOG_CDP_MESSAGES", "maybe", "true"),
        ("MAX_CONNECTIONS", "many", "number"),
        ("HEADER_TIMEOUT_SEC", "0", "seconds"),
        ("MAX_PROCESSES", "0", "number"),
        ("MAX_STREAMS", "lots", "number"),
        ("EXEC_OUTPUT_BYTES", "1GiB", "bytes"),
        ("PROCESS_OUTPUT_BYTES", "-1", "bytes"),
    ];
    for (name, value, allowed) in cases {
        let output = Daemon::builder().env(name, value).fails().await?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{name}={value} was taken");
        assert_eq!(stderr.lines().count(), 1, "{name}={value}: {stderr}");
        for part in [name, value, allowed] {
            assert!(
                stderr.contains(part),
                "{name}={value}: {part:?} is not in {stderr}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn a_port_in_use(_: Suite) -> Outcome {
    for name in ["PORT", "METRICS_PORT", "DEVTOOLS_PROXY_PORT"] {
        let holder = TcpListener::bind("127.0.0.1:0").await?;
        let port = holder.local_addr()?.port().to_string();
        let output = Daemon::builder()
            .env("LISTEN_ADDRESS", "127.0.0.1")
            .env(name, &port)
            .fails()
            .await?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.contains(&port) && stderr.contains("in use"),
            "{stderr}"
        );
    }
    Ok(())
}

pub(crate) async fn a_log_that_cannot_be_read(suite: Suite) -> Outcome {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("chromium");
    // A directory can be read by nobody as a log, not even by root.
    fs::create_dir(&log)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let mut daemon = Daemon::builder()
        .env("CHROMIUM_LOG_FILE", log.display().to_string())
        .env("DEVTOOLS_WAIT_SEC", "1")
        .start()
        .await?;
    let error: Value = daemon
        .at
        .discover("/json/version")
        .await?
        .expect(503)?
        .json()?;
    assert_eq!(error["code"], "upstream_unavailable", "{error}");
    let readyz: Value = daemon.at.api.get("/readyz").await?.expect(503)?.json()?;
    let part = &readyz["parts"]["devtools"];
    assert_eq!(part["ready"], false, "{readyz}");
    let detail = part["detail"].as_str().unwrap_or_default();
    let path = log.display().to_string();
    assert!(
        detail.contains(&path) && detail.contains("cannot be read"),
        "{detail}"
    );
    assert!(daemon.is_running());
    assert!(daemon.journal().text().contains("cannot be read"));

    // Once it can be read, it is.
    fs::remove_dir(&log)?;
    fs::write(&log, suite.chromium().await?.line())?;
    assert_eventually!("the log is read", {
        daemon.at.discover("/json/version").await?.expect(200)
    });
    Ok(())
}

pub(crate) async fn handshakes_that_are_malformed(_: Suite) -> Outcome {
    let (mut daemon, _echo) = daemon(&[("HEADER_TIMEOUT_SEC", "2")]).await?;
    let whole = handshake(daemon.at.devtools);
    let without = |name: &str| {
        let is_other = |line: &&str| !line.to_ascii_lowercase().starts_with(name);
        whole
            .split_inclusive("\r\n")
            .filter(is_other)
            .collect::<String>()
    };
    let cases = [
        (without("sec-websocket-key"), "400"),
        (without("sec-websocket-version"), "400"),
        (without("connection"), "400"),
        (without("host"), "400"),
        (whole.replace("Version: 13", "Version: 7"), "400"),
        (whole.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), "400"),
        (whole.replace("GET /", "POST /"), "4"),
        (whole.replace("HTTP/1.1", "HTTP/1.0"), "400"),
        (whole.replace("HTTP/1.1", "HTTP/9.9"), "400"),
        (
            whole.replace("\r\nUpgrade", "\r\nUpgrade : x\r\nUpgrade"),
            "400",
        ),
        ("\u{1}\u{2}\u{3} not http at all\r\n\r\n".to_owned(), "400"),
    ];
    for (head, status) in cases {
        let mut wire = Wire::connect(daemon.at.devtools).await?;
        wire.write(head.as_bytes()).await?;
        let answer = wire.answer().await?;
        let line = answer.lines().next().unwrap_or_default();
        assert!(
            line.starts_with("HTTP/1.") && line.contains(&format!(" {status}")),
            "{head:?} got {answer:?}"
        );
    }
    // No request at all on a port that speaks HTTP: TLS, as by an https:// too many.
    let mut wire = Wire::connect(daemon.at.devtools).await?;
    wire.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        .await?;
    wire.rest_as_text().await?;
    lives_on(&mut daemon).await
}

pub(crate) async fn a_header_of_a_mebibyte(_: Suite) -> Outcome {
    let (mut daemon, _echo) = daemon(&[]).await?;
    for address in [
        daemon.at.api.address(),
        daemon.at.devtools,
        daemon.at.metrics,
    ] {
        let mut wire = Wire::connect(address).await?;
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nX-Long: {}",
            "x".repeat(1 << 20)
        );
        // It need not take it all.
        drop(wire.write(head.as_bytes()).await);
        let answer = wire.rest_as_text().await?;
        assert!(answer.starts_with("HTTP/1.1 431"), "{address}: {answer:?}");
    }
    lives_on(&mut daemon).await
}

pub(crate) async fn an_answer_reaches_one_who_is_still_sending(_: Suite) -> Outcome {
    // Far more than the buffers of both ends hold.
    const BODY: usize = 64 << 20;
    let (mut daemon, _echo) = daemon(&[]).await?;
    let at = daemon.at.api.address();
    for (what, status) in [
        ("POST /process/exec HTTP/1.1", "413"),
        ("PUT /fs/write_file?path=relative HTTP/1.1", "400"),
        ("POST /nowhere HTTP/1.1", "404"),
    ] {
        let mut wire = Wire::connect(at).await?;
        let head = format!("{what}\r\nHost: {at}\r\nContent-Length: {BODY}\r\n\r\n");
        wire.write(head.as_bytes()).await?;
        // As clients do that send all of it before they read.
        wire.write(&vec![b' '; BODY]).await.context(what)?;
        let answer = wire.answer().await.context(what)?;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{what}: {answer}"
        );
    }
    lives_on(&mut daemon).await
}

pub(crate) async fn a_request_that_never_comes(_: Suite) -> Outcome {
    let (mut daemon, _echo) = daemon(&[("HEADER_TIMEOUT_SEC", "1")]).await?;
    for address in [
        daemon.at.api.address(),
        daemon.at.devtools,
        daemon.at.metrics,
    ] {
        for start in ["GET / HTTP/1.1\r\nHost: lo", "GET /"] {
            let mut wire = Wire::connect(address).await?;
            wire.write(start.as_bytes()).await?;
            let answer = wire.rest_as_text().await?;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
                "{answer:?}"
            );
        }
    }
    lives_on(&mut daemon).await
}

pub(crate) async fn a_client_that_answers_no_ping(_: Suite) -> Outcome {
    let settings = [
        ("DEVTOOLS_PING_SEC", "1"),
        ("DEVTOOLS_PEER_TIMEOUT_SEC", "2"),
    ];
    let (mut daemon, _echo) = daemon(&settings).await?;
    let mut wire = Wire::open(daemon.at.devtools).await?;
    // Many times as long as a peer may acknowledge nothing.
    for _ in 0..8 {
        let mut ping = [0; 2];
        wire.stream.read_exact(&mut ping).await?;
        assert_eq!(ping, [0x89, 0]);
    }
    wire.write(&client_frame(0x1, b"still here")).await?;
    let mut echo = [0; 12];
    wire.stream.read_exact(&mut echo).await?;
    assert!(echo.ends_with(b"still here"), "{echo:?}");
    assert_eq!(daemon.journal().sessions(0).len(), 0);
    drop(wire);
    lives_on(&mut daemon).await
}

pub(crate) async fn a_client_that_closes_only_its_side(_: Suite) -> Outcome {
    let (mut daemon, _echo) = daemon(&[]).await?;
    let mut wire = Wire::open(daemon.at.devtools).await?;
    wire.write(&client_frame(0x1, b"hello")).await?;
    wire.stream.shutdown().await?;
    // What it had sent is still answered or not; the session ends either way.
    wire.rest().await?;
    assert_eventually!("the session ends", daemon.journal().sessions(0).len() == 1);
    lives_on(&mut daemon).await
}

pub(crate) async fn bytes_after_the_close(_: Suite) -> Outcome {
    let (mut daemon, _echo) = daemon(&[]).await?;
    let mut wire = Wire::open(daemon.at.devtools).await?;
    let mut bytes = client_frame(0x8, &1000_u16.to_be_bytes());
    bytes.extend_from_slice(&client_frame(0x1, b"too late"));
    bytes.extend_from_slice(&[0xff; 64]);
    wire.write(&bytes).await?;
    let rest = wire.rest().await?;
    assert_eq!(rest.first(), Some(&0x88), "a close frame answers: {rest:?}");
    assert!(
        !rest.windows(8).any(|window| window == b"too late"),
        "{rest:?}"
    );
    assert_eventually!("the session ends", daemon.journal().sessions(0).len() == 1);
    lives_on(&mut daemon).await
}

/// Frames that no client may send. The end of all but the last is known, so that they are the
/// browser's to refuse, which it does by an end without a word.
fn bad_frames() -> [(&'static str, Vec<u8>, u16); 6] {
    let mut reserved = client_frame(0x1, b"hello");
    reserved[0] |= 0x70;
    [
        ("no mask", b"\x81\x05hello".to_vec(), 1011),
        ("reserved bits", reserved, 1011),
        ("an unknown opcode", client_frame(0x3, b"hello"), 1011),
        ("a ping of 126 bytes", client_frame(0x9, &[0; 126]), 1011),
        (
            "a continuation of nothing",
            client_frame(0x0, b"hello"),
            1011,
        ),
        (
            "a length of 2^64-1",
            [vec![0x81, 0xff], vec![0xff; 8], vec![0; 4]].concat(),
            1002,
        ),
    ]
}

/// Sends a frame on a session of its own; returns the code of the close frame that answers.
async fn answer_to(frame: &[u8], devtools: SocketAddr) -> anyhow::Result<u16> {
    let mut wire = Wire::open(devtools).await?;
    wire.write(frame).await?;
    let rest = wire.rest().await?;
    match rest[..] {
        [0x88, _, high, low, ..] => Ok(u16::from_be_bytes([high, low])),
        _ => anyhow::bail!("no close frame: {rest:?}"),
    }
}

pub(crate) async fn a_frame_that_cannot_be(_: Suite) -> Outcome {
    let (mut daemon, _echo) = daemon(&[]).await?;
    for (what, frame, expected) in bad_frames() {
        let code = answer_to(&frame, daemon.at.devtools).await.context(what)?;
        assert_eq!(code, expected, "{what}");
    }
    lives_on(&mut daemon).await
}

/// The same at a real browser, and a binary message, which Chromium does not take. Two of them
/// it answers: the ping by as long a pong, the continuation like a message.
pub(crate) async fn a_frame_that_chromium_refuses(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let mut other = at.browser().await?;
    let binary = ("a binary message", client_frame(0x2, b"hello"), 1011);
    let refused = bad_frames()
        .into_iter()
        .filter(|(what, ..)| !["a ping of 126 bytes", "a continuation of nothing"].contains(what));
    for (what, frame, expected) in refused.chain([binary]) {
        let code = answer_to(&frame, at.devtools).await.context(what)?;
        assert_eq!(code, expected, "{what}");
    }
    other.call("Browser.getVersion", json!({})).await?;
    other.close().await?;
    Ok(())
}

pub(crate) async fn a_client_that_never_reads(_: Suite) -> Outcome {
    let settings = [
        ("DEVTOOLS_PING_SEC", "1"),
        ("DEVTOOLS_PEER_TIMEOUT_SEC", "2"),
    ];
    let (mut daemon, _echo) = daemon(&settings).await?;
    let stalled = Cdp::connect(&daemon.at.devtools_ws("/")).await?;
    let mut socket = stalled.into_inner();
    // More than the kernel buffers; it all comes back, and nobody reads it.
    let message = tokio_tungstenite::tungstenite::Message::text("x".repeat(64 << 20));
    let send = futures_util::SinkExt::send(&mut socket, message);
    let limit = settings::patience(Duration::from_secs(30));
    // Neither does it get rid of all of it, before the daemon gives up on it.
    let outcome = tokio::time::timeout(limit, send).await;
    let session = assert_eventually!("the session ends", daemon.journal().sessions(0).pop());
    assert!(
        !session.text("session.ended_by").is_empty(),
        "{session:?} {outcome:?}"
    );
    assert!(
        outcome.is_ok(),
        "sending hangs although the session has ended"
    );
    drop(socket);
    lives_on(&mut daemon).await
}
