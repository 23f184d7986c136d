//! One machine: a PID namespace whose first process is `browserd init`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test hands its own environment on, and is told its size by it"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long anything may take that has to happen some time.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long to leave between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// supervisord's settings, as those of the images.
const SUPERVISORD: &str = "\
[unix_http_server]
file=%(ENV_SUPERVISOR_SOCKET)s
[supervisord]
logfile=%(ENV_RUN_DIR)s/supervisord.log
pidfile=%(ENV_RUN_DIR)s/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
";

/// A machine that is being set up.
pub(crate) struct Setup {
    dir: tempfile::TempDir,
    ports: [u16; 3],
}

/// A machine that runs. Dropped, it is killed.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
    port: u16,
    unshare: Child,
    /// The first process, as this namespace counts.
    first: Pid,
    lines: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl Machine {
    /// A machine with a supervisord without programs.
    #[expect(clippy::new_ret_no_self, reason = "a machine begins with its setup")]
    pub(crate) fn new() -> Setup {
        let dir = tempfile::tempdir().unwrap();
        for name in ["run", "log", "data"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("supervisord.conf"), SUPERVISORD).unwrap();
        let setup = Setup {
            dir,
            ports: free_ports(),
        };
        setup.services("exec supervisord --nodaemon --user root --configuration \"$0.conf\"");
        let conf = setup.path("supervisord.conf");
        fs::rename(conf, setup.path("services.conf")).unwrap();
        setup
    }

    /// Everything on stdout so far.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) {
        self.wait_until(part, |machine| machine.text().contains(part));
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not so after {PATIENCE:?}:\n{}",
                self.text()
            );
            pause();
        }
    }

    #[track_caller]
    pub(crate) fn wait_for_health(&self) {
        self.wait_until("/healthz answers", |machine| is_healthy(machine.port));
    }

    /// Asks the first process to stop; returns its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        kill(self.first, Signal::SIGTERM).unwrap();
        let status = self.unshare.wait().unwrap();
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        status.code()
    }

    /// Signals a child of the first process.
    #[track_caller]
    pub(crate) fn kill_child(&self, name: &str, signal: Signal) {
        let found = children(self.first)
            .into_iter()
            .find(|pid| stat(*pid).is_some_and(|(found, _)| found == name));
        let pid = found.unwrap_or_else(|| panic!("there is no {name}"));
        kill(pid, signal).unwrap();
    }

    /// Whether every child of the first process lives.
    pub(crate) fn has_no_zombie(&self) -> bool {
        children(self.first)
            .into_iter()
            .all(|pid| stat(pid).is_some_and(|(_, state)| state != 'Z'))
    }
}

impl Setup {
    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.path("log")
    }

    pub(crate) fn hold_file(&self) -> PathBuf {
        self.path("hold")
    }

    /// What becomes supervisord.
    pub(crate) fn services(&self, script: &str) {
        write_script(&self.path("services"), script);
    }

    /// Adds a program to supervisord.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.path(name);
        write_script(&path, script);
        let log = self.log_dir().join(name);
        let section = format!(
            "[program:{name}]\ncommand={}\nstdout_logfile={}\nredirect_stderr=true\n",
            path.display(),
            log.display()
        );
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.path("services.conf"))
            .unwrap();
        file.write_all(section.as_bytes()).unwrap();
    }

    /// The script of a program.
    pub(crate) fn program_file(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    /// Starts the machine.
    pub(crate) fn start(self) -> Machine {
        let [port, devtools, metrics] = self.ports.map(|port| port.to_string());
        fs::write(
            self.path("machine-id"),
            "0123456789abcdef0123456789abcdef\n",
        )
        .unwrap();
        // What the first process may write to outside of its folder is covered.
        let script =
            "test ! -e /etc/machine-id || mount --bind \"$0\" /etc/machine-id; exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args([
                "--pid",
                "--mount",
                "--uts",
                "--mount-proc",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", script])
            .arg(self.path("machine-id"))
            .args([env!("CARGO_BIN_EXE_browserd"), "init"])
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .env("SERVICES", self.path("services"))
            .env("RUN_DIR", self.path("run"))
            .env("LOG_DIR", self.path("log"))
            .env("SUPERVISOR_SOCKET", self.path("run/s"))
            .env("BROWSER_DATA_DIR", self.path("data"))
            .env("SCALE_TO_ZERO_FILE", self.path("hold"))
            .env("LISTEN_ADDRESS", "127.0.0.1")
            .env("PORT", port)
            .env("DEVTOOLS_PROXY_PORT", devtools)
            .env("METRICS_PORT", metrics)
            .env("LOG_FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut unshare = command.spawn().unwrap();
        let lines = Arc::<Mutex<String>>::default();
        let reading = read(unshare.stdout.take().unwrap(), lines.clone());
        let mut machine = Machine {
            port: self.ports[0],
            dir: self.dir,
            first: Pid::from_raw(0),
            unshare,
            lines,
            reading: Some(reading),
        };
        let outer = Pid::from_raw(i32::try_from(machine.unshare.id()).unwrap());
        machine.wait_until("the namespace has its first process", |_| {
            children(outer)
                .first()
                .is_some_and(|pid| stat(*pid).is_some_and(|(name, _)| name == "browserd"))
        });
        machine.first = children(outer)[0];
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process the whole namespace ends.
        if self.unshare.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(self.first, Signal::SIGKILL);
            let _ = self.unshare.wait();
        }
        if thread::panicking() {
            let _ = fs::read_to_string(self.dir.path().join("run/supervisord.log"))
                .map(|text| eprintln!("{text}"));
        }
    }
}

fn read(stdout: impl std::io::Read + Send + 'static, lines: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.unwrap();
            let mut lines = lines.lock().unwrap();
            lines.push_str(&String::from_utf8_lossy(&line));
            lines.push('\n');
        }
    })
}

fn is_healthy(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn write_script(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn children(of: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let numbers = list.split_ascii_whitespace();
    numbers
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

/// The name and the state of a process.
fn stat(pid: Pid) -> Option<(String, char)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    Some((name.to_owned(), rest.trim_start().chars().next()?))
}

#[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
fn pause() {
    thread::sleep(PAUSE);
}
