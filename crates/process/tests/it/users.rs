//! Commands that run as somebody else.

use browserd_process::{Error, Identity, Program, Size};
use tokio::time::timeout;

use super::support::*;

fn as_user(user: &str, program: Program) -> Program {
    program.identity(Identity::User(user.to_owned()))
}

const IDS: &str = "id -u; id -g; id -G";

fn privileged() -> bool {
    // The user of this process owns its entry.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

async fn ids(user: &str) -> Vec<String> {
    let outcome = running().exec(as_user(user, sh(IDS))).await.unwrap();
    stdout(&outcome).lines().map(ToOwned::to_owned).collect()
}

async fn expected(user: &str) -> Vec<String> {
    let script = format!("id -u {user}; id -g {user}; id -G {user}");
    let outcome = running().exec(sh(&script)).await.unwrap();
    stdout(&outcome).lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn by_name_with_its_groups() {
    if privileged() {
        for user in ["nobody", "daemon", "root"] {
            assert_eq!(ids(user).await, expected(user).await, "{user}");
        }
    } else {
        let refused = running().exec(as_user("nobody", sh(IDS))).await;
        assert!(
            matches!(refused, Err(Error::SwitchUser { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn by_number() {
    if !privileged() {
        return;
    }
    let nobody = expected("nobody").await;
    assert_eq!(ids(&nobody[0]).await, nobody);
    assert_eq!(ids("61234").await, ["61234", "61234", "61234"]);
    assert_eq!(ids("61234:1").await, ["61234", "1", "1"]);
}

#[tokio::test]
async fn as_root_is_user_0() {
    let request = sh(IDS).identity(Identity::Root);
    let outcome = running().exec(request).await;
    if privileged() {
        assert!(stdout(&outcome.unwrap()).starts_with("0\n0\n"));
    } else {
        assert!(
            matches!(outcome, Err(Error::SwitchUser { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn brings_the_home_of_the_user_but_own_variables_win() {
    if !privileged() {
        return;
    }
    let script = "echo $HOME $USER $LOGNAME";
    let home = stdout(
        &running()
            .exec(sh("getent passwd daemon | cut -d: -f6"))
            .await
            .unwrap(),
    );
    let outcome = running().exec(as_user("daemon", sh(script))).await.unwrap();
    assert_eq!(stdout(&outcome), format!("{} daemon daemon\n", home.trim()));
    let request = as_user("daemon", sh(script)).env(env(&[("HOME", "/x")]));
    assert_eq!(
        stdout(&running().exec(request).await.unwrap()),
        "/x daemon daemon\n"
    );
}

/// The switch is irrevocable: no saved id to go back to, and no privilege left.
#[tokio::test]
async fn leaves_no_privilege() {
    if !privileged() {
        return;
    }
    let script = "grep -E '^(Uid|Gid|CapPrm|CapEff):' /proc/self/status";
    let outcome = running()
        .exec(as_user("61234:61235", sh(script)))
        .await
        .unwrap();
    let status = stdout(&outcome);
    assert!(
        status.contains("Uid:\t61234\t61234\t61234\t61234\n"),
        "{status}"
    );
    assert!(
        status.contains("Gid:\t61235\t61235\t61235\t61235\n"),
        "{status}"
    );
    assert_eq!(
        status.matches("\t0000000000000000\n").count(),
        2,
        "{status}"
    );
}

#[tokio::test]
async fn owns_its_terminal() {
    if !privileged() {
        return;
    }
    let handle = running();
    let script = "stat -c %u $(tty); echo x > $(tty)";
    let process = handle
        .spawn(as_user("61234", sh(script)), Some(Size::default()))
        .await
        .unwrap();
    let all = timeout(PATIENCE, read_to_end(&mut from_start(&process)))
        .await
        .unwrap();
    assert_eq!(text(&all.stdout), "61234\r\nx\r\n");
    assert_eq!(ended(&process).await, 0);
}

/// A user may not enter a directory that only the daemon may enter.
#[tokio::test]
async fn the_directory_is_entered_as_the_user() {
    if !privileged() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), closed).unwrap();
    let request = as_user("nobody", sh("pwd")).cwd(directory.path());
    let refused = running().exec(request).await;
    assert!(matches!(refused, Err(Error::Cwd { .. })), "{refused:?}");
}

#[tokio::test]
async fn one_that_is_unknown() {
    let refused = running().exec(as_user("no-such-user", sh(IDS))).await;
    assert!(
        matches!(refused, Err(Error::UnknownUser { .. })),
        "{refused:?}"
    );
    for bad in ["", "0:", "root:root", "4294967295"] {
        invalid(running().exec(as_user(bad, sh(IDS))).await, "as_user");
    }
}

/// Without the privilege, only the daemon's own user can be asked for.
#[tokio::test]
async fn without_privilege() {
    if !privileged() {
        return;
    }
    // This test's program again, as an ordinary user.
    let (_directory, copy) = copy_of_itself();
    let tests = [
        "--exact",
        "--ignored",
        "it::users::refused_without_privilege",
    ];
    let request = Program::new(copy).args(tests);
    let outcome = running().exec(as_user("61234", request)).await.unwrap();
    let output = stdout(&outcome);
    assert!(
        output.contains("1 passed"),
        "{output}{}",
        text(&outcome.stderr.bytes)
    );
}

#[tokio::test]
#[ignore = "run by without_privilege, as an ordinary user"]
async fn refused_without_privilege() {
    assert!(!privileged());
    for user in ["root", "0", "61235", "61234:0"] {
        let refused = running().exec(as_user(user, sh(IDS))).await;
        assert!(
            matches!(refused, Err(Error::SwitchUser { .. })),
            "{user}: {refused:?}"
        );
    }
    assert_eq!(ids("61234").await[..2], ["61234", "61234"]);
    let root = sh(IDS).identity(Identity::Root);
    assert!(matches!(
        running().exec(root).await,
        Err(Error::SwitchUser { .. })
    ));
}
