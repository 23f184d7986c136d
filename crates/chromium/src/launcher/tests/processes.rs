//! Locks and leftovers, with real processes.

use std::{
    os::unix::{fs::symlink, process::ExitStatusExt as _},
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
fn the_socket_of_the_dead_goes_with_its_directory_and_nothing_else() {
    let tmp = tempfile::tempdir().unwrap();
    let removed_with = |name: &str, more: &str| {
        let dir = tmp.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("SingletonSocket"), "").unwrap();
        fs::write(dir.join("SingletonCookie"), "").unwrap();
        if !more.is_empty() {
            fs::write(dir.join(more), "").unwrap();
        }
        let profile = tempfile::tempdir().unwrap();
        symlink("gone-1", profile.path().join("SingletonLock")).unwrap();
        symlink(
            dir.join("SingletonSocket"),
            profile.path().join("SingletonSocket"),
        )
        .unwrap();
        lock::release(profile.path()).unwrap();
        if dir.exists() {
            Some(names(&dir))
        } else {
            None
        }
    };
    assert_eq!(removed_with("org.chromium.Chromium.a", ""), None);
    assert_eq!(
        removed_with("org.chromium.Chromium.b", "other").unwrap(),
        ["other"]
    );
    assert_eq!(
        removed_with("else", "").unwrap(),
        ["SingletonCookie", "SingletonSocket"]
    );
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
