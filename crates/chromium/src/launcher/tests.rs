//! Locks, leftovers, the port and the directories, with real processes and files.

use std::{
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, symlink},
        process::ExitStatusExt as _,
    },
    process::{Child, ExitStatus, Stdio},
};

use super::*;

/// A process that waits for its input to end, under a name and with arguments of choice.
struct Process(Child);

impl Process {
    /// Under the name `chromium`, with a script that may trap signals first.
    fn browser(dir: &Path, setup: &str, arguments: &[String]) -> Self {
        let program = dir.join("chromium");
        if !program.exists() {
            fs::copy("/bin/dash", &program).unwrap();
        }
        Self::start(&program, setup, arguments)
    }

    fn start(program: &Path, setup: &str, arguments: &[String]) -> Self {
        let mut command = Command::new(program);
        // The script says when it is set up, then waits.
        command
            .arg("-c")
            .arg(format!("{setup} echo ready; read line"))
            .arg("zero")
            .args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ready = [0; 6];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn status(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn data_dir_argument(dir: &Path) -> Vec<String> {
    vec![format!("--user-data-dir={}", dir.display())]
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_str()
        .unwrap()
        .to_owned()
}

/// A profile with a lock of that owner.
fn locked(owner: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    symlink(owner, dir.path().join("SingletonLock")).unwrap();
    symlink(
        "/tmp/gone/SingletonSocket",
        dir.path().join("SingletonSocket"),
    )
    .unwrap();
    symlink("123", dir.path().join("SingletonCookie")).unwrap();
    fs::write(dir.path().join("Local State"), "{}").unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn unused_pid() -> u32 {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn locks_of_the_dead_and_of_other_hosts_go() {
    let owners = [
        format!("{}-{}", host(), unused_pid()),
        format!("another-host-{}", std::process::id()),
        format!("{}-{}", host(), std::process::id()),
        "nonsense".to_owned(),
        format!("{}-nonsense", host()),
    ];
    for owner in owners {
        let dir = locked(&owner);
        lock::release(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["Local State"], "{owner}");
    }
    let dir = tempfile::tempdir().unwrap();
    lock::release(dir.path()).unwrap();
    fs::write(dir.path().join("SingletonLock"), "").unwrap();
    lock::release(dir.path()).unwrap();
    assert!(names(dir.path()).is_empty());
    lock::release(&dir.path().join("missing")).unwrap();
}

#[test]
fn the_lock_of_a_living_browser_stays() {
    let programs = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    // Another spelling of the profile, so that it does not count as a leftover.
    let spelled = dir.path().join("../").join(dir.path().file_name().unwrap());
    let browser = Process::browser(programs.path(), "", &data_dir_argument(&spelled));
    symlink(
        format!("{}-{}", host(), browser.pid()),
        dir.path().join("SingletonLock"),
    )
    .unwrap();
    leftovers::end(dir.path()).unwrap();
    let error = lock::release(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(&format!("in use by process {}", browser.pid()))
    );
    assert_eq!(names(dir.path()), ["SingletonLock"]);
}

#[test]
fn a_lock_whose_number_went_to_the_browser_of_another_profile_goes() {
    let programs = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut browser = Process::browser(programs.path(), "", &data_dir_argument(other.path()));
    let dir = locked(&format!("{}-{}", host(), browser.pid()));
    lock::release(dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["Local State"]);
    assert!(browser.lives());
}

#[test]
fn leftovers_of_this_profile_end_and_no_others() {
    let programs = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let start = |path: PathBuf| Process::browser(programs.path(), "", &data_dir_argument(&path));
    let mut ours = start(dir.path().to_owned());
    let longer = format!("{}2", dir.path().display());
    let mut others = [
        start(PathBuf::from(&longer)),
        start(dir.path().join("sub")),
        Process::browser(programs.path(), "", &[dir.path().display().to_string()]),
        Process::browser(
            programs.path(),
            "",
            &[format!("x {}", data_dir_argument(dir.path())[0])],
        ),
    ];
    leftovers::end(dir.path()).unwrap();
    assert_eq!(ours.status().signal(), Some(15));
    assert!(others.iter_mut().all(Process::lives));
}

#[test]
fn a_leftover_that_ignores_term_or_is_stopped_is_killed() {
    let programs = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let arguments = data_dir_argument(dir.path());
    let mut deaf = Process::browser(programs.path(), "trap '' TERM;", &arguments);
    let mut stopped = Process::browser(programs.path(), "", &arguments);
    let pid = rustix::process::Pid::from_raw(i32::try_from(stopped.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    leftovers::end(dir.path()).unwrap();
    assert_eq!(deaf.status().signal(), Some(9));
    // KILL wakes it, and it may then die of the TERM that had been waiting.
    assert!(matches!(stopped.status().signal(), Some(9 | 15)));
}

#[test]
fn an_orphaned_child_of_the_browser_is_killed_by_its_title() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    let programs = tempfile::tempdir().unwrap();
    // Chromium's children have one argument, a text with spaces.
    let name = |dir: &str| format!("chromium --type=renderer --user-data-dir={dir} --x");
    let start = |dir: &str| {
        let mut command = Command::new("/bin/dash");
        command
            .arg0(name(dir))
            .stdin(Stdio::piped())
            .current_dir(programs.path());
        Process(command.spawn().unwrap())
    };
    let mut ours = start(&path.to_string());
    let mut other = start(&format!("{path}2"));
    leftovers::end(dir.path()).unwrap();
    assert_eq!(ours.status().signal(), Some(9));
    assert!(other.lives());
}

#[test]
fn a_port_in_use_is_waited_for_and_then_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = Instant::now();
    let waiting = std::thread::spawn(move || port::wait_until_free(port));
    let error = waiting.join().unwrap().unwrap_err();
    assert!(start.elapsed() >= PORT_PATIENCE);
    assert_eq!(
        error.to_string(),
        format!("port {port} on 127.0.0.1, for Chromium's DevTools, is in use")
    );
    let waiting = std::thread::spawn(move || port::wait_until_free(port));
    drop(listener);
    waiting.join().unwrap().unwrap();
}

#[test]
fn chromium_sees_neither_settings_nor_secrets() {
    let own = [
        ("PATH", "/bin"),
        ("LANG", "de_DE.UTF-8"),
        ("HOME", "/root"),
        ("DISPLAY", ":0"),
        ("XDG_RUNTIME_DIR", "/run/x"),
        ("GOOGLE_API_KEY", "k"),
        ("AUTH_TOKEN", "s"),
        ("AUTH_TOKEN_FILE", "s"),
        ("TLS_KEY", "s"),
        ("PORT", "1"),
        ("KERNEL_IMAGES_API_PORT", "1"),
        ("CHROMIUM_FLAGS", "--x"),
        ("SUPERVISOR_SERVER_URL", "unix:///x"),
        ("MY_PASSWORD", "s"),
        ("github_token", "s"),
        ("WAYLAND_DISPLAY", "wayland-0"),
    ];
    let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let account = Account::choose(true, "nobody").unwrap();
    let mut seen = environment::for_chromium(own, &account, 7);
    let value = |name: &str, seen: &Environment| {
        let mut found = seen.variables.iter().filter(|(known, _)| known == name);
        let value = found
            .next()
            .map(|(_, value)| value.to_str().unwrap().to_owned());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    };
    for (name, expected) in [
        ("PATH", Some("/bin")),
        ("LANG", Some("de_DE.UTF-8")),
        ("DISPLAY", Some(":7")),
        ("XDG_RUNTIME_DIR", Some("/run/x")),
        ("GOOGLE_API_KEY", Some("k")),
        ("USER", Some(account.name.as_str())),
        ("PORT", None),
    ] {
        assert_eq!(value(name, &seen).as_deref(), expected, "{name}");
    }
    assert_eq!(value("HOME", &seen).map(PathBuf::from), account.home);
    assert_eq!(seen.runtime_dir.as_deref(), Some(Path::new("/run/x")));
    assert_eq!(seen.variables.len(), 8, "{:?}", seen.variables);
    seen.forget_runtime_dir();
    assert_eq!(value("XDG_RUNTIME_DIR", &seen), None);
}

#[test]
fn the_profile_is_handed_to_the_user_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("home/profile");
    let outside = dir.path().join("outside");
    fs::create_dir_all(profile.join("Default")).unwrap();
    fs::write(&outside, "").unwrap();
    fs::write(profile.join("Default/Cookies"), "").unwrap();
    symlink(&outside, profile.join("Default/link")).unwrap();
    symlink(dir.path(), profile.join("Default/upwards")).unwrap();
    if !nix::unistd::Uid::effective().is_root() {
        // Nobody but root can give files away: only the making can be seen.
        let account = Account::choose(false, "nobody").unwrap();
        profile::make(&dir.path().join("a/b"), &account).unwrap();
        assert!(dir.path().join("a/b").is_dir());
        return;
    }
    let account = Account::choose(false, "nobody").unwrap();
    profile::make(&profile, &account).unwrap();
    let uid = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
    assert_eq!(uid(&profile), account.ids.0);
    assert_eq!(uid(&profile.join("Default/Cookies")), account.ids.0);
    assert_eq!(uid(&profile.join("Default/link")), account.ids.0);
    assert_eq!([uid(&outside), uid(dir.path())], [0, 0]);

    let made = dir.path().join("new/profile");
    profile::make(&made, &account).unwrap();
    assert_eq!(
        [uid(&made), uid(&dir.path().join("new"))],
        [account.ids.0; 2]
    );
    assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);

    // A link in the place of the profile, to a directory that is not the user's.
    let link = dir.path().join("link");
    symlink(dir.path(), &link).unwrap();
    profile::make(&link, &account).unwrap_err();
    assert_eq!(uid(dir.path()), 0);
    assert!(!profile::make_private(&link, &account).unwrap());
}

#[test]
fn an_unknown_user_is_named() {
    if nix::unistd::Uid::effective().is_root() {
        let error = Account::choose(false, "no-such-user")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"no-such-user\" of CHROMIUM_USER does not exist"),
            "{error}"
        );
        assert!(Account::choose(true, "no-such-user").unwrap().is_root());
    }
}

fn config(dir: &Path) -> Config {
    Config {
        binary: "/usr/bin/chromium".into(),
        flags: vec![],
        flags_file: dir.join("flags"),
        data_dir: dir.join("profile"),
        run_as_root: false,
        user: "nobody".to_owned(),
        width: 1280,
        height: 720,
        display_num: 1,
        internal_port: 9223,
    }
}

#[test]
fn the_command_line_has_three_layers_and_a_page() {
    let flags = ["--lang=de", "--remote-debugging-port=1", "--mute-audio"];
    let flags = flags.map(ToOwned::to_owned).to_vec();
    let config = Config {
        flags,
        ..config(Path::new("/x"))
    };
    let overlay = Overlay {
        flags: vec!["--lang=fr".to_owned()],
    };
    let screen = Screen {
        width: 800,
        height: 600,
    };
    let (line, dropped) = command_line(&config, &overlay, screen, false);
    for expected in [
        "--user-data-dir=/x/profile",
        "--remote-debugging-port=9223",
        "--window-size=800,600",
        "--lang=fr",
        "--mute-audio",
    ] {
        assert_eq!(
            line.iter().filter(|one| *one == expected).count(),
            1,
            "{expected}: {line:?}"
        );
    }
    assert!(
        !line
            .iter()
            .any(|one| one == "--no-sandbox" || one == "--lang=de")
    );
    assert_eq!(line.last().unwrap(), "about:blank");
    assert_eq!(dropped.len(), 1);
    assert!(
        command_line(&config, &overlay, screen, true)
            .0
            .contains(&"--no-sandbox".to_owned())
    );

    let flags = vec!["https://a.example".to_owned()];
    let (line, _) = command_line(&Config { flags, ..config }, &overlay, screen, false);
    assert_eq!(line.last().unwrap(), "https://a.example");
    assert!(!line.contains(&"about:blank".to_owned()));
}
