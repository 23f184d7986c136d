//! `browserd init` as the first process of a PID namespace, with a real daemon and a real
//! supervisord whose programs are small shell scripts.
//!
//! Making a namespace takes root; without it the tests say so and do nothing.

mod machine;

use std::{fs, io::Write as _, net::TcpListener, process::Command};

use machine::Machine;
use nix::sys::signal::Signal;

/// A program that says hello, and good-bye when it is told to end: into a file and aloud.
const POLITE: &str = "trap 'echo bye >$0.bye; echo bye; exit 0' TERM; echo hello; while :; do sleep 1000 & wait; done";

/// Whether namespaces can be made here; says so when they cannot.
fn possible() -> bool {
    #[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
    let tried = Command::new("unshare")
        .args([
            "--pid",
            "--mount",
            "--uts",
            "--mount-proc",
            "--fork",
            "true",
        ])
        .output();
    let possible = tried.is_ok_and(|output| output.status.success());
    if !possible {
        // Not through a macro, whose text is kept back when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "ATTENTION: NOT TESTED: browserd init needs root to make a PID namespace"
        );
    }
    possible
}

#[test]
fn the_daemon_answers_while_the_services_do_not_come_up() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    machine.services("exec sleep 1000");
    let mut machine = machine.start();
    machine.wait_for_health();
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn services_come_up_and_are_heard() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    machine.program("polite", POLITE);
    // What an earlier run said is not said again.
    fs::write(machine.log_dir().join("polite"), "of old\n").unwrap();
    let mut machine = machine.start();
    machine.wait_for("polite | hello");
    machine.wait_for_health();
    assert_eq!(machine.stop(), Some(0));
    let text = machine.text();
    assert!(!text.contains("of old"), "{text}");
    // In this order: the daemon is told first, and the last words are not lost.
    let place = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("no {part}: {text}"))
    };
    assert!(place("shutting down") < place("polite | bye"), "{text}");
    assert!(place("init |") < place("polite | hello"), "{text}");
}

#[test]
fn orphans_are_reaped() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    // The inner shell's parent ends first, so that it is the first process' child when it ends.
    machine.program(
        "parent",
        "sh -c '(sleep 0.2; echo orphan $(cat /proc/self/stat) >&2) & exit 0'; exec sleep 1000",
    );
    let mut machine = machine.start();
    machine.wait_for("parent | orphan");
    machine.wait_until("no zombie is left", Machine::has_no_zombie);
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn a_daemon_that_is_killed_comes_again() {
    if !possible() {
        return;
    }
    let mut machine = Machine::new().start();
    machine.wait_for("serving");
    machine.kill_child("browserd", Signal::SIGKILL);
    machine.wait_for("was killed");
    machine.wait_until("it serves again", |machine| {
        machine.text().matches("serving").count() == 2
    });
    machine.wait_for_health();
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn a_port_in_use_is_told_and_waited_for() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    let taken = TcpListener::bind(("127.0.0.1", machine.port())).unwrap();
    let mut machine = machine.start();
    machine.wait_for("in use");
    machine.wait_for("status=1");
    drop(taken);
    machine.wait_for_health();
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn a_supervisord_that_is_killed_takes_its_programs_along() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    machine.program("polite", POLITE);
    let said_bye = machine.program_file("polite").with_extension("bye");
    let mut machine = machine.start();
    machine.wait_for("polite | hello");
    machine.kill_child("supervisord", Signal::SIGKILL);
    machine.wait_until("the program was asked to end", |_| said_bye.exists());
    machine.wait_until("the program runs again", |machine| {
        machine.text().matches("polite | hello").count() == 2
    });
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn what_does_not_end_is_killed_in_time() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    machine.program("deaf", "trap '' TERM; echo deaf; while :; do sleep 1; done");
    let mut machine = machine.start();
    machine.wait_for("deaf | deaf");
    // Nothing but the kill ends it.
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn the_hold_is_taken_first_and_let_go_at_the_end() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    let file = machine.hold_file();
    fs::write(&file, "").unwrap();
    let mut machine = machine.start();
    // Chromium is missing here, so the machine is not ready and stays held.
    machine.wait_for_health();
    assert_eq!(fs::read_to_string(&file).unwrap(), "+");
    assert_eq!(machine.stop(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "-");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    if !possible() {
        return;
    }
    let machine = Machine::new();
    let log_dir = machine.log_dir();
    fs::remove_dir(&log_dir).unwrap();
    fs::write(&log_dir, "").unwrap();
    let mut machine = machine.start();
    machine.wait_for("cannot write in a folder");
    machine.wait_for_health();
    assert_eq!(machine.stop(), Some(0));
}

#[test]
fn wrong_settings_of_what_it_runs_stop_it_at_once() {
    for (name, value) in [("WIDTH", "abc"), ("PORT", "0")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_browserd"));
        command.arg("init").env_clear().env(name, value);
        #[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{text}");
        let start = format!("browserd: {name}={value} cannot be used");
        assert!(text.starts_with(&start), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
