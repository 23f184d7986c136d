//! The mouse, the keyboard, the screen and the clipboard, with a page in a real Chromium that
//! records what reaches it.

use std::time::Duration;

use browserd_e2e::{assert_eventually, settings};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::{
    desk::{self, Desk, Picture, random_text},
    shared::Suite,
};

type Outcome = anyhow::Result<()>;

pub(crate) async fn every_button_and_turn_reaches_the_page(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    let (x, y) = desk.middle_of("#area").await?;
    for (button, number) in [
        ("left", 0),
        ("middle", 1),
        ("right", 2),
        ("back", 3),
        ("forward", 4),
    ] {
        desk.forget().await?;
        let body = json!({"x": x, "y": y, "button": button, "hold_keys": ["Shift"]});
        desk.act("click_mouse", &body).await?;
        let wanted = format!("mousedown {number} S, mouseup {number} S");
        desk.sees(&wanted).await?;
    }
    desk.forget().await?;
    for (click_type, wanted) in [
        ("down", "mousedown 0 -"),
        ("up", "mousedown 0 -, mouseup 0 -"),
    ] {
        let body = json!({"x": x, "y": y, "click_type": click_type});
        desk.act("click_mouse", &body).await?;
        desk.sees(wanted).await?;
    }
    for (delta, wanted) in [
        (json!({"delta_y": 2}), "wheel 0 +, wheel 0 +"),
        (json!({"delta_y": -1}), "wheel 0 -"),
        (json!({"delta_x": 1}), "wheel + 0"),
        (json!({"delta_x": -1, "delta_y": 1}), "wheel 0 +, wheel - 0"),
    ] {
        desk.forget().await?;
        let mut body = json!({"x": x, "y": y});
        for (name, value) in delta.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        desk.act("scroll", &body).await?;
        desk.sees(wanted).await?;
    }
    desk.close().await
}

pub(crate) async fn clicks_select_words_and_lines_and_drags_move_things(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    desk.script("text.value = 'first line here\\nsecond'")
        .await?;
    let (x, y) = desk.corner_of("#text").await?;
    for (clicks, wanted) in [(2, "first"), (3, "first line here")] {
        desk.click_elsewhere().await?;
        let body = json!({"x": x + 12, "y": y + 12, "num_clicks": clicks});
        desk.act("click_mouse", &body).await?;
        assert_eventually!("the text is selected", {
            let selected = desk
                .script("text.value.slice(text.selectionStart, text.selectionEnd)")
                .await?;
            let selected = selected.as_str().unwrap_or_default().trim().to_owned();
            if selected == wanted {
                Ok(())
            } else {
                let seen = desk.script("[log.join(), innerHeight]").await?;
                Err((clicks, selected, seen, x, y))
            }
        });
    }
    let (from, to) = (
        desk.middle_of("#thing").await?,
        desk.middle_of("#target").await?,
    );
    for smooth in [true, false] {
        desk.click_elsewhere().await?;
        desk.script("document.body.insertBefore(thing, target); 0")
            .await?;
        let body =
            json!({"path": [[from.0, from.1], [to.0, to.1]], "smooth": smooth, "delay": 100});
        desk.act("drag_mouse", &body).await?;
        assert_eventually!("the thing is in the target", {
            match desk.script("thing.parentNode === target").await?.as_bool() {
                Some(true) => Ok(()),
                other => Err(other),
            }
        });
    }
    let slider = desk.corner_of("#slider").await?;
    let path = json!([[slider.0 + 8, slider.1 + 8], [slider.0 + 80, slider.1 + 8]]);
    desk.act("drag_mouse", &json!({"path": path, "smooth": false}))
        .await?;
    assert_eventually!("the slider has moved", {
        match desk.script("Number(slider.value)").await?.as_f64() {
            Some(value) if value > 30.0 => Ok(()),
            other => Err(other),
        }
    });
    desk.close().await
}

pub(crate) async fn typed_text_is_what_arrives(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    let rounds = settings::typing_rounds();
    for round in 0..rounds {
        desk.empty_text().await?;
        let text = random_text(round, 2_000);
        desk.act("type", &json!({"text": text})).await?;
        assert_eventually!(within: Duration::from_secs(30), "the text is the text", {
            let arrived = desk.script("text.value").await?;
            if arrived == text.as_str() { Ok(()) } else { Err(desk::first_difference(&text, &arrived)) }
        });
    }
    desk.empty_text().await?;
    // Ten at a time: each text arrives in one piece.
    let texts: Vec<_> = (0..10)
        .map(|n| format!("<{}é漢🦀{n}>", "abc".repeat(20)))
        .collect();
    let calls = texts.iter().map(|text| {
        let desk = &desk;
        async move { desk.call("type", &json!({"text": text})).await?.expect(200) }
    });
    try_join_all(calls).await?;
    assert_eventually!(within: Duration::from_secs(30), "ten texts arrive", {
        let arrived = desk.script("text.value").await?;
        let arrived = arrived.as_str().unwrap_or_default().to_owned();
        let length: usize = texts.iter().map(String::len).sum();
        if arrived.len() == length { Ok(()) } else { Err(arrived) }
    });
    let arrived = desk.script("text.value").await?;
    let arrived = arrived.as_str().unwrap_or_default();
    assert!(texts.iter().all(|text| arrived.contains(text)), "{arrived}");
    desk.close().await
}

pub(crate) async fn nothing_stays_down_when_a_client_goes_away(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    let (x, y) = desk.middle_of("#area").await?;
    desk.empty_text().await?;
    for (route, body, down, up) in [
        (
            "drag_mouse",
            json!({"path": [[x, y], [x + 40, y + 40]], "smooth": false, "steps_per_segment": 1000, "step_delay_ms": 50}),
            "mousedown 0 -",
            "mouseup 0 -",
        ),
        (
            "press_key",
            json!({"keys": ["q"], "duration": 50_000}),
            "keydown q",
            "keyup q",
        ),
        (
            "batch",
            json!({"actions": [
                {"type": "click_mouse", "click_mouse": {"x": x, "y": y, "click_type": "down"}},
                {"type": "sleep", "sleep": {"duration_ms": 30_000}},
            ]}),
            "mousedown 0 -",
            "mouseup 0 -",
        ),
    ] {
        desk.forget().await?;
        {
            let begun = desk.call(route, &body);
            let mut begun = std::pin::pin!(begun);
            let seen = async {
                loop {
                    if desk.heard(down).await? {
                        return anyhow::Ok(());
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! {
                answer = &mut begun => anyhow::bail!("{route} ended by itself: {:?}", answer?.status),
                seen = tokio::time::timeout(settings::patience(Duration::from_secs(30)), seen) => seen??,
            }
        }
        assert_eventually!("it is released", {
            if desk.heard(up).await? {
                Ok(())
            } else {
                Err("still down")
            }
        });
    }
    desk.close().await
}

pub(crate) async fn screenshots_show_the_page_at_any_size(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    desk.act("cursor", &json!({"hidden": true})).await?;
    for (width, height) in [(1024, 768), (390, 844), (320, 240), (1920, 1080)] {
        let answer = desk.resize(width, height).await?;
        assert_eq!(
            (answer["width"].as_u64(), answer["height"].as_u64()),
            (Some(width), Some(height))
        );
        assert_eventually!("the page follows", {
            let inner = desk.script("innerWidth").await?;
            if inner == width { Ok(()) } else { Err(inner) }
        });
    }
    let place = desk.corner_of("#colour").await?;
    let region = json!({"x": place.0, "y": place.1, "width": 20, "height": 10});
    assert_eventually!("the colour is on the picture", {
        let picture = desk.picture(&json!({"region": region})).await?;
        let wanted = Picture::filled(20, 10, [12, 200, 99]);
        if picture == wanted {
            Ok(())
        } else {
            Err(picture)
        }
    });
    let half = desk
        .picture(&json!({"region": region, "scale": 0.5}))
        .await?;
    assert!(half == Picture::filled(10, 5, [12, 200, 99]), "{half:?}");
    let whole = desk.picture(&json!({})).await?;
    assert_eq!((whole.width, whole.height), (1920, 1080));
    for format in ["jpeg", "webp"] {
        let answer = desk
            .call("screenshot", &json!({"format": format}))
            .await?
            .expect(200)?;
        assert_eq!(
            answer.header("content-type"),
            Some(&*format!("image/{format}"))
        );
    }
    desk.close().await
}

pub(crate) async fn the_clipboard_is_shared_with_the_page(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    // Two bytes a character on average: more than 1 MiB.
    let long = random_text(7, 560_000);
    assert!(long.len() > 1 << 20, "{} bytes", long.len());
    for text in ["grüße 世界 🙂", &long] {
        desk.call("clipboard/write", &json!({"text": text}))
            .await?
            .expect(200)?;
        desk.empty_text().await?;
        desk.act("press_key", &json!({"keys": ["ctrl+v"]})).await?;
        assert_eventually!(within: Duration::from_secs(30), "it is pasted", {
            let arrived = desk.script("text.value").await?;
            if arrived == text { Ok(()) } else { Err(desk::first_difference(text, &arrived)) }
        });
        assert_eq!(desk.script("navigator.clipboard.readText()").await?, text);
        let copy = json!({"keys": ["ctrl+a", "ctrl+c"]});
        for by_key in [true, false] {
            desk.call("clipboard/write", &json!({"text": "other"}))
                .await?
                .expect(200)?;
            if by_key {
                desk.act("press_key", &copy).await?;
            } else {
                desk.script("navigator.clipboard.writeText(text.value)")
                    .await?;
            }
            assert_eventually!(within: Duration::from_secs(30), "it is copied", {
                let read = desk.call("clipboard/read", &json!({})).await?.expect(200)?;
                let read: Value = read.json()?;
                if read["text"] == text { Ok(()) } else { Err(desk::first_difference(text, &read["text"])) }
            });
        }
    }
    desk.close().await
}

/// What a page sees of a key, and the names by which it is pressed.
const NAMES: [(&str, &str); 20] = [
    (" Escape", "ESC,esc,Escape"),
    (" Enter", "ENTER,enter,Return,NumpadEnter"),
    (" PageDown", "PAGEDOWN,page_down,PgDn,PageDown,Next"),
    (" ArrowLeft", "ARROWLEFT,ArrowLeft,LEFT,left"),
    (" ArrowDown", "ArrowDown,DOWN,arrow down"),
    (" ArrowUp", "UP,up"),
    (" Backspace", "BACKSPACE,Backspace,BackSpace"),
    (" Delete", "DEL,delete"),
    (" Insert", "insert,INS"),
    (" Tab", "tab,TAB"),
    ("  ", "SPACE,space,Spacebar"),
    (" Meta", "CMD,META,win,Super_L"),
    (" Alt", "OPTION,alt"),
    (" Control", "CTRL,control"),
    (" ContextMenu", "ContextMenu,apps"),
    (" PrintScreen", "PRINTSCREEN,Print"),
    (" CapsLock", "caps_lock,CapsLock"),
    (" a", "KeyA,a"),
    (" 1", "Digit1,1"),
    (" [", "BracketLeft,["),
];

pub(crate) async fn names_of_keys_mean_what_the_page_sees(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    desk.script(
        "window.seen = []; addEventListener('keydown', e => { \
         const held = (e.ctrlKey ? 'C' : '') + (e.shiftKey ? 'S' : '') + (e.altKey ? 'A' : '') \
           + (e.metaKey ? 'M' : ''); \
         const itself = ['Control', 'Shift', 'Alt', 'Meta'].includes(e.key); \
         seen.push(`${itself ? '' : held} ${e.key}`); e.preventDefault(); }, true)",
    )
    .await?;
    for (key, names) in NAMES {
        for name in names.split(',') {
            desk.script("seen.length = 0").await?;
            desk.act("press_key", &json!({"keys": [name]})).await?;
            let wanted = json!([key]);
            assert_eventually!(within: Duration::from_secs(10), "the key is seen", {
                let seen = desk.script("seen").await?;
                if seen == wanted { Ok(()) } else { Err((name, seen)) }
            });
        }
    }
    for (keys, held, wanted) in [
        (json!(["CTRL+A"]), json!([]), json!([" Control", "C a"])),
        (json!(["Ctrl + l"]), json!([]), json!([" Control", "C l"])),
        (json!(["CTRL", "A"]), json!([]), json!([" Control", "C a"])),
        (json!(["A"]), json!(["ctrl"]), json!([" Control", "C a"])),
        (json!(["cmd+c"]), json!([]), json!([" Meta", "M c"])),
        (json!(["A", "b"]), json!([]), json!([" Shift", "S A", " b"])),
    ] {
        desk.script("seen.length = 0").await?;
        let body = json!({"keys": keys, "hold_keys": held});
        let batch = json!({"actions": [{"type": "press_key", "press_key": body}]});
        desk.act("batch", &batch).await?;
        assert_eventually!(within: Duration::from_secs(10), "the combination is seen", {
            let seen = desk.script("seen").await?;
            if seen == wanted { Ok(()) } else { Err((keys.clone(), seen)) }
        });
    }
    desk.close().await
}

pub(crate) async fn combinations_reach_the_browser_itself(_: Suite) -> Outcome {
    let desk = Desk::open().await?;
    desk.act("press_key", &json!({"keys": ["Ctrl+t"]})).await?;
    let new_tab = "chrome://new-tab-page-third-party/";
    // A tab has its address before its page: what is typed meanwhile may be lost, and a tab that
    // is closed so early is not kept to be opened again.
    let is_whole = "document.readyState === 'complete' && location.href";
    desk.tab_says(new_tab, is_whole, new_tab.into()).await?;
    desk.act("press_key", &json!({"keys": ["Ctrl+l"]})).await?;
    // A key goes to the page first, if the page has the focus; those after it do not wait.
    desk.tab_says(new_tab, "document.hasFocus()", false.into())
        .await?;
    let typed = format!("file://{}/desk.html#second", desk.stack.scratch().display());
    let actions = json!({"actions": [
        {"type": "type_text", "type_text": {"text": typed}},
        {"type": "set_cursor", "set_cursor": {"hidden": true}},
        {"type": "press_key", "press_key": {"keys": ["Return"]}},
        {"type": "set_cursor", "set_cursor": {"hidden": false}},
    ]});
    desk.act("batch", &actions).await?;
    desk.tab_says(&typed, is_whole, typed.clone().into())
        .await?;
    let is_second = |tab: &Value| tab["url"] == typed;
    desk.act("press_key", &json!({"keys": ["Ctrl+w"]})).await?;
    desk.has_tabs("a closed tab", |tabs| !tabs.iter().any(is_second))
        .await?;
    desk.act("press_key", &json!({"keys": ["Ctrl+Shift+t"]}))
        .await?;
    desk.has_tabs("the tab again", |tabs| tabs.iter().any(is_second))
        .await?;
    desk.close().await
}

pub(crate) async fn a_screenshot_waits_for_no_batch(_: Suite) -> Outcome {
    let desk = Desk::open().await?;
    let sleep = json!({"actions": [{"type": "sleep", "sleep": {"duration_ms": 30_000}}]});
    let batch = desk.call("batch", &sleep);
    let pictures = async {
        for _ in 0..3 {
            desk.picture(&json!({})).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        _ = batch => anyhow::bail!("the batch was there first"),
        taken = pictures => taken?,
    }
    desk.close().await
}

pub(crate) async fn what_lies_outside_is_refused_and_nothing_pressed(_: Suite) -> Outcome {
    let mut desk = Desk::open().await?;
    desk.forget().await?;
    let inside = json!({"type": "click_mouse", "click_mouse": {"x": 5, "y": 5}});
    let outside = json!({"type": "click_mouse", "click_mouse": {"x": 1280, "y": 5}});
    for (route, body, named) in [
        ("click_mouse", json!({"x": 1280, "y": 5}), ["x: ", "1279"]),
        ("click_mouse", json!({"x": 5, "y": 720}), ["y: ", "719"]),
        ("click_mouse", json!({"x": -1, "y": 5}), ["x: ", "1279"]),
        ("move_mouse", json!({"x": 5, "y": 5000}), ["y: ", "719"]),
        (
            "scroll",
            json!({"x": 9999, "y": 5, "delta_y": 1}),
            ["x: ", "1279"],
        ),
        (
            "drag_mouse",
            json!({"path": [[5, 5], [5, 720]]}),
            ["path", "719"],
        ),
        (
            "batch",
            json!({"actions": [inside, outside]}),
            ["1", "click_mouse"],
        ),
        (
            "screenshot",
            json!({"region": {"x": 1200, "y": 0, "width": 81, "height": 9}}),
            ["region", "1280"],
        ),
    ] {
        let answer = desk.call(route, &body).await?;
        assert_eq!(
            answer.status.as_u16(),
            400,
            "{route} {body}: {}",
            answer.text()
        );
        for part in named {
            assert!(
                answer.text().contains(part),
                "{route} {body}: {}",
                answer.text()
            );
        }
    }
    // What is pressed next comes first.
    let (x, y) = desk.middle_of("#area").await?;
    let body = json!({"x": x, "y": y});
    desk.act("click_mouse", &body).await?;
    desk.sees("mousedown 0 -, mouseup 0 -").await?;
    desk.close().await
}
