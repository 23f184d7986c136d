//! Texts arrive as they were sent, in any layout.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use browserd_display::{
    Error,
    input::{Action, Backend, Type},
};
use tokio::process::Command;

use crate::{
    stage::{Stage, press, set_layout, text},
    xvfb::eventually,
};

/// A bit of everything: ASCII, Latin-1, CJK, emoji of several code points, right to left,
/// characters of all planes, line ends.
fn mixed() -> String {
    let ascii: String = (' '..='~').collect();
    let latin: String = ('\u{a0}'..='\u{ff}').collect();
    let cjk: String = ('一'..'丿').chain('ぁ'..'ん').collect();
    let emoji = "😀👩\u{200d}👩\u{200d}👧🏳\u{fe0f}\u{200d}🌈🎉";
    let others = "שלום مرحبا Привет Ελλάδα €\u{10fffd}\u{2f800}";
    format!("{ascii}\n{latin}\n{cjk}{emoji}\n\n{others}aAa漢a\n")
}

/// The keys that give something else than before.
fn changes(stage: &Stage, before: &[Vec<u32>]) -> Vec<(usize, Vec<u32>)> {
    let now = stage.recorder.keymap().into_iter().zip(before).enumerate();
    now.filter(|(_, (now, before))| now != *before)
        .map(|(index, (now, _))| (index + 8, now))
        .collect()
}

#[tokio::test]
async fn any_text_arrives_in_any_layout() {
    for layout in ["us", "de", "fr"] {
        let stage = Stage::with(Backend::X11, layout, true).await;
        let before = stage.recorder.keymap();
        for _ in 0..3 {
            stage.input.type_text(text(&mixed())).await.unwrap();
            assert_eq!(stage.recorder.text(), mixed(), "{layout}");
        }
        assert_eq!(changes(&stage, &before), [], "{layout}");
        assert_eq!(stage.recorder.down(), (vec![], 0));
    }
}

#[tokio::test]
async fn a_client_that_answers_no_pings_gets_time_to_read() {
    let stage = Stage::with(Backend::X11, "de", false).await;
    let before = stage.recorder.keymap();
    let known: String = (' '..='~').filter(|c| !"^`".contains(*c)).collect();
    stage.input.type_text(text(&known)).await.unwrap();
    assert_eq!(stage.recorder.text(), known);
    // Before the press, and again before the key is taken back. Whether it was enough cannot
    // be known, here as there.
    let started = Instant::now();
    stage.input.type_text(text("漢")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(changes(&stage, &before), []);
    // So it does after a change of the layout.
    stage.input.type_text(text("y")).await.unwrap();
    set_layout(&stage.xvfb, "us").await;
    let started = Instant::now();
    stage.input.type_text(text("z")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn random_texts_arrive_whole() {
    let mut rng = fastrand::Rng::with_seed(5);
    let stage = Stage::new(Backend::X11).await;
    for round in 0..5 {
        let sent: String = (0..2_000)
            .map(|_| {
                loop {
                    let character = match rng.u8(0..6) {
                        0 => rng.char(' '..='~'),
                        1 => rng.char('\u{a0}'..='\u{ff}'),
                        2 => rng.char('\u{4e00}'..='\u{9fff}'),
                        3 => rng.char('\u{1f300}'..='\u{1faff}'),
                        4 => rng.char('\u{5d0}'..='\u{5ea}'),
                        _ => '\n',
                    };
                    if !character.is_control() || character == '\n' {
                        break character;
                    }
                }
            })
            .collect();
        stage.input.type_text(text(&sent)).await.unwrap();
        assert!(stage.recorder.text() == sent, "round {round} differs");
    }
}

#[tokio::test]
async fn a_layout_that_changes_in_between_is_taken_up() {
    let stage = Stage::new(Backend::X11).await;
    for layout in ["us", "de", "fr", "us"] {
        set_layout(&stage.xvfb, layout).await;
        stage.input.type_text(text("Zyq{]ß漢")).await.unwrap();
        assert_eq!(stage.recorder.text(), "Zyq{]ß漢", "{layout}");
    }
}

#[tokio::test]
async fn caps_lock_changes_no_text_and_stays_on() {
    let stage = Stage::new(Backend::X11).await;
    stage.input.press(press(&["Caps_Lock"])).await.unwrap();
    stage.recorder.seen();
    assert_eq!(stage.recorder.down(), (vec![], 2), "it is on");
    stage.input.type_text(text("aBcé漢ж")).await.unwrap();
    assert_eq!(stage.recorder.text(), "aBcé漢ж");
    assert_eq!(stage.recorder.down(), (vec![], 2), "it is still on");
}

async fn xdotool(stage: &Stage, arguments: &[&str]) {
    let mut command = Command::new("xdotool");
    command
        .args(arguments)
        .env("DISPLAY", stage.xvfb.name())
        .stdin(Stdio::null());
    assert!(command.status().await.unwrap().success());
}

#[tokio::test]
async fn keys_that_others_hold_change_no_text() {
    let stage = Stage::new(Backend::X11).await;
    for key in [
        "Shift_L",
        "Control_R",
        "Alt_L",
        "Super_L",
        "ISO_Level3_Shift",
        "q",
    ] {
        xdotool(&stage, &["keydown", key]).await;
        stage.recorder.seen();
        stage.input.type_text(text("abC 1é漢q")).await.unwrap();
        assert_eq!(stage.recorder.text(), "abC 1é漢q", "{key}");
        assert_eq!(stage.recorder.down(), (vec![], 0), "{key}");
        // Their release comes late, or never.
        xdotool(&stage, &["keyup", key]).await;
    }
}

#[tokio::test]
async fn a_press_is_free_of_keys_that_others_hold() {
    let stage = Stage::new(Backend::X11).await;
    xdotool(&stage, &["keydown", "Control_L"]).await;
    stage.recorder.seen();
    stage.input.press(press(&["a"])).await.unwrap();
    assert_eq!(stage.recorder.text(), "a");
    assert_eq!(stage.recorder.down(), (vec![], 0));
}

#[tokio::test]
async fn locked_and_latched_modifiers_change_no_text() {
    let stage = Stage::new(Backend::X11).await;
    for lock in [1, 4, 8, 64] {
        stage.recorder.lock(lock);
        assert_eq!(stage.recorder.down(), (vec![], lock), "it is locked");
        stage.input.type_text(text("aBc1é")).await.unwrap();
        assert_eq!(stage.recorder.text(), "aBc1é", "{lock}");
        assert_eq!(stage.recorder.down(), (vec![], lock), "it still is");
    }
    stage.recorder.lock(0);
    stage.recorder.latch(1);
    assert_eq!(stage.recorder.down(), (vec![], 1), "Shift is latched");
    stage.input.type_text(text("aBc1é")).await.unwrap();
    assert_eq!(stage.recorder.text(), "aBc1é");
}

#[tokio::test]
async fn a_keyboard_that_changes_under_a_text_is_an_error() {
    let stage = Stage::new(Backend::X11).await;
    let slow = Type {
        delay_ms: 20,
        ..text(&"a".repeat(100))
    };
    let typing = stage.input.type_text(slow);
    let changing = async {
        let typed = async || !stage.recorder.seen().is_empty();
        eventually("the first key", typed).await;
        set_layout(&stage.xvfb, "fr").await;
    };
    let (typed, ()) = tokio::join!(typing, changing);
    assert!(matches!(typed, Err(Error::Disturbed)), "{typed:?}");
}

#[tokio::test]
async fn a_smooth_text_with_typos_is_the_text_in_the_end() {
    let stage = Stage::new(Backend::X11).await;
    let smooth = Type {
        text: "The quick brown fox, äöü 漢字.".to_owned(),
        delay_ms: 2,
        smooth: true,
        typo_chance: 0.1,
    };
    for _ in 0..5 {
        stage.input.type_text(smooth.clone()).await.unwrap();
        assert_eq!(stage.recorder.text(), smooth.text);
    }
}

#[tokio::test]
async fn a_key_that_the_layout_lacks_is_lent_for_a_press() {
    let stage = Stage::new(Backend::X11).await;
    let before = stage.recorder.keymap();
    stage.input.press(press(&["U6F22", "ж"])).await.unwrap();
    let batch = vec![
        Action::Press(press(&["é"])),
        Action::Type(text("漢")),
        Action::Press(press(&["é"])),
    ];
    stage.input.batch(batch).await.unwrap();
    assert_eq!(stage.recorder.text(), "漢жé漢é");
    assert_eq!(changes(&stage, &before), []);
}

#[tokio::test]
async fn the_second_group_of_a_layout_is_typed_in() {
    let stage = Stage::new(Backend::X11).await;
    let mut command = Command::new("setxkbmap");
    command.args(["-display", &stage.xvfb.name(), "us,ru"]);
    assert!(
        command
            .stdin(Stdio::null())
            .status()
            .await
            .unwrap()
            .success()
    );
    stage.input.type_text(text("привет abc")).await.unwrap();
    let typed = stage.recorder.text();
    assert_eq!(typed, "привет abc");
}
