//! Commands that cannot be run, and what is said about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use browserd_process::{Error, Offsets, Program, Signal, Size};
use uuid::Uuid;

use super::support::*;

#[tokio::test]
async fn a_command_that_is_not_there() {
    let handle = running();
    for command in ["no-such-command", "/no/such/command", "/etc/passwd/x"] {
        match handle.exec(Program::new(command)).await {
            Err(Error::NotFound { command: named, .. }) => assert_eq!(named, command),
            other => panic!("{other:?}"),
        }
    }
}

/// Many clients take a whole line for one field.
#[tokio::test]
async fn a_whole_line_as_command_is_told_of_args() {
    let handle = running();
    let told = handle.exec(Program::new("ls -la")).await.unwrap_err();
    assert!(told.to_string().contains("`args`"), "{told}");
    let plain = handle.exec(Program::new("no-such-command")).await;
    let plain = plain.unwrap_err().to_string();
    assert!(!plain.contains("`args`"), "{plain}");
}

#[tokio::test]
async fn a_command_that_is_not_executable() {
    let handle = running();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str, mode: u32| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let commands = [
        file("plain", "hello", 0o644),
        file("no-header", "echo hi", 0o755),
        file("no-interpreter", "#!/no/such/interpreter\n", 0o755),
        directory.path().display().to_string(),
    ];
    for command in commands {
        let refused = handle.exec(Program::new(&command)).await;
        assert!(
            matches!(refused, Err(Error::NotExecutable { .. })),
            "{command}: {refused:?}"
        );
        assert!(refused.unwrap_err().to_string().contains(&command));
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_entered() {
    let handle = running();
    for cwd in ["/no/such/directory", "/etc/passwd"] {
        let request = Program::new("true").cwd(cwd);
        let refused = handle.exec(request).await;
        assert!(matches!(refused, Err(Error::Cwd { .. })), "{refused:?}");
        assert!(refused.unwrap_err().to_string().contains(cwd));
    }
}

#[tokio::test]
async fn values_that_cannot_be_used() {
    let handle = running();
    invalid(handle.exec(Program::new("")).await, "command");
    invalid(
        handle.exec(Program::new("echo").args(["a", "\0"])).await,
        "args[1]",
    );
    invalid(
        handle
            .spawn(Program::new("true"), Some(Size { rows: 0, cols: 1 }))
            .await,
        "rows",
    );
    invalid(
        handle
            .spawn(Program::new("true"), Some(Size { rows: 1, cols: 0 }))
            .await,
        "cols",
    );
    let relative = Program::new("true").cwd("tmp");
    invalid(handle.exec(relative).await, "cwd");
}

#[tokio::test]
async fn an_environment_that_is_too_large() {
    let handle = running();
    let value = "x".repeat(10_000_000);
    let request = Program::new("true").env(env(&[("BIG", &value)]));
    let refused = handle.exec(request).await;
    assert!(matches!(refused, Err(Error::TooLarge)), "{refused:?}");
}

#[tokio::test]
async fn a_process_that_is_not_there() {
    let handle = running();
    let id = Uuid::new_v4();
    assert!(matches!(handle.get(id), Err(Error::Unknown { id: named }) if named == id));
}

#[tokio::test]
async fn a_process_that_has_exited() {
    let handle = running();
    let process = handle
        .spawn(Program::new("true"), Some(Size::default()))
        .await
        .unwrap();
    ended(&process).await;
    assert!(matches!(
        process.write(b"x", false).await,
        Err(Error::Exited { .. })
    ));
    assert!(matches!(
        process.kill(Signal::INT),
        Err(Error::Exited { .. })
    ));
    assert!(matches!(
        process.kill(Signal::TERM),
        Err(Error::Exited { .. })
    ));
    eventually("the terminal is closed", || {
        matches!(process.resize(Size::default()), Err(Error::Exited { .. }))
    })
    .await;
}

#[tokio::test]
async fn a_process_without_a_terminal() {
    let handle = running();
    let process = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    assert!(matches!(
        process.resize(Size::default()),
        Err(Error::NotATerminal { .. })
    ));
    assert!(matches!(
        process.attach(false),
        Err(Error::NotATerminal { .. })
    ));
    process.kill(Signal::KILL).unwrap();
}

#[tokio::test]
async fn an_offset_behind_the_end() {
    let handle = running();
    let process = handle.spawn(sh("printf abc"), None).await.unwrap();
    ended(&process).await;
    assert!(
        process
            .output(Offsets {
                stdout: 3,
                stderr: 0
            })
            .is_ok()
    );
    for (stdout, stderr) in [(4, 0), (0, 1)] {
        let refused = process.output(Offsets { stdout, stderr });
        assert!(matches!(refused, Err(Error::Ahead { .. })), "{refused:?}");
    }
}
