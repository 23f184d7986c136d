//! The client against a real supervisord.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use browserd_supervisor::{Client, Error, ProcessState, State};
use tokio::process::{Child, Command};

struct Supervisord {
    child: Child,
    dir: tempfile::TempDir,
}

const PROGRAMS: &str = "
[program:sleeper]
command=sleep 1000
startsecs=1
stdout_logfile=%(here)s/sleeper.log
redirect_stderr=true

[program:deaf]
command=sh -c \"trap '' TERM; echo ready; while :; do sleep 0.1; done\"
startsecs=0
stopwaitsecs=1
stdout_logfile=%(here)s/deaf.log

[program:ends]
command=sh -c \"exit 3\"
startsecs=0
autorestart=false
stdout_logfile=NONE

[program:missing]
command=/nonexistent/program
autostart=false
stdout_logfile=NONE

[program:a&b]
command=sleep 1000
autostart=false

[group:pair]
programs=inner

[program:inner]
command=sleep 1000
autostart=false
";

impl Supervisord {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("supervisord.conf");
        let text = format!(
            "[unix_http_server]\nfile=%(here)s/sock\n\
             [supervisord]\nnodaemon=true\nlogfile=%(here)s/log\npidfile=%(here)s/pid\n\
             childlogdir=%(here)s\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             {PROGRAMS}"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("supervisord")
            .arg("--configuration")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { child, dir };
        until("supervisord answers", async || {
            this.client().state().await.is_ok()
        })
        .await;
        this
    }

    fn client(&self) -> Client {
        Client::new(self.dir.path().join("sock"))
    }

    async fn until_state(&self, name: &str, state: ProcessState) {
        until(&format!("{name} is {state:?}"), async || {
            self.client().process(name).await.unwrap().state == state
        })
        .await;
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        // TERM, so that it takes its programs down.
        let pid = self.child.id().unwrap().to_string();
        std::process::Command::new("kill")
            .arg(pid)
            .spawn()
            .unwrap()
            .wait()
            .unwrap();
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() && start.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn lives(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[tokio::test]
async fn programs_are_listed_started_and_stopped() {
    let supervisord = Supervisord::start().await;
    let client = supervisord.client();
    assert_eq!(client.state().await.unwrap(), State::Running);
    supervisord
        .until_state("sleeper", ProcessState::Running)
        .await;
    supervisord.until_state("ends", ProcessState::Exited).await;

    let mut names: Vec<String> = client
        .processes()
        .await
        .unwrap()
        .into_iter()
        .map(|process| process.name)
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["a&b", "deaf", "ends", "inner", "missing", "sleeper"]
    );

    let sleeper = client.process("sleeper").await.unwrap();
    let log: PathBuf = supervisord.dir.path().join("sleeper.log");
    assert_eq!(sleeper.stdout_log, Some(log));
    assert_eq!(sleeper.stderr_log, None);
    assert_eq!(sleeper.group, "sleeper");
    assert!(sleeper.started_at > 0 && sleeper.stopped_at == 0);
    assert!(sleeper.description.starts_with("pid "), "{sleeper:?}");
    let pid = sleeper.pid.unwrap();
    assert!(lives(pid));

    let ends = client.process("ends").await.unwrap();
    assert_eq!(
        (ends.exit_status, ends.pid, ends.stdout_log),
        (3, None, None)
    );

    client.restart("sleeper", true).await.unwrap();
    let again = client.process("sleeper").await.unwrap();
    assert_eq!(again.state, ProcessState::Running);
    assert!(again.pid.unwrap() != pid && !lives(pid));

    client.stop("sleeper", true).await.unwrap();
    let stopped = client.process("sleeper").await.unwrap();
    assert_eq!((stopped.state, stopped.pid), (ProcessState::Stopped, None));
    // Starting what is stopped is a restart too.
    client.restart("sleeper", false).await.unwrap();

    client.start("a&b", false).await.unwrap();
    client.start("pair:inner", true).await.unwrap();
    assert_eq!(client.process("pair:inner").await.unwrap().group, "pair");
}

#[tokio::test]
async fn a_deaf_program_is_killed_within_the_wait() {
    let supervisord = Supervisord::start().await;
    let client = supervisord.client();
    let log = supervisord.dir.path().join("deaf.log");
    until("it is deaf", async || {
        std::fs::read_to_string(&log).is_ok_and(|log| !log.is_empty())
    })
    .await;
    let pid = client.process("deaf").await.unwrap().pid.unwrap();
    client.stop("deaf", true).await.unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn faults_have_names() {
    let supervisord = Supervisord::start().await;
    let client = supervisord.client();
    supervisord
        .until_state("sleeper", ProcessState::Running)
        .await;

    for error in [
        client.process("nobody").await.unwrap_err(),
        client.start("nobody", true).await.unwrap_err(),
        client.stop("nobody", true).await.unwrap_err(),
        client.restart("nobody", true).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::NotFound(name) if name == "nobody"),
            "{error:?}"
        );
    }
    let error = client.process("<x>&\u{e9}").await.unwrap_err();
    assert!(
        matches!(&error, Error::NotFound(name) if name == "<x>&\u{e9}"),
        "{error:?}"
    );
    for name in ["a\0", "\u{1b}", "\u{ffff}"] {
        let error = client.process(name).await.unwrap_err();
        let Error::Unsendable(told) = error else {
            panic!("{error:?}")
        };
        assert_eq!(told, name);
    }
    let error = client.start("sleeper", true).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyStarted(_)), "{error:?}");
    let error = client.stop("missing", true).await.unwrap_err();
    assert!(matches!(error, Error::NotRunning(_)), "{error:?}");
    let error = client.start("missing", true).await.unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error:?}");
}
