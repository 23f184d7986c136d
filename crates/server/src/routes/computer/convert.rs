//! From the wire to the display's own types.

use browserd_api::computer::{
    ClickMouseRequest, ClickType as WireClickType, DragButton, DragMouseRequest, MouseButton,
    MoveMouseRequest, PressKeyRequest, ScreenshotFormat, ScreenshotRequest, ScrollRequest,
    TypeTextRequest,
};
use browserd_display::{
    Format, Region, Shot,
    input::{Button, Click, ClickType, Drag, Move, Point, Press, Scroll, Type},
};

use crate::error::{ApiError, Result};

pub(super) fn click(wire: ClickMouseRequest) -> Click {
    Click {
        at: Point {
            x: wire.x,
            y: wire.y,
        },
        button: match wire.button {
            MouseButton::Left => Button::Left,
            MouseButton::Right => Button::Right,
            MouseButton::Middle => Button::Middle,
            MouseButton::Back => Button::Back,
            MouseButton::Forward => Button::Forward,
        },
        click_type: match wire.click_type {
            WireClickType::Down => ClickType::Down,
            WireClickType::Up => ClickType::Up,
            WireClickType::Click => ClickType::Click,
        },
        num_clicks: wire.num_clicks,
        hold_keys: wire.hold_keys,
    }
}

pub(super) fn motion(wire: MoveMouseRequest) -> Move {
    Move {
        to: Point {
            x: wire.x,
            y: wire.y,
        },
        smooth: wire.smooth,
        duration_ms: wire.duration_ms,
        hold_keys: wire.hold_keys,
    }
}

pub(super) fn drag(wire: DragMouseRequest) -> Result<Drag> {
    let points = wire.path.iter().enumerate();
    let path: Result<_> = points
        .map(|(index, point)| match point[..] {
            [x, y] => Ok(Point { x, y }),
            _ => Err(ApiError::bad_request(format!(
                "path[{index}]: a point is [x, y], not {} numbers",
                point.len()
            ))),
        })
        .collect();
    Ok(Drag {
        path: path?,
        button: match wire.button {
            DragButton::Left => Button::Left,
            DragButton::Middle => Button::Middle,
            DragButton::Right => Button::Right,
        },
        delay_ms: wire.delay,
        smooth: wire.smooth,
        duration_ms: wire.duration_ms,
        steps_per_segment: wire.steps_per_segment,
        step_delay_ms: wire.step_delay_ms,
        hold_keys: wire.hold_keys,
    })
}

pub(super) fn scroll(wire: ScrollRequest) -> Scroll {
    Scroll {
        at: Point {
            x: wire.x,
            y: wire.y,
        },
        delta_x: wire.delta_x,
        delta_y: wire.delta_y,
        hold_keys: wire.hold_keys,
    }
}

pub(super) fn typing(wire: TypeTextRequest) -> Type {
    Type {
        text: wire.text,
        delay_ms: wire.delay,
        smooth: wire.smooth,
        typo_chance: wire.typo_chance,
    }
}

pub(super) fn press(wire: PressKeyRequest) -> Press {
    Press {
        keys: wire.keys,
        duration_ms: wire.duration,
        hold_keys: wire.hold_keys,
    }
}

pub(super) fn shot(wire: ScreenshotRequest) -> Shot {
    Shot {
        region: wire.region.map(|region| Region {
            x: region.x,
            y: region.y,
            width: region.width,
            height: region.height,
        }),
        format: match wire.format {
            ScreenshotFormat::Png => Format::Png,
            ScreenshotFormat::Jpeg => Format::Jpeg,
            ScreenshotFormat::Webp => Format::Webp,
        },
        quality: wire.quality,
        scale: wire.scale,
        cursor: wire.cursor,
    }
}
