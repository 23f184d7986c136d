//! An X server, a recording client on it, and the input.

use std::{process::Stdio, time::Duration};

use browserd_display::input::{
    self, Backend, Button, Click, ClickType, Config, Drag, Input, Move, Point, Press, Scroll, Type,
};
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{recorder::Recorder, xvfb::Xvfb};

pub(crate) struct Stage {
    pub(crate) input: Input,
    pub(crate) recorder: Recorder,
    pub(crate) xvfb: Xvfb,
    _stop: DropGuard,
}

impl Stage {
    pub(crate) async fn new(backend: Backend) -> Self {
        Self::with(backend, "us", true).await
    }

    pub(crate) async fn with(backend: Backend, layout: &str, pings: bool) -> Self {
        let xvfb = Xvfb::small().await;
        set_layout(&xvfb, layout).await;
        let recorder = Recorder::new(&xvfb.name(), pings);
        let (input, stop) = start(Config {
            display: Some(xvfb.display()),
            backend,
            seed: Some(1),
            ..Config::default()
        });
        Self {
            input,
            recorder,
            xvfb,
            _stop: stop,
        }
    }
}

pub(crate) fn start(config: Config) -> (Input, DropGuard) {
    let token = CancellationToken::new();
    let (input, run) = input::start(config, token.clone()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(run);
    (input, token.drop_guard())
}

pub(crate) async fn set_layout(xvfb: &Xvfb, layout: &str) {
    let mut command = Command::new("setxkbmap");
    command.args(["-display", &xvfb.name(), layout]);
    assert!(
        command
            .stdin(Stdio::null())
            .status()
            .await
            .unwrap()
            .success()
    );
}

pub(crate) const MIDDLE: Point = Point { x: 320, y: 240 };

pub(crate) fn click() -> Click {
    Click {
        at: MIDDLE,
        button: Button::Left,
        click_type: ClickType::Click,
        num_clicks: 1,
        hold_keys: Vec::new(),
    }
}

pub(crate) fn jump(x: i32, y: i32) -> Move {
    Move {
        to: Point { x, y },
        smooth: false,
        duration_ms: None,
        hold_keys: Vec::new(),
    }
}

pub(crate) fn drag() -> Drag {
    Drag {
        path: vec![Point { x: 10, y: 20 }, Point { x: 30, y: 20 }, MIDDLE],
        button: Button::Left,
        delay_ms: 0,
        smooth: false,
        duration_ms: None,
        steps_per_segment: 3,
        step_delay_ms: 1,
        hold_keys: Vec::new(),
    }
}

pub(crate) fn scroll(delta_x: i64, delta_y: i64) -> Scroll {
    Scroll {
        at: MIDDLE,
        delta_x,
        delta_y,
        hold_keys: Vec::new(),
    }
}

pub(crate) fn text(text: &str) -> Type {
    Type {
        text: text.to_owned(),
        delay_ms: 0,
        smooth: false,
        typo_chance: 0.0,
    }
}

pub(crate) fn press(keys: &[&str]) -> Press {
    Press {
        keys: strings(keys),
        duration_ms: 0,
        hold_keys: Vec::new(),
    }
}

pub(crate) fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&it| it.to_owned()).collect()
}

/// Long enough never to pass in a test.
pub(crate) const LONG: Duration = Duration::from_secs(30);
