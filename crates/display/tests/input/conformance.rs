//! Both ways do the same: what a client receives is compared.

use std::time::{Duration, Instant};

use browserd_display::input::{
    Action, Backend, Button, Click, ClickType, Drag, Move, Press, Scroll,
};

use crate::{
    recorder::Seen,
    stage::{MIDDLE, Stage, click, drag, jump, press, scroll, strings, text},
};

const WAYS: [Backend; 2] = [Backend::X11, Backend::Xdotool];

/// What counts: of the motions in a row the last one, and what each key means when it goes
/// down. The order in which a combination is let go of differs.
fn essence(seen: Vec<Seen>) -> Vec<Seen> {
    let mut kept: Vec<Seen> = Vec::new();
    let mut held: Vec<u8> = Vec::new();
    for event in seen {
        match event {
            Seen::Motion { .. } if matches!(kept.last(), Some(Seen::Motion { .. })) => {
                kept.pop();
            }
            Seen::Key { code, down, .. } => {
                let was_held = held.contains(&code);
                held.retain(|&other| other != code);
                if down {
                    held.push(code);
                }
                // xdotool sets a modifier's own modifier as well, on the same key.
                if !down || was_held {
                    continue;
                }
            }
            _ => {}
        }
        kept.push(event);
    }
    assert!(held.is_empty(), "stays down: {held:?}");
    kept
}

async fn look_alike(actions: Vec<(&str, Action)>) {
    let [x11, xdotool] = [Stage::new(WAYS[0]).await, Stage::new(WAYS[1]).await];
    for (name, action) in actions {
        let mut seen = Vec::new();
        for stage in [&x11, &xdotool] {
            stage.input.batch(vec![action.clone()]).await.unwrap();
            seen.push(essence(stage.recorder.seen()));
        }
        assert!(!seen[0].is_empty(), "{name}: nothing came");
        assert_eq!(seen[0], seen[1], "{name}");
    }
}

#[tokio::test]
async fn the_mouse_is_the_same_in_both_ways() {
    let mut actions = vec![
        ("a move", Action::Move(jump(3, 5))),
        ("a move to the corner", Action::Move(jump(639, 479))),
        ("a drag", Action::Drag(drag())),
        (
            "a drag with the middle button and a key",
            Action::Drag(Drag {
                button: Button::Middle,
                hold_keys: strings(&["Shift"]),
                ..drag()
            }),
        ),
        ("down", Action::Scroll(scroll(0, 3))),
        ("up and left", Action::Scroll(scroll(-2, -1))),
        (
            "right, with keys held",
            Action::Scroll(Scroll {
                hold_keys: strings(&["ctrl", "alt"]),
                ..scroll(2, 0)
            }),
        ),
        (
            "press",
            Action::Click(Click {
                click_type: ClickType::Down,
                ..click()
            }),
        ),
        (
            "release",
            Action::Click(Click {
                click_type: ClickType::Up,
                ..click()
            }),
        ),
        (
            "three clicks with a key held",
            Action::Click(Click {
                num_clicks: 3,
                hold_keys: strings(&["Control_L"]),
                ..click()
            }),
        ),
    ];
    for (name, button) in [
        ("left", Button::Left),
        ("middle", Button::Middle),
        ("right", Button::Right),
        ("back", Button::Back),
        ("forward", Button::Forward),
    ] {
        actions.push((name, Action::Click(Click { button, ..click() })));
    }
    look_alike(actions).await;
}

#[tokio::test]
async fn keys_are_the_same_in_both_ways() {
    let names = [
        "a",
        "A",
        "1",
        "Return",
        "enter",
        "space",
        "Tab",
        "BackSpace",
        "Delete",
        "Home",
        "Prior",
        "Page_Up",
        "Page_Down",
        "Left",
        "F11",
        "Escape",
        "minus",
        "plus",
        "exclam",
        "KP_Enter",
        "ctrl+t",
        "CTRL+Shift+t",
        "control+t",
        "alt+F4",
        "super+d",
        "shift+Tab",
        "ctrl+plus",
        "ctrl+shift+alt+Delete",
        "U0061",
        "36",
        "XF86AudioMute",
    ];
    let mut actions: Vec<(&str, Action)> = names
        .iter()
        .map(|&name| (name, Action::Press(press(&[name]))))
        .collect();
    actions.push(("two in a row", Action::Press(press(&["ctrl+a", "x"]))));
    actions.push((
        "with a key held",
        Action::Press(Press {
            hold_keys: strings(&["Shift_L"]),
            ..press(&["a", "Left"])
        }),
    ));
    actions.push((
        "together, for a while",
        Action::Press(Press {
            duration_ms: 20,
            ..press(&["a", "ctrl"])
        }),
    ));
    look_alike(actions).await;
}

#[tokio::test]
async fn ascii_is_the_same_in_both_ways() {
    let ascii: String = (' '..='~').chain(['\n', '\t']).collect();
    for way in WAYS {
        let stage = Stage::new(way).await;
        stage.input.type_text(text(&ascii)).await.unwrap();
        assert_eq!(stage.recorder.text(), ascii, "{way:?}");
    }
}

#[tokio::test]
async fn the_position_is_where_the_pointer_was_put() {
    for way in WAYS {
        let stage = Stage::new(way).await;
        for (x, y) in [(0, 0), (639, 479), (17, 400)] {
            let request = jump(x, y);
            stage.input.move_pointer(request.clone()).await.unwrap();
            assert_eq!(stage.input.position().await.unwrap(), request.to, "{way:?}");
        }
    }
}

#[tokio::test]
async fn combinations_reach_the_client_as_combinations() {
    let stage = Stage::new(Backend::X11).await;
    stage.input.press(press(&["Ctrl+Shift+t"])).await.unwrap();
    let keys = [0xffe3, 0xffe1, u32::from(b'T')];
    let seen = stage.recorder.seen();
    let downs: Vec<u32> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Key {
                keysym, down: true, ..
            } => Some(*keysym),
            _ => None,
        })
        .collect();
    assert_eq!(downs, keys);
    assert!(matches!(seen[2], Seen::Key { mods: 5, .. }), "{seen:?}");
    assert_eq!(stage.recorder.down(), (vec![], 0));
    for alike in [["Ctrl+-", "Ctrl+minus"], ["ctrl+t", "CONTROL+t"]] {
        let mut both = Vec::new();
        for name in alike {
            stage.input.press(press(&[name])).await.unwrap();
            both.push(stage.recorder.seen());
        }
        assert_eq!(both[0], both[1], "{alike:?}");
    }
}

#[tokio::test]
async fn a_smooth_move_takes_its_time_and_ends_exactly() {
    let stage = Stage::new(Backend::X11).await;
    stage.input.move_pointer(jump(10, 10)).await.unwrap();
    stage.recorder.seen();
    let started = Instant::now();
    let request = Move {
        to: MIDDLE,
        smooth: true,
        duration_ms: Some(300),
        hold_keys: Vec::new(),
    };
    stage.input.move_pointer(request).await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let seen = stage.recorder.seen();
    assert!(seen.len() > 10, "{} motions", seen.len());
    assert_eq!(seen.last(), Some(&Seen::Motion { x: 320, y: 240 }));
}

#[tokio::test]
async fn a_double_click_is_two_clicks_at_two_times_in_one_place() {
    let stage = Stage::new(Backend::X11).await;
    let request = Click {
        num_clicks: 2,
        ..click()
    };
    stage.input.click(request).await.unwrap();
    let buttons = stage
        .recorder
        .seen()
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Button { down, .. } => Some(down),
            _ => None,
        });
    assert_eq!(buttons.collect::<Vec<_>>(), [true, false, true, false]);
}
