//! The merge, the words and the overlay.

use std::{collections::HashSet, fs, path::Path};

use proptest::prelude::*;

use super::*;

fn merged(layers: &[&[&str]]) -> Vec<String> {
    let mut flags = Flags::default();
    for layer in layers {
        flags.lay_over(layer);
    }
    flags.into_arguments()
}

#[test]
fn a_later_flag_replaces_an_earlier_one_of_its_name() {
    assert_eq!(
        merged(&[
            &["--lang=de", "--mute-audio"],
            &["--lang=fr"],
            &["--mute-audio=no"]
        ]),
        ["--lang=fr", "--mute-audio=no"]
    );
    assert_eq!(merged(&[&["--lang=de"], &["--lang"]]), ["--lang"]);
    assert_eq!(merged(&[&["--a=b=c"]]), ["--a=b=c"]);
}

#[test]
fn comma_lists_are_united() {
    assert_eq!(
        merged(&[
            &["--enable-features=A,B", "--load-extension=/x"],
            &["--enable-features=B,,C"],
            &["--load-extension=/y,/x", "--disable-extensions-except=/y"],
        ]),
        [
            "--enable-features=A,B,C",
            "--load-extension=/x,/y",
            "--disable-extensions-except=/y"
        ]
    );
    assert!(merged(&[&["--enable-features=", "--load-extension"]]).is_empty());
}

#[test]
fn the_later_layer_decides_on_which_side_a_feature_stands() {
    assert_eq!(
        merged(&[&["--disable-features=A,B"], &["--enable-features=A:x/1"]]),
        ["--disable-features=B", "--enable-features=A:x/1"]
    );
    assert_eq!(
        merged(&[&["--enable-features=A<T"], &["--disable-features=A"]]),
        ["--disable-features=A"]
    );
    assert_eq!(
        merged(&[&["--enable-features=A:x/1,B"], &["--enable-features=A:x/2"]]),
        ["--enable-features=B,A:x/2"]
    );
}

#[test]
fn what_the_daemon_depends_on_cannot_be_overridden() {
    let screen = Screen {
        width: 1920,
        height: 1080,
        above: None,
    };
    let mut flags = base(Path::new("/p"), 9223, Some(screen));
    let given = [
        "--remote-debugging-port=1",
        "-remote-debugging-port=1",
        " --user-data-dir=/elsewhere",
        "--remote-debugging-pipe",
        "--remote-debugging-address=0.0.0.0",
        "--temp-profile",
        "--",
    ];
    let dropped = flags.lay_over(&given);
    assert_eq!(dropped.len(), given.len());
    assert_eq!(flags.value("remote-debugging-port"), Some("9223"));
    assert_eq!(flags.value("user-data-dir"), Some("/p"));
    assert!(!flags.has("remote-debugging-pipe") && !flags.has("remote-debugging-address"));
}

#[test]
fn start_urls_are_kept_in_order_behind_the_flags() {
    assert_eq!(
        merged(&[
            &["https://a.example/?a=--b", "--lang=de"],
            &["-", "about:blank", ""]
        ]),
        ["--lang=de", "https://a.example/?a=--b", "-", "about:blank"]
    );
}

#[test]
fn words_are_quoted_as_in_a_shell() {
    let split = words(r#"--user-agent="A B" '--x=$HOME' --y=\"q\"   "#).unwrap();
    assert_eq!(split, ["--user-agent=A B", "--x=$HOME", "--y=\"q\""]);
    assert!(words("--x='open").is_err());
    assert!(words("").unwrap().is_empty());
}

#[test]
fn the_overlay_file_is_optional_and_strict() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flags");
    assert_eq!(Overlay::read(&path).unwrap(), Overlay::default());
    fs::write(&path, " \n").unwrap();
    assert_eq!(Overlay::read(&path).unwrap(), Overlay::default());
    fs::write(&path, r#"{"flags":["--a=b","--c"]}"#).unwrap();
    assert_eq!(Overlay::read(&path).unwrap().flags, ["--a=b", "--c"]);
    for (text, part) in [
        ("[\"--a\"]", "is not {\"flags\""),
        ("{\"flags\":[1]}", "is not {\"flags\""),
        ("{\"flags\":[\"--a\"", "is not {\"flags\""),
        ("{\"flags\":[],\"x\":1}", "is not {\"flags\""),
        ("{\"flags\":[\"about:blank\"]}", "does not start with"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Overlay::read(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    fs::write(&path, vec![b' '; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(
        Overlay::read(&path),
        Err(OverlayError::TooLarge(_))
    ));
    assert!(matches!(
        Overlay::read(dir.path()),
        Err(OverlayError::Read { .. })
    ));
}

fn name_of(argument: &str) -> Option<&str> {
    let bare = argument.strip_prefix("--")?;
    Some(bare.split_once('=').map_or(bare, |(name, _)| name))
}

fn argument() -> impl Strategy<Value = String> {
    let names = [PROTECTED, LISTS, &["lang", "mute-audio", "a", "b"]].concat();
    let flag = (
        prop::sample::select(vec!["-", "--", " --"]),
        prop::sample::select(names),
    );
    let value = prop::option::of("[A-E,:<*/=]{0,8}");
    prop_oneof![
        (flag, value).prop_map(|((dashes, name), value)| match value {
            Some(value) => format!("{dashes}{name}={value}"),
            None => format!("{dashes}{name}"),
        }),
        "[a-z:/-]{0,6}",
    ]
}

proptest! {
    #[test]
    fn each_name_comes_once_and_the_protected_ones_stay(
        layers in prop::collection::vec(prop::collection::vec(argument(), 0..8), 0..4),
    ) {
        let mut flags = base(Path::new("/p"), 9223, Some(Screen { width: 640, height: 480, above: None }));
        for layer in &layers {
            flags.lay_over(layer);
        }
        let arguments = flags.into_arguments();
        let names: Vec<&str> = arguments.iter().filter_map(|one| name_of(one)).collect();
        prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        prop_assert!(arguments.contains(&"--remote-debugging-port=9223".to_owned()));
        prop_assert!(arguments.contains(&"--user-data-dir=/p".to_owned()));
        prop_assert!(!names.contains(&"remote-debugging-pipe"));
        // A command line laid over nothing stays what it is, but for what may not be set.
        let mut again = Flags::default();
        again.lay_over(&arguments);
        let mut expected = arguments.clone();
        expected.retain(|one| !name_of(one).is_some_and(|name| PROTECTED.contains(&name)));
        prop_assert_eq!(again.into_arguments(), expected);
    }

    #[test]
    fn no_feature_is_both_on_and_off(
        layers in prop::collection::vec(prop::collection::vec(argument(), 0..8), 0..4),
    ) {
        let mut flags = Flags::default();
        for layer in &layers {
            flags.lay_over(layer);
        }
        let names = |list: &str| -> Vec<String> {
            flags.list(list).iter().map(|item| feature(item).to_owned()).collect()
        };
        for (on, off) in OPPOSITES {
            let (on, off) = (names(on), names(off));
            prop_assert_eq!(on.iter().collect::<HashSet<_>>().len(), on.len());
            prop_assert!(on.iter().all(|name| !off.contains(name)));
        }
    }

    #[test]
    fn the_last_value_of_a_plain_flag_counts(values in prop::collection::vec("[a-z]{0,3}", 1..6)) {
        let mut flags = Flags::default();
        for value in &values {
            flags.lay_over(&[format!("--lang={value}")]);
        }
        prop_assert_eq!(flags.value("lang"), values.last().map(String::as_str));
    }
}
