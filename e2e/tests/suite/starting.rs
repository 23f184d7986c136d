//! The first calls of a client that is quicker than the machine: parts come up while they wait.

use std::time::Duration;

use anyhow::Context as _;
use browserd_e2e::{
    Call, Daemon, Echo, assert_eventually,
    process::{Launch, Process},
    procfs, settings,
};
use futures_util::future::try_join_all;
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// How long calls wait that have to be answered: as long as a part may need on a busy machine.
fn long_enough() -> String {
    settings::patience(Duration::from_secs(25))
        .as_secs()
        .to_string()
}

fn post(path: &str, body: &Value) -> Call {
    Call::new(Method::POST, path).body("application/json", body.to_string())
}

/// One call of each kind that needs the display.
fn calls() -> Vec<Call> {
    let wait = json!({ "type": "sleep", "sleep": { "duration_ms": 1 } });
    let body = json!({ "width": 1024, "height": 768 }).to_string();
    vec![
        post("/computer/screenshot", &json!({})),
        post(
            "/computer/move_mouse",
            &json!({ "x": 20, "y": 30, "smooth": false }),
        ),
        post("/computer/click_mouse", &json!({ "x": 20, "y": 30 })),
        post(
            "/computer/scroll",
            &json!({ "x": 20, "y": 30, "delta_y": 1 }),
        ),
        post(
            "/computer/drag_mouse",
            &json!({ "path": [[1, 1], [2, 2]], "smooth": false }),
        ),
        post("/computer/type", &json!({ "text": "a" })),
        post("/computer/press_key", &json!({ "keys": ["a"] })),
        post("/computer/get_mouse_position", &json!({})),
        post("/computer/cursor", &json!({ "hidden": true })),
        post("/computer/clipboard/write", &json!({ "text": "a" })),
        post("/computer/clipboard/read", &json!({})),
        post("/computer/batch", &json!({ "actions": [wait] })),
        Call::get("/display"),
        Call::new(Method::PATCH, "/display").body("application/json", body),
    ]
}

/// Brings up the X server that the daemon was told of.
fn x_server(daemon: &Daemon) -> anyhow::Result<Process> {
    Launch::new("Xvfb")
        .arg(format!(":{}", daemon.display()))
        .args(["-screen", "0", "3840x2160x24", "-noreset", "-ac"])
        .args(["-nolisten", "tcp"])
        .spawn()
}

pub(crate) async fn first_calls_wait_for_the_display(_: Suite) -> Outcome {
    let daemon = Daemon::builder()
        .env("PART_WAIT_SEC", long_enough())
        .start()
        .await?;
    let (api, calls) = (&daemon.at.api, calls());
    let all_wait = calls.len();
    let answers = try_join_all(calls.into_iter().map(|call| async move {
        let what = format!("{} {}", call.method(), call.path());
        anyhow::Ok((what, api.send(call).await?))
    }));
    let start = async {
        let port = api.address().port();
        assert_eventually!("all wait", procfs::connections_at(port) >= all_wait);
        x_server(&daemon)
    };
    let (answers, server) = tokio::join!(answers, start);
    let _server = server?;
    for (what, answer) in answers? {
        answer.expect(200).context(what)?;
    }
    Ok(())
}

pub(crate) async fn first_calls_wait_for_supervisord(_: Suite) -> Outcome {
    let daemon = Daemon::builder()
        .env("PART_WAIT_SEC", long_enough())
        .start()
        .await?;
    let folder = daemon.folder();
    let shown = folder.display();
    let configuration = folder.join("supervisord.conf");
    std::fs::write(folder.join("told"), "first\n")?;
    let text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n\
         pidfile={shown}/pid\n\
         [unix_http_server]\nfile={shown}/supervisor.sock\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:talker]\ncommand=sleep infinity\nautostart=false\n\
         stdout_logfile={shown}/told\n"
    );
    std::fs::write(&configuration, text)?;
    let log = "/logs/stream?source=supervisor&supervisor_process=talker&follow=false";
    let answer = daemon.at.api.get(log);
    let start = async {
        let port = daemon.at.api.address().port();
        assert_eventually!("it waits", procfs::connections_at(port) >= 1);
        Launch::new("supervisord")
            .arg("--configuration")
            .arg(&configuration)
            .spawn()
    };
    let (answer, supervisord) = tokio::join!(answer, start);
    let _supervisord = supervisord?;
    let answer = answer?.expect(200)?;
    assert!(answer.text().contains("first"), "{}", answer.text());
    Ok(())
}

pub(crate) async fn waiting_calls_are_let_go_at_a_shutdown(_: Suite) -> Outcome {
    let mut daemon = Daemon::builder()
        .env("PART_WAIT_SEC", "3600")
        .start()
        .await?;
    let api = daemon.at.api.clone();
    let port = api.address().port();
    let picture = api.send(post("/computer/screenshot", &json!({})));
    let terminate = async {
        assert_eventually!("it waits", procfs::connections_at(port) >= 1);
        daemon.signal(Signal::TERM)?;
        daemon.wait(Duration::from_secs(12)).await
    };
    let (picture, ended) = tokio::join!(picture, terminate);
    assert!(ended?.success(), "it had to be killed");
    // An answer, or none if the connection was ended first: but no wait to the end.
    if let Ok(answer) = picture {
        answer.expect(503)?;
    }
    Ok(())
}

pub(crate) async fn what_is_absent_is_said_at_once(_: Suite) -> Outcome {
    // The harness waits for no answer as long as that.
    let daemon = Daemon::builder()
        .env("PART_WAIT_SEC", "3600")
        .env("NO_DISPLAY", "true")
        .start()
        .await?;
    for call in calls() {
        let what = format!("{} {}", call.method(), call.path());
        let answer = daemon.at.api.send(call).await?;
        answer.expect(501).context(what)?;
    }
    Ok(())
}

pub(crate) async fn the_port_opens_when_browser_and_display_answer(_: Suite) -> Outcome {
    let port = browserd_e2e::ports::Block::claim()?;
    let daemon = Daemon::builder()
        .env("OPEN_WHEN", "ready")
        .env("DEVTOOLS_UPSTREAM", Echo::url_on(port.port(0)))
        .env("DEVTOOLS_WAIT_SEC", "0")
        .start_unready()
        .await?;
    let api = daemon.at.api.address();
    let is_closed = async || TcpStream::connect(api).await.is_err();
    assert_eventually!("the other ports are open", {
        daemon
            .at
            .discover("/json/version")
            .await?
            .expect(503)
            .map(drop)?;
    });
    assert!(is_closed().await, "nothing is there");
    let _echo = Echo::start_on(port.port(0)).await?;
    assert_eventually!("the browser is found", {
        daemon
            .at
            .discover("/json/version")
            .await?
            .expect(200)
            .map(drop)?;
    });
    assert!(is_closed().await, "there is no display");
    let _server = x_server(&daemon)?;
    assert_eventually!(within: Duration::from_secs(30), "the port opens", !is_closed().await);
    daemon.at.api.get("/display").await?.expect(200)?;
    let events = daemon.journal().events();
    let opened = events
        .iter()
        .any(|event| event.text("message").contains("opens"));
    assert!(opened, "the log does not tell");
    Ok(())
}
