//! What is refused, by which name, and that nothing is pressed then.

use browserd_display::{
    Error,
    input::{Action, Backend, Button, Click, Config, Drag, Move, Point, Press, Type},
};

use crate::stage::{MIDDLE, Stage, click, drag, jump, press, scroll, start, strings, text};

fn refused_moves() -> Vec<(Action, &'static str)> {
    let hold = |key: &str| Click {
        hold_keys: strings(&["Shift", key]),
        ..click()
    };
    let long = |duration_ms| Move {
        smooth: true,
        duration_ms: Some(duration_ms),
        ..jump(1, 1)
    };
    vec![
        (
            Action::Move(jump(640, 0)),
            "x: 640 is outside the screen (0 to 639)",
        ),
        (
            Action::Move(jump(0, -1)),
            "y: -1 is outside the screen (0 to 479)",
        ),
        (
            Action::Move(long(49)),
            "duration_ms: 49 is not between 50 and 5000",
        ),
        (
            Action::Move(long(5001)),
            "duration_ms: 5001 is not between 50 and 5000",
        ),
        (
            Action::Click(hold("Hyperspace")),
            "hold_keys[1]: unknown key \"Hyperspace\"; did you mean hairspace?",
        ),
        (
            Action::Click(Click {
                num_clicks: 0,
                ..click()
            }),
            "num_clicks: 0 is not between 1 and 100",
        ),
    ]
}

fn refused_drags() -> Vec<(Action, &'static str)> {
    vec![
        (
            Action::Drag(Drag {
                path: vec![MIDDLE],
                ..drag()
            }),
            "path: 1 is not between 2 and 1000",
        ),
        (
            Action::Drag(Drag {
                path: vec![MIDDLE, Point { x: 1, y: 480 }],
                ..drag()
            }),
            "path[1][1]: 480 is outside the screen (0 to 479)",
        ),
        (
            Action::Drag(Drag {
                button: Button::Back,
                ..drag()
            }),
            "button: must be left, middle or right",
        ),
        (
            Action::Drag(Drag {
                duration_ms: Some(10_001),
                ..drag()
            }),
            "duration_ms: 10001 is not between 50 and 10000",
        ),
        (
            Action::Drag(Drag {
                steps_per_segment: 0,
                ..drag()
            }),
            "steps_per_segment: 0 is not between 1 and 1000",
        ),
    ]
}

fn refused_keys() -> Vec<(Action, &'static str)> {
    vec![
        (
            Action::Scroll(scroll(0, 0)),
            "delta_y: delta_x and delta_y are both 0",
        ),
        (
            Action::Press(press(&["a", "Ctrl+Bogus"])),
            "keys[1]: unknown key \"Bogus\" in \"Ctrl+Bogus\"",
        ),
        (Action::Press(press(&[])), "keys: is empty"),
        (
            Action::Press(Press {
                duration_ms: 60_001,
                ..press(&["a"])
            }),
            "duration: 60001 is not between 0 and 60000",
        ),
        (
            Action::Type(text("ab\u{7}")),
            "text: cannot type '\\u{7}' (character 2): no key stands for it",
        ),
        (
            Action::Type(text("漢＠")),
            "text: cannot type '＠' (character 1): GTK would take its key for a dead key",
        ),
        (
            Action::Type(text(&"x".repeat(100_001))),
            "text: has 100001 characters, at most 100000 are allowed",
        ),
        (
            Action::Type(Type {
                typo_chance: 0.11,
                ..text("a")
            }),
            "typo_chance: 0.11 is not between 0 and 0.1",
        ),
        (
            Action::Type(Type {
                typo_chance: f64::NAN,
                ..text("a")
            }),
            "typo_chance: NaN is not between 0 and 0.1",
        ),
        (
            Action::Sleep {
                duration_ms: 30_001,
            },
            "duration_ms: 30001 is not between 0 and 30000",
        ),
        (
            Action::SetCursor { hidden: true },
            "the cursor cannot be hidden on this display",
        ),
    ]
}

#[tokio::test]
async fn what_breaks_a_rule_is_named_and_presses_nothing() {
    let stage = Stage::new(Backend::X11).await;
    for (action, expected) in [refused_moves(), refused_drags(), refused_keys()].concat() {
        let kind = action.kind();
        // The first action must not be done when the second one cannot be.
        let batch = vec![Action::Press(press(&["b"])), action];
        let error = stage.input.batch(batch).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("actions[1] ({kind}): {expected}")
        );
    }
    for count in [0, 101] {
        let batch = vec![Action::Sleep { duration_ms: 0 }; count];
        let error = stage.input.batch(batch).await.unwrap_err();
        let expected = format!("actions: {count} is not between 1 and 100");
        assert_eq!(error.to_string(), expected);
    }
    let error = stage.input.move_pointer(jump(640, 0)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field, .. } if field == "x"));
    assert_eq!(stage.recorder.seen(), [], "nothing was pressed or moved");
}

#[tokio::test]
async fn without_a_display_everything_says_so() {
    let (input, _stop) = start(Config::default());
    assert!(matches!(input.click(click()).await, Err(Error::NoDisplay)));
    assert!(matches!(input.position().await, Err(Error::NoDisplay)));
    let batch = vec![Action::Sleep { duration_ms: 0 }];
    assert!(matches!(input.batch(batch).await, Err(Error::NoDisplay)));
}

#[tokio::test]
async fn what_gtk_would_swallow_is_typed_where_nobody_composes() {
    let stage = Stage::new(Backend::X11).await;
    let (input, _stop) = start(Config {
        display: Some(stage.xvfb.display()),
        plain_clients: true,
        ..Config::default()
    });
    input.type_text(text("＠﹝\u{7fe5d}")).await.unwrap();
    assert_eq!(stage.recorder.text(), "＠﹝\u{7fe5d}");
}

#[tokio::test]
async fn a_batch_hides_the_cursor_through_what_it_was_given() {
    let stage = Stage::new(Backend::X11).await;
    let (sender, calls) = std::sync::mpsc::channel();
    let (input, _stop) = start(Config {
        display: Some(stage.xvfb.display()),
        cursor: Some(std::sync::Arc::new(move |hidden| {
            sender.send(hidden).map_err(|_| Error::NoCursor)
        })),
        ..Config::default()
    });
    let batch = [true, false].map(|hidden| Action::SetCursor { hidden });
    input.batch(batch.to_vec()).await.unwrap();
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [true, false]);
}
