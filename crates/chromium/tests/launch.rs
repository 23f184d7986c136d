//! The launcher from end to end: a real X server, and a process that runs a real Chromium.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use browserd_chromium::launcher::{Config, launch};
use browserd_display::{Display, Size};

/// Where the launcher's process finds what it is to do: `<display>\n<port>\n<dir>`.
const TASK: &str = "LAUNCH_TEST_TASK";

/// What this process was started with.
#[expect(clippy::disallowed_methods, reason = "the task is in a variable")]
fn variables() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Not a test: the launcher, which each test runs in a process of its own.
#[test]
fn runs_chromium() -> ExitCode {
    let mut inherited: Vec<_> = variables();
    let Some(at) = inherited.iter().position(|(name, _)| name == TASK) else {
        return ExitCode::SUCCESS;
    };
    let task = inherited.remove(at).1.into_string().unwrap();
    let mut lines = task.lines();
    let mut next = || lines.next().unwrap();
    let (display_num, internal_port) = (next().parse().unwrap(), next().parse().unwrap());
    let dir = PathBuf::from(next());
    let config = Config {
        binary: "/usr/bin/chromium".into(),
        // There may be no network to look things up in.
        flags: vec!["--disable-background-networking".to_owned()],
        flags_file: dir.join("flags"),
        data_dir: dir.join("profile"),
        run_as_root: true,
        user: "nobody".to_owned(),
        width: 1024,
        height: 700,
        display_num,
        window_manager: false,
        browser_ui: false,
        internal_port,
        environment: inherited,
        log_file: dir.join("log"),
        starts_file: dir.join("starts"),
    };
    match launch(&config) {
        // The exit code of a test program is its own matter.
        Ok(ended) => eprintln!("launch: {}", ended.code),
        Err(error) => eprintln!("launch: {error}"),
    }
    ExitCode::SUCCESS
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            // A launcher takes its browser along.
            term(self.0.id());
            ended_within(self, Duration::from_secs(20));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    /// The browser of a launcher.
    fn browser(&self) -> u32 {
        let pid = self.0.id();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
        let children: String = children.map(Result::unwrap).collect();
        children.trim().parse().unwrap()
    }
}

struct Stage {
    dir: tempfile::TempDir,
    display: u16,
    port: u16,
    _xvfb: Running,
}

impl Stage {
    fn set() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut xvfb = Command::new("Xvfb");
        xvfb.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "3840x2160x24",
            "-noreset",
            "-ac",
        ]);
        let xvfb = xvfb
            .args(["-nolisten", "tcp"])
            .stdout(writer)
            .stderr(Stdio::null());
        let xvfb = Running(xvfb.spawn().unwrap());
        let mut number = String::new();
        BufReader::new(reader).read_line(&mut number).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let dir = tempfile::tempdir().unwrap();
        Self {
            dir,
            display: number.trim().parse().unwrap(),
            port,
            _xvfb: xvfb,
        }
    }

    fn launch(&self) -> Running {
        let task = format!(
            "{}\n{}\n{}",
            self.display,
            self.port,
            self.dir.path().display()
        );
        let log = File::create(self.log()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "runs_chromium", "--nocapture"]);
        command
            .env(TASK, task)
            .env("AUTH_TOKEN", "secret")
            .stdin(Stdio::null());
        Running(
            command
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap(),
        )
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Waits for the line that the daemon waits for.
    fn wait_for_devtools(&self, running: &mut Running) -> String {
        let start = Instant::now();
        loop {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let line = log
                .lines()
                .find_map(|line| line.strip_prefix("DevTools listening on "));
            if let Some(url) = line {
                return url.to_owned();
            }
            assert!(running.0.try_wait().unwrap().is_none(), "it ended: {log}");
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "no DevTools: {log}"
            );
            pause();
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let host = format!("127.0.0.1:{}", self.port);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut answer = Vec::new();
        // Chromium keeps the connection open; what it announced is all there is.
        let mut chunk = [0; 4096];
        while let Ok(count) = stream.read(&mut chunk) {
            answer.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&answer);
            if count == 0 || is_whole(&text) {
                break;
            }
        }
        String::from_utf8(answer).unwrap()
    }
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length:"));
    length.is_some_and(|length| length.trim().parse::<usize>().unwrap() <= body.len())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a pause between two looks, in a test's thread"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn command_line(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    bytes
        .split(|&byte| byte == 0)
        .map(|one| String::from_utf8_lossy(one).into_owned())
        .collect()
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

fn term(pid: u32) {
    signal("TERM", pid);
}

fn signal(name: &str, pid: u32) {
    let mut kill = Command::new("kill");
    assert!(
        kill.args(["-s", name, &pid.to_string()])
            .spawn()
            .unwrap()
            .wait()
            .unwrap()
            .success()
    );
}

/// Whether a process runs; one that has ended may wait for its parent.
fn is_alive(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn ended_within(running: &mut Running, patience: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < patience {
        if running.0.try_wait().unwrap().is_some() {
            return true;
        }
        pause();
    }
    false
}

fn lock_owner(dir: &Path) -> String {
    let owner = fs::read_link(dir.join("profile/SingletonLock")).unwrap();
    owner
        .to_str()
        .unwrap()
        .rsplit_once('-')
        .unwrap()
        .1
        .to_owned()
}

#[test]
fn the_launcher_runs_chromium_with_a_page_on_the_whole_screen() {
    let stage = Stage::set();
    fs::write(stage.dir.path().join("flags"), r#"{"flags":["--lang=fr"]}"#).unwrap();
    let mut chromium = stage.launch();
    let url = stage.wait_for_devtools(&mut chromium);
    assert!(
        url.starts_with(&format!("ws://127.0.0.1:{}/devtools/browser/", stage.port)),
        "{url}"
    );

    let pid = chromium.browser();
    let line = command_line(pid);
    assert!(line[0].contains("chromium"), "{line:?}");
    assert!(line.contains(&"--lang=fr".to_owned()));
    assert_eq!(line.contains(&"--no-sandbox".to_owned()), is_root());
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("AUTH_TOKEN") && !environment.contains("CHROMIUM_FLAGS=--"));
    assert!(environment.contains(&format!("DISPLAY=:{}\0", stage.display)));

    let start = Instant::now();
    let targets = loop {
        let targets = stage.get("/json/list");
        if targets.contains("\"type\": \"page\"") || start.elapsed() > Duration::from_secs(20) {
            break targets;
        }
        pause();
    };
    assert!(
        targets.contains("\"type\": \"page\"") && targets.contains("about:blank"),
        "{targets}"
    );

    let size = Display::new(stage.display)
        .connect(Duration::from_secs(5))
        .unwrap()
        .size();
    assert_eq!(
        size.unwrap(),
        Size {
            width: 1024,
            height: 700,
            refresh: 60
        }
    );
    assert_eq!(lock_owner(stage.dir.path()), pid.to_string());

    term(chromium.0.id());
    assert!(
        ended_within(&mut chromium, Duration::from_secs(20)),
        "TERM does not end it"
    );
    let log = fs::read_to_string(stage.log()).unwrap();
    assert!(log.contains("launch: 0\n"), "{log}");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_killed_and_a_forgotten_browser_are_replaced() {
    let stage = Stage::set();
    let mut first = stage.launch();
    stage.wait_for_devtools(&mut first);
    let display = Display::new(stage.display);
    let resized = Size {
        width: 800,
        height: 600,
        refresh: 60,
    };
    display
        .connect(Duration::from_secs(5))
        .unwrap()
        .set_size(resized)
        .unwrap();

    // Killed: the lock stays, and names a process that is dead.
    let killed = first.browser();
    signal("KILL", killed);
    assert!(ended_within(&mut first, Duration::from_secs(20)));
    let log = fs::read_to_string(stage.log()).unwrap();
    assert!(log.contains("launch: 137\n"), "{log}");
    assert_eq!(lock_owner(stage.dir.path()), killed.to_string());
    let mut second = stage.launch();
    stage.wait_for_devtools(&mut second);
    assert!(command_line(second.browser()).contains(&"--window-size=800,687".to_owned()));

    // Forgotten: its launcher was killed, and it lives on, with the lock and the port, when the
    // next one is started.
    let forgotten = second.browser();
    second.0.kill().unwrap();
    second.0.wait().unwrap();
    assert!(is_alive(forgotten));
    let mut third = stage.launch();
    stage.wait_for_devtools(&mut third);
    assert!(!is_alive(forgotten), "the leftover lives on");
    assert_eq!(lock_owner(stage.dir.path()), third.browser().to_string());
}

#[test]
fn a_missing_display_and_a_broken_flags_file_are_said_in_one_line() {
    let stage = Stage {
        display: 65000,
        ..Stage::set()
    };
    let mut launcher = stage.launch();
    assert!(ended_within(&mut launcher, Duration::from_secs(20)));
    let log = fs::read_to_string(stage.log()).unwrap();
    assert!(
        log.contains("launch: the X server is not there after 10 s\n"),
        "{log}"
    );

    fs::write(stage.dir.path().join("flags"), "{").unwrap();
    let mut launcher = stage.launch();
    assert!(ended_within(&mut launcher, Duration::from_secs(5)));
    let log = fs::read_to_string(stage.log()).unwrap();
    assert!(
        log.contains("launch: the flags file ") && log.contains("is not {\"flags\""),
        "{log}"
    );
}
