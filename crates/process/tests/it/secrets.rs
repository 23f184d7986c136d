//! What a command can find out of the daemon's secrets.

#![expect(
    clippy::disallowed_methods,
    reason = "a test hands its own environment on, and is told its size by it"
)]

use browserd_process::{Config, Environment, Program, Secrets, forbid_inspection};

use super::support::*;

const SECRET: &str = "correct-horse-battery-staple";

/// This test's program again, as a daemon with secrets in its environment.
#[tokio::test]
async fn are_in_no_environment_that_a_command_can_read() {
    let tests = [
        "--exact",
        "--ignored",
        "--nocapture",
        "it::secrets::as_a_daemon",
    ];
    let request = Program::new(std::env::current_exe().unwrap().display().to_string())
        .args(tests)
        .env(env(&[
            ("AUTH_TOKEN", SECRET),
            ("TLS_KEY", SECRET),
            ("COPY", SECRET),
            ("PLAIN", "1"),
        ]));
    let outcome = running().exec(request).await.unwrap();
    let output = stdout(&outcome);
    assert!(
        output.contains("1 passed"),
        "{output}{}",
        text(&outcome.stderr.bytes)
    );
}

#[tokio::test]
#[ignore = "run by are_in_no_environment_that_a_command_can_read"]
async fn as_a_daemon() {
    let secrets = Secrets::new().value(SECRET);
    let environment = Environment::without(&secrets, std::env::vars_os());
    secrets.hide().unwrap();
    let handle = running_with(Config::new(environment));

    let variables = stdout(&handle.exec(Program::new("env")).await.unwrap());
    assert!(variables.contains("PLAIN=1"), "{variables}");
    assert!(!variables.contains(SECRET), "{variables}");

    // The child's own block, and the daemon's, read as the daemon's own user.
    let script = "tr '\\0' '\\n' < /proc/$$/environ; tr '\\0' '\\n' < /proc/$PPID/environ";
    let blocks = handle.exec(sh(script)).await.unwrap();
    assert_eq!(blocks.exit.code(), 0, "{}", text(&blocks.stderr.bytes));
    let blocks = stdout(&blocks);
    assert_eq!(blocks.matches("PLAIN=1").count(), 2, "{blocks}");
    assert!(!blocks.contains(SECRET), "{blocks}");
    // What is hidden is hidden from this process too; it has read it before.
    assert!(!std::env::vars_os().any(|(_, value)| value == SECRET));
}

/// Another process of the same user; root may read everything, and says so in the docs.
#[tokio::test]
async fn are_in_no_memory_that_an_ordinary_user_can_read() {
    let (_directory, copy) = copy_of_itself();
    let tests = ["--exact", "--ignored", "it::secrets::as_an_ordinary_daemon"];
    let request = Program::new(copy)
        .args(tests)
        .identity(browserd_process::Identity::User("61234".to_owned()));
    match running().exec(request).await {
        Ok(outcome) => {
            let output = stdout(&outcome);
            assert!(
                output.contains("1 passed"),
                "{output}{}",
                text(&outcome.stderr.bytes)
            );
        }
        // Only root can become somebody else.
        Err(browserd_process::Error::SwitchUser { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
#[ignore = "run by are_in_no_memory_that_an_ordinary_user_can_read"]
async fn as_an_ordinary_daemon() {
    let handle = running();
    let script = "cat /proc/$PPID/environ > /dev/null && cat /proc/$PPID/maps > /dev/null";
    assert_eq!(handle.exec(sh(script)).await.unwrap().exit.code(), 0);
    forbid_inspection().unwrap();
    for file in ["environ", "maps", "mem", "fd/0"] {
        let outcome = handle
            .exec(sh(&format!("cat /proc/$PPID/{file}")))
            .await
            .unwrap();
        assert_ne!(outcome.exit.code(), 0, "{file}");
        assert!(
            text(&outcome.stderr.bytes).contains("ermission denied"),
            "{file}: {outcome:?}"
        );
    }
}
