//! A daemon whose session began outside its PID namespace, as under `docker exec` or a bare
//! `unshare --pid`: its session has no number there, and `/proc` shows 0.

use std::io::Write as _;
use std::process::Command;

/// Tests that go wrong when an orphan is taken for a process of the daemon's own, or the reverse.
const TELLING: [&str; 3] = [
    "it::exec::a_background_process_does_not_hold_the_answer_up_and_lives_on",
    "it::groups::a_timeout_leaves_no_process_and_keeps_the_output",
    "it::groups::what_a_process_has_left_behind_can_be_killed",
];

#[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
fn in_a_namespace(program: &str, args: &[&str]) -> std::process::Output {
    Command::new("unshare")
        .args(["--map-root-user", "--pid", "--mount-proc", "--fork"])
        .arg("--kill-child")
        .arg(program)
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn a_session_that_began_outside() {
    if !in_a_namespace("true", &[]).status.success() {
        // Not through a macro, whose text is kept back when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "ATTENTION: NOT TESTED: a foreign session needs PID namespaces"
        );
        return;
    }
    let session = in_a_namespace("cut", &["-d", " ", "-f", "6", "/proc/self/stat"]);
    assert_eq!(session.stdout, b"0\n", "the session is not foreign");

    let itself = std::env::current_exe().unwrap();
    let mut args = vec!["--exact"];
    args.extend(TELLING);
    let run = in_a_namespace(itself.to_str().unwrap(), &args);
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
    assert!(said.contains("3 passed"), "{said}");
}
