//! Callers that go away, and X servers that do.

use std::time::Duration;

use browserd_display::{
    Error,
    input::{Action, Backend, Click, ClickType, Drag, Press, Type},
};

use crate::{
    recorder::{Recorder, Seen},
    stage::{LONG, Stage, click, drag, jump, press, strings, text},
    xvfb::eventually,
};

const MILLIS: u64 = 20_000;

/// Goes away as soon as something is down, and waits until nothing is.
async fn abort(way: Backend, what: &str, actions: Vec<Action>) {
    let stage = Stage::new(way).await;
    let down = || stage.recorder.down() != (vec![], 0);
    tokio::select! {
        done = stage.input.batch(actions) => panic!("{what}: ended by itself: {done:?}"),
        () = eventually("keys and buttons", async || down()) => {}
    }
    eventually("keys and buttons", async || !down()).await;
    // And the next one is served.
    stage.input.move_pointer(jump(1, 1)).await.unwrap();
    assert!(!down(), "{what}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_down() {
    for way in [Backend::X11, Backend::Xdotool] {
        let slow = Drag {
            step_delay_ms: MILLIS,
            hold_keys: strings(&["Shift"]),
            ..drag()
        };
        abort(way, "drag", vec![Action::Drag(slow)]).await;
        let waiting = Drag {
            delay_ms: MILLIS,
            smooth: true,
            ..drag()
        };
        abort(
            way,
            "drag before its first move",
            vec![Action::Drag(waiting)],
        )
        .await;
        let held = Press {
            duration_ms: MILLIS,
            hold_keys: strings(&["alt"]),
            ..press(&["ctrl+x", "F5"])
        };
        abort(way, "held keys", vec![Action::Press(held)]).await;
        let down = Click {
            click_type: ClickType::Down,
            ..click()
        };
        let sleep = Action::Sleep {
            duration_ms: MILLIS,
        };
        abort(way, "batch", vec![Action::Click(down), sleep]).await;
    }
    let slow = Type {
        delay_ms: MILLIS,
        ..text("AAAA")
    };
    abort(Backend::X11, "typing", vec![Action::Type(slow)]).await;
}

#[tokio::test]
async fn lent_keys_are_taken_back_when_the_caller_goes_away() {
    let stage = Stage::new(Backend::X11).await;
    let before = stage.recorder.keymap();
    let slow = Type {
        delay_ms: MILLIS,
        ..text("漢字")
    };
    let lent = || stage.recorder.keymap() != before;
    tokio::select! {
        done = stage.input.type_text(slow) => panic!("ended by itself: {done:?}"),
        () = eventually("keys and buttons", async || lent()) => {}
    }
    eventually("keys and buttons", async || !lent()).await;
}

#[tokio::test]
async fn a_button_left_down_on_purpose_stays_down() {
    let stage = Stage::new(Backend::X11).await;
    let half = |click_type| Click {
        click_type,
        ..click()
    };
    stage.input.click(half(ClickType::Down)).await.unwrap();
    stage.input.move_pointer(jump(5, 5)).await.unwrap();
    assert_eq!(stage.recorder.down(), (vec![], 0x100));
    stage.input.click(half(ClickType::Up)).await.unwrap();
    assert_eq!(stage.recorder.down(), (vec![], 0));
}

#[tokio::test]
async fn requests_wait_for_each_other() {
    let stage = Stage::new(Backend::X11).await;
    let words: Vec<String> = ('a'..='j')
        .map(|letter| format!("{letter}é漢").repeat(8))
        .collect();
    let typing = words.iter().map(|word| {
        let slow = Type {
            delay_ms: 1,
            ..text(word)
        };
        let input = stage.input.clone();
        async move { input.type_text(slow).await }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for typing in typing {
        tasks.spawn(typing);
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    let typed = stage.recorder.text();
    for word in &words {
        assert!(
            typed.contains(word.as_str()),
            "{word} is not whole in {typed}"
        );
    }
    assert_eq!(typed.chars().count(), 10 * 24);
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut stage = Stage::new(Backend::X11).await;
    stage.input.click(click()).await.unwrap();
    stage.xvfb.kill().await;
    for _ in 0..3 {
        let error = stage.input.click(click()).await.unwrap_err();
        assert!(
            matches!(error, Error::Unreachable { .. } | Error::Lost { .. }),
            "{error:?}"
        );
    }
    let screen = ["-screen", "0", "800x600x24"];
    stage.xvfb.restart(&screen).await;
    let recorder = Recorder::new(&stage.xvfb.name(), true);
    stage.input.move_pointer(jump(799, 599)).await.unwrap();
    stage.input.type_text(text("ok 漢")).await.unwrap();
    let seen = recorder.seen();
    assert!(seen.contains(&Seen::Motion { x: 799, y: 599 }), "{seen:?}");
    let error = stage.input.move_pointer(jump(800, 0)).await.unwrap_err();
    assert_eq!(error.to_string(), "x: 800 is outside the screen (0 to 799)");
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_told_of() {
    let mut stage = Stage::new(Backend::X11).await;
    let input = stage.input.clone();
    let slow = Type {
        delay_ms: 5,
        ..text(&"x".repeat(10_000))
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { input.type_text(slow).await });
    let begun = || !stage.recorder.seen().is_empty();
    eventually("typing", async || begun()).await;
    stage.xvfb.kill().await;
    let done = tokio::time::timeout(LONG, tasks.join_next()).await.unwrap();
    let error = done.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

fn signal(stage: &Stage, name: &str) {
    let pid = stage.xvfb.child.id().unwrap().to_string();
    let mut kill = std::process::Command::new("kill");
    let sent = kill.args(["-s", name, &pid]).spawn().unwrap().wait();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn what_was_down_when_the_server_hung_is_released_with_the_next_request() {
    let stage = Stage::new(Backend::X11).await;
    let input = stage.input.clone();
    let slow = Drag {
        steps_per_segment: 1_000,
        step_delay_ms: 50,
        ..drag()
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { input.drag(slow).await });
    let is_down = || stage.recorder.down() != (vec![], 0);
    eventually("the button is down", async || is_down()).await;
    signal(&stage, "STOP");
    let done = tokio::time::timeout(LONG, tasks.join_next()).await.unwrap();
    signal(&stage, "CONT");
    let error = done.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert!(is_down(), "the server holds it for a client that is gone");
    stage.input.move_pointer(jump(1, 1)).await.unwrap();
    assert!(!is_down());
}

#[tokio::test]
async fn a_change_of_the_screens_size_counts_at_once() {
    let stage = Stage::new(Backend::X11).await;
    stage.input.move_pointer(jump(639, 479)).await.unwrap();
    let size = browserd_display::Size {
        width: 400,
        height: 300,
        refresh: 60,
    };
    stage.xvfb.display().set_size(size).await.unwrap();
    let error = stage.input.move_pointer(jump(400, 0)).await.unwrap_err();
    assert_eq!(error.to_string(), "x: 400 is outside the screen (0 to 399)");
    stage.input.move_pointer(jump(399, 299)).await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_what_is_under_way() {
    use browserd_display::input::{self, Config};
    let stage = Stage::new(Backend::X11).await;
    let token = tokio_util::sync::CancellationToken::new();
    let config = Config {
        display: Some(stage.xvfb.display()),
        ..Config::default()
    };
    let (input, run) = input::start(config, token.clone()).unwrap();
    let held = Press {
        duration_ms: MILLIS,
        ..press(&["a"])
    };
    let down = || stage.recorder.down().0 != [0_usize; 0];
    let stopping = async {
        eventually("keys and buttons", async || down()).await;
        token.cancel();
        run.await;
    };
    let both = async { tokio::join!(input.press(held), stopping) };
    let (done, ()) = tokio::time::timeout(Duration::from_secs(15), both)
        .await
        .unwrap();
    assert!(matches!(done, Err(Error::Interrupted)), "{done:?}");
    assert!(!down(), "nothing stays down");
    assert!(matches!(
        input.click(click()).await,
        Err(Error::Interrupted)
    ));
}
