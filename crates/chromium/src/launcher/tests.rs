//! The port, the environment, the directories and the command line, with real files.

mod processes;

use std::{
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, symlink},
};

use super::*;

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
        ("HOME", "/chosen"),
        ("DISPLAY", ":0"),
        ("XDG_RUNTIME_DIR", "/run/x"),
        ("GOOGLE_API_KEY", "k"),
        ("AUTH_TOKEN", "s"),
        ("AUTH_TOKEN_FILE", "s"),
        ("TLS_KEY", "s"),
        ("KERNEL_IMAGES_API_PORT", "1"),
        ("CHROMIUM_FLAGS", "--x"),
        ("SUPERVISOR_SERVER_URL", "unix:///x"),
        ("MY_PASSWORD", "s"),
        ("github_token", "s"),
        ("WAYLAND_DISPLAY", "wayland-0"),
    ];
    let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let own = own.to_vec();
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
    ] {
        assert_eq!(value(name, &seen).as_deref(), expected, "{name}");
    }
    assert_eq!(value("HOME", &seen).as_deref(), Some("/chosen"));
    assert_eq!(seen.runtime_dir.as_deref(), Some(Path::new("/run/x")));
    assert_eq!(seen.variables.len(), 8, "{:?}", seen.variables);
    seen.forget_runtime_dir();
    assert_eq!(value("XDG_RUNTIME_DIR", &seen), None);

    let without_home = environment::for_chromium(vec![], &account, 7);
    assert_eq!(
        value("HOME", &without_home).map(PathBuf::from),
        account.home
    );
    if nix::unistd::Uid::effective().is_root() {
        // Root's home is not that of the user who is switched to.
        let home = vec![("HOME".into(), "/root".into())];
        let account = Account::choose(false, "nobody").unwrap();
        let seen = environment::for_chromium(home, &account, 7);
        assert_eq!(value("HOME", &seen).map(PathBuf::from), account.home);
    }
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
        window_manager: false,
        browser_ui: true,
        internal_port: 9223,
        environment: vec![],
        log_file: dir.join("log"),
        starts_file: dir.join("starts"),
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
    let screen = Some(Screen {
        width: 800,
        height: 600,
        above: None,
    });
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
    let (line, _) = command_line(
        &Config {
            flags,
            ..config.clone()
        },
        &overlay,
        screen,
        false,
    );
    assert_eq!(line.last().unwrap(), "https://a.example");
    assert!(!line.contains(&"about:blank".to_owned()));
    assert!(line.contains(&"--start-maximized".to_owned()));

    // A window manager makes the window fill the screen.
    let (line, _) = command_line(&config, &overlay, None, false);
    assert!(!line.iter().any(|one| one.starts_with("--window-")));
}

#[test]
fn what_is_the_browsers_own_is_above_the_edge_of_the_screen() {
    let screen = Some(Screen {
        width: 800,
        height: 600,
        above: Some(87),
    });
    let overlay = Overlay { flags: Vec::new() };
    let (line, _) = command_line(&config(Path::new("/x")), &overlay, screen, false);
    for expected in ["--window-position=0,-87", "--window-size=800,687"] {
        assert!(line.iter().any(|one| one == expected), "{line:?}");
    }
}
