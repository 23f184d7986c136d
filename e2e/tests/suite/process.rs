//! Commands that are run to their end, and what is left behind.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use browserd_e2e::{
    Api, Call, Daemon, assert_eventually,
    case::Lacking,
    http::Answer,
    procfs, settings,
    spawned::{Whole, decoded},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{shared::Suite, terminals::Terminal};

pub(crate) type Outcome = anyhow::Result<()>;

/// What the daemon must not tell its children.
const SECRET: &str = "hunter2-hunter2";

/// A daemon without a browser.
pub(crate) async fn daemon() -> anyhow::Result<Daemon> {
    daemon_with(&[]).await
}

/// The same with settings.
pub(crate) async fn daemon_with(settings: &[(&str, &str)]) -> anyhow::Result<Daemon> {
    let builder = Daemon::builder().env("DEVTOOLS_UPSTREAM", "http://127.0.0.1:9");
    let builder = settings
        .iter()
        .fold(builder, |builder, (name, value)| builder.env(name, *value));
    builder.start().await
}

/// The stdout of an answer to exec, without the newline at its end.
fn stdout(answer: Answer) -> anyhow::Result<String> {
    let result: Value = answer.expect(200)?.json()?;
    let text = String::from_utf8(decoded(&result["stdout_b64"])?)?;
    Ok(text.trim_end().to_owned())
}

/// The processes of a session that are no zombies.
pub(crate) fn session(leader: u32) -> Vec<u32> {
    let is_in = |stat: &procfs::Stat| stat.session == leader && !stat.is_zombie;
    let all = procfs::all().into_iter();
    all.filter(|(_, stat)| is_in(stat))
        .map(|(pid, _)| pid)
        .collect()
}

pub(crate) async fn a_server_left_behind_is_not_waited_for(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let api = &daemon.at.api;
    let started = Instant::now();
    let answer = api.exec("sleep 1000 & echo hi; echo $! >&2").await?;
    let took = started.elapsed();
    let result: Value = answer.expect(200)?.json()?;
    assert_eq!(decoded(&result["stdout_b64"])?, b"hi\n");
    let limit = settings::patience(Duration::from_millis(500));
    assert!(took < limit, "it took {took:?}");
    let sleep: u32 = String::from_utf8(decoded(&result["stderr_b64"])?)?
        .trim()
        .parse()?;
    assert!(procfs::stat(sleep).is_some(), "the sleep was killed");
    api.exec(&format!("kill {sleep}")).await?.expect(200)?;
    assert_eventually!("the sleep is reaped", procfs::stat(sleep).is_none());
    Ok(())
}

pub(crate) async fn no_secret_reaches_a_child(_: Suite) -> Outcome {
    let names = ["AUTH_PROOF", "TLS_PROOF", "KERNEL_IMAGES_API_AUTH_PROOF"];
    let secrets = names.map(|name| (name, SECRET));
    let daemon = daemon_with(&[&secrets[..], &[("PLAIN", "plain-value")]].concat()).await?;
    let api = &daemon.at.api;
    let seen = stdout(
        api.exec("env; cat /proc/self/environ | tr '\\0' '\\n'")
            .await?,
    )?;
    assert_eq!(seen.matches("PLAIN=plain-value").count(), 2, "{seen}");
    assert!(!seen.contains("PROOF") && !seen.contains(SECRET), "{seen}");

    let child = api
        .spawn(&json!({ "command": "sleep", "args": ["1000"] }))
        .await?;
    // The kernel shows it a moment after the program has taken over.
    let environ = assert_eventually!("the child has an environment", {
        let environ = std::fs::read(format!("/proc/{}/environ", child.pid))?;
        (!environ.is_empty()).then_some(environ)
    });
    let environ = String::from_utf8_lossy(&environ).into_owned();
    assert!(environ.contains("PLAIN="), "{environ}");
    assert!(!environ.contains(SECRET), "{environ}");
    child.kill("KILL").await?;

    // Its parent's environment is shown to root all the same, without the values.
    let script = "cat /proc/$PPID/environ | tr '\\0' '\\n'";
    let answer: Value = api.exec(script).await?.expect(200)?.json()?;
    let seen = String::from_utf8(decoded(&answer["stdout_b64"])?)?;
    assert!(!seen.contains(SECRET), "{seen}");
    // Root in a container may not look at all.
    let may_look = settings::is_root() && settings::image().is_none();
    assert_eq!(seen.contains("AUTH_PROOF="), may_look, "{seen}");
    Ok(())
}

pub(crate) async fn a_timeout_leaves_no_process(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let script = "echo $$; trap '' TERM; sleep 1000 & sleep 1000";
    let body = json!({ "command": "sh", "args": ["-c", script], "timeout_sec": 1 });
    let answer = daemon
        .at
        .api
        .post("/process/exec", &body)
        .await?
        .expect(408)?;
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let error: Value = answer.json()?;
    assert_eq!(error["code"], "timeout");
    let result = &error["result"];
    assert_eq!(
        (&result["timed_out"], &result["signal"]),
        (&json!(true), &json!("SIGKILL"))
    );
    let leader: u32 = String::from_utf8(decoded(&result["stdout_b64"])?)?
        .trim()
        .parse()?;
    assert_eq!(session(leader), Vec::<u32>::new());

    let spawned = daemon.at.api.spawn(&body).await?;
    let Whole { exit, .. } = spawned.whole().await?;
    assert_eq!(
        (&exit["exit_code"], &exit["signal"]),
        (&json!(137), &json!("SIGKILL"))
    );
    assert_eq!(session(spawned.pid), Vec::<u32>::new());
    Ok(())
}

pub(crate) async fn a_client_that_goes_away_cancels_its_command(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let file = daemon.folder().join("pid");
    let script = format!("echo $$ > {}; sleep 1000 & sleep 1000", file.display());
    let body = json!({ "command": "sh", "args": ["-c", script] }).to_string();
    let address = daemon.at.api.address();
    let mut client = TcpStream::connect(address).await?;
    let head = format!(
        "POST /process/exec HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    let leader: u32 = assert_eventually!(
        "the command runs",
        std::fs::read_to_string(&file)?.trim().parse().ok()
    );
    assert!(!session(leader).is_empty());
    drop(client);
    assert_eventually!("its session is gone", session(leader).is_empty());
    Ok(())
}

pub(crate) async fn limits_are_told(_: Suite) -> Outcome {
    let daemon = daemon_with(&[
        ("MAX_PROCESSES", "2"),
        ("MAX_STREAMS", "1"),
        ("EXEC_OUTPUT_BYTES", "1000"),
    ])
    .await?;
    let api = &daemon.at.api;
    let result: Value = api
        .exec("seq 1000; echo end >&2")
        .await?
        .expect(200)?
        .json()?;
    let kept = decoded(&result["stdout_b64"])?;
    assert!(kept.starts_with(b"1\n2\n") && kept.ends_with(b"999\n1000\n"));
    assert_eq!(kept.len(), 1000);
    let truncated = [&result["stdout_truncated"], &result["stderr_truncated"]];
    assert_eq!(truncated, [&json!(true), &json!(false)]);

    let sleep = json!({ "command": "sleep", "args": ["1000"] });
    let both = [api.spawn(&sleep).await?, api.spawn(&sleep).await?];
    for path in ["/process/spawn", "/process/exec"] {
        let refused = api.post(path, &sleep).await?.expect(429)?;
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    let reader = both[0].output(None).await?;
    let refused = api.get(&both[0].path("stdout/stream")).await?;
    assert_eq!(refused.status, 429, "{}", refused.text());
    drop(reader);
    for process in &both {
        process.kill("KILL").await?;
        process.whole().await.context("after the reader has gone")?;
    }
    assert_eventually!("there is room again", {
        api.exec("true").await?.expect(200)?;
    });
    Ok(())
}

pub(crate) async fn a_thousand_last_lines_come_before_their_exits(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let api = &daemon.at.api;
    let run = |number: u32| async move {
        let script = format!("echo first; echo last {number} >&2; echo last {number}; exit 7");
        let whole = api.spawn_script(&script).await?.whole().await?;
        assert_eq!(whole.exit["exit_code"], 7);
        assert_eq!(whole.stdout, format!("first\nlast {number}\n").into_bytes());
        assert_eq!(whole.stderr, format!("last {number}\n").into_bytes());
        anyhow::Ok(())
    };
    stream::iter((0..1000).map(run))
        .buffer_unordered(16)
        .try_collect()
        .await
}

pub(crate) async fn orphans_are_reaped_and_no_exit_code_is_lost(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let api = &daemon.at.api;
    // Each of them loses its parent at once.
    let orphans = api.exec("for i in $(seq 1000); do (sleep 0.01 &); done");
    let run = |code: u32| async move {
        let result: Value = api
            .exec(&format!("exit {code}"))
            .await?
            .expect(200)?
            .json()?;
        anyhow::ensure!(result["exit_code"] == code, "{code}: {result}");
        Ok(())
    };
    let own = stream::iter((0..100).map(run)).buffer_unordered(4);
    let (orphans, own) = tokio::join!(orphans, own.try_collect::<()>());
    orphans?.expect(200)?;
    own?;
    let zombies = || {
        let all = procfs::all();
        let is_left = |stat: &&procfs::Stat| stat.is_zombie && stat.parent == daemon.pid();
        all.values().filter(is_left).count()
    };
    assert_eventually!("no zombie is left", zombies() == 0);
    Ok(())
}

pub(crate) async fn users_are_switched_to(_: Suite) -> Outcome {
    if !settings::is_root() {
        return Err(Lacking("root, which alone can switch users".to_owned()).into());
    }
    let daemon = daemon().await?;
    let api = &daemon.at.api;
    for (user, wanted) in [
        (json!({ "as_user": "nobody" }), "65534 65534 65534"),
        (json!({ "as_user": "65534" }), "65534 65534 65534"),
        (json!({ "as_user": "65534:12" }), "65534 12 12"),
        (json!({ "as_user": "1234567" }), "1234567 1234567 1234567"),
        (json!({ "as_root": true }), "0 0 0"),
    ] {
        let mut body = json!({
            "command": "sh", "args": ["-c", "echo $(id -u) $(id -g) $(id -G)"], "cwd": "/"
        });
        if let Some((body, user)) = body.as_object_mut().zip(user.as_object()) {
            body.extend(user.clone());
        }
        let answer = api.post("/process/exec", &body).await?;
        assert_eq!(stdout(answer)?, wanted, "{user}");
    }
    let body = json!({ "command": "true", "as_user": "no-such-user" });
    let refused: Value = api
        .post("/process/exec", &body)
        .await?
        .expect(400)?
        .json()?;
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("as_user: "), "{message}");
    Ok(())
}

pub(crate) async fn a_daemon_without_privilege_says_so(_: Suite) -> Outcome {
    let daemon = Daemon::builder().unprivileged().start().await?;
    let api = &daemon.at.api;
    let id = json!({ "command": "id", "args": ["-u"] });
    let own = stdout(api.post("/process/exec", &id).await?)?;
    assert_ne!(own, "0", "the daemon is privileged");
    // To be who it is already takes no privilege.
    let same = json!({ "command": "id", "args": ["-u"], "as_user": own });
    assert_eq!(stdout(api.post("/process/exec", &same).await?)?, own);
    for user in [json!({ "as_user": "0:0" }), json!({ "as_root": true })] {
        let mut body = json!({ "command": "true" });
        if let Some((body, user)) = body.as_object_mut().zip(user.as_object()) {
            body.extend(user.clone());
        }
        for route in ["exec", "spawn"] {
            let refused = api.post(&format!("/process/{route}"), &body).await?;
            let refused: Value = refused.expect(403)?.json()?;
            assert_eq!(refused["code"], "forbidden");
        }
    }
    Ok(())
}

pub(crate) async fn a_body_is_json_alone(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let call =
            Call::new(Method::POST, "/process/exec").body(content_type, r#"{"command":"true"}"#);
        daemon.at.api.send(call).await?.expect(415)?;
    }
    let large = json!({ "command": "true", "env": { "A": "x".repeat(10_000_000) } });
    daemon
        .at
        .api
        .post("/process/exec", &large)
        .await?
        .expect(413)?;
    Ok(())
}

/// What the shutdown ends.
async fn under_way(api: &Api) -> anyhow::Result<Value> {
    api.exec("trap 'echo asked; exit 3' TERM; sleep 1000 & wait")
        .await?
        .expect(200)?
        .json()
}

pub(crate) async fn a_shutdown_ends_all_of_it_in_order(_: Suite) -> Outcome {
    let mut daemon = daemon().await?;
    let api = daemon.at.api.clone();
    let stubborn = api
        .spawn_script("trap '' TERM; sleep 1000 & sleep 1000")
        .await?;
    let mut events = stubborn.output(None).await?;
    let shell = api.spawn_in_terminal("bash", &[]).await?;
    let mut terminal = Terminal::attach(&shell).await?;
    terminal.type_in("echo $((6*7))\n").await?;
    terminal.shows("42").await?;

    let exec = under_way(&api);
    let limit = Duration::from_secs(10);
    let terminate = async {
        assert_eventually!("the command runs", {
            let sleeps = |pid: &u32| procfs::mentions(*pid, "echo asked");
            procfs::all().keys().any(sleeps)
        });
        let started = Instant::now();
        daemon.signal(Signal::TERM)?;
        let status = daemon.wait(limit).await?;
        assert_eq!(status.code(), Some(0), "{status:?}");
        anyhow::Ok(started.elapsed())
    };
    let last = async {
        let event = events.next().await?.context("no last event")?.json()?;
        anyhow::ensure!(events.next().await?.is_none(), "more than one");
        Ok(event)
    };
    let (result, took, last, ending) = tokio::join!(exec, terminate, last, terminal.ended());
    let took = took?;
    assert!(took < settings::patience(limit), "it took {took:?}");
    let last = last?;
    assert_eq!(last["event"], "error", "{last}");
    assert_eq!(ending?, 1001);
    let result = result?;
    assert_eq!(result["exit_code"], 3);
    assert_eq!(decoded(&result["stdout_b64"])?, b"asked\n");
    for process in [&stubborn, &shell] {
        assert_eq!(session(process.pid), Vec::<u32>::new());
    }
    let log = format!("{:?}", daemon.journal().events());
    for step in ["websockets", "processes", "connections", "background tasks"] {
        assert!(log.contains(step), "{step}: {log}");
    }
    Ok(())
}
