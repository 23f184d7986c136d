//! The real binary, started with wrong settings: what it says, and that it does not start.
//! Which of several values counts shows in the one that is refused.

use std::process::{Command, Output};

fn browserd(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_browserd"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    #[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
    command.output().expect("the binary can be started")
}

/// The one line on stderr of a start that is refused.
#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = browserd(arguments, environment);
    let line = String::from_utf8(output.stderr).expect("stderr is UTF-8");
    assert_eq!(output.status.code(), Some(64), "{line}");
    assert_eq!(line.matches('\n').count(), 1, "more than one line: {line}");
    line.trim_end().to_owned()
}

#[test]
fn a_bad_value_is_named_with_its_variable_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("PORT", "abc", "a port from 1 to 65535"),
        ("PORT", "70000", "a port from 1 to 65535"),
        ("KERNEL_IMAGES_API_PORT", "0", "a port from 1 to 65535"),
        (
            "DEVTOOLS_PING_SEC",
            "-1",
            "a number of seconds from 0 to 86400",
        ),
        ("LOG_CDP_MESSAGES", "perhaps", "true or false"),
        (
            "LISTEN_ADDRESS",
            "here",
            "an IP address such as 0.0.0.0, 127.0.0.1 or ::",
        ),
        ("LOG_FORMAT", "xml", "auto, text or json"),
        ("INPUT_BACKEND", "wayland", "auto, x11 or xdotool"),
        ("NO_DISPLAY", "maybe", "true or false"),
    ] {
        let line = format!("browserd: {name}={value} cannot be used: it takes {allowed}");
        assert_eq!(refused(&["serve"], &[(name, value)]), line);
    }
    for (name, value) in [
        ("DEVTOOLS_UPSTREAM", "ftp://127.0.0.1:9"),
        ("DEVTOOLS_UPSTREAM", "wss://127.0.0.1:9/devtools/browser/a"),
        ("ALLOWED_ORIGINS", "app.example.com"),
        ("ALLOWED_HOSTS", "a.example:80"),
        ("LOG_LEVEL", "loud"),
    ] {
        let line = refused(&["serve"], &[(name, value)]);
        assert!(
            line.starts_with(&format!("browserd: {name}={value} cannot be used")),
            "{line}"
        );
    }
    let line = refused(&["chromium"], &[("WINDOW_MANAGER", "openbox")]);
    assert_eq!(
        line,
        "browserd: WINDOW_MANAGER=openbox cannot be used: it takes true or false"
    );
    let line = refused(&["chromium"], &[("WIDTH", "abc")]);
    assert_eq!(
        line,
        "browserd: WIDTH=abc cannot be used: it takes a number of pixels from 320 to 3840"
    );
}

#[test]
fn a_flag_counts_before_the_variable_and_the_variable_before_the_old_prefix() {
    let old = ("KERNEL_IMAGES_API_PORT", "old");
    let plain = ("PORT", "plain");
    assert!(refused(&["serve"], &[old]).starts_with("browserd: KERNEL_IMAGES_API_PORT=old "));
    assert!(refused(&["serve"], &[plain, old]).starts_with("browserd: PORT=plain "));
    assert!(refused(&["serve", "--port", "flag"], &[plain]).starts_with("browserd: --port=flag "));
    assert!(refused(&["serve", "--port=flag"], &[]).starts_with("browserd: --port=flag "));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let environment = [("PORT", ""), ("KERNEL_IMAGES_API_PORT", "old")];
    assert!(refused(&["serve"], &environment).starts_with("browserd: KERNEL_IMAGES_API_PORT=old "));
    let environment = [("PORT", ""), ("METRICS_PORT", "bad")];
    assert!(refused(&["serve"], &environment).starts_with("browserd: METRICS_PORT=bad "));
}

#[test]
fn lists_are_split_at_commas() {
    let line = refused(
        &["serve"],
        &[("ALLOWED_HOSTS", "a.example, *.b.example,c.example:1")],
    );
    assert!(
        line.starts_with("browserd: ALLOWED_HOSTS=c.example:1 "),
        "{line}"
    );
}

#[test]
fn help_lists_every_setting_and_is_no_failure() {
    let output = browserd(&["--help"], &[]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("help is UTF-8");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for variable in [
        "PORT",
        "ALLOWED_HOSTS",
        "DEVTOOLS_UPSTREAM",
        "CHROMIUM_FLAGS",
        "INPUT_BACKEND",
        "NO_DISPLAY",
        "WIDTH",
    ] {
        assert!(
            text.contains(&format!("[env: {variable}=")),
            "{variable}: {text}"
        );
    }
    assert!(
        !text.contains('\u{1b}'),
        "colours outside a terminal: {text}"
    );
}

#[test]
fn a_port_in_use_stops_the_start_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound port").port().to_string();
    let environment = [
        ("LISTEN_ADDRESS", "127.0.0.1"),
        ("PORT", port.as_str()),
        ("METRICS_PORT", "1"),
    ];
    let output = browserd(&["serve"], &environment);
    let line = String::from_utf8(output.stderr).expect("stderr is UTF-8");
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("browserd: cannot listen on 127.0.0.1:{port} (PORT): ");
    assert!(line.starts_with(&expected), "{line}");
    assert!(line.contains("in use"), "{line}");
}
