//! What can be asked of the mouse and the keyboard, and the rules that need no screen.

use std::ops::RangeInclusive;

use super::{names::Chord, typing};
use crate::Error;

/// How long a smooth move may take, in milliseconds.
pub const MOVE_MS: RangeInclusive<u64> = 50..=5_000;
/// How long a smooth drag may take, in milliseconds.
pub const DRAG_MS: RangeInclusive<u64> = 50..=10_000;
/// How long a `sleep` in a batch may take, in milliseconds.
pub const SLEEP_MS: RangeInclusive<u64> = 0..=30_000;
/// How many actions a batch may hold.
pub const BATCH: RangeInclusive<usize> = 1..=100;
/// The chance of a typo for each character.
pub const TYPO_CHANCE: RangeInclusive<f64> = 0.0..=0.10;
/// The most characters in one text.
pub const TEXT_MAX: usize = 100_000;
/// The longest single pause: between keys, or while keys are held; in milliseconds.
pub const PAUSE_MS: RangeInclusive<u64> = 0..=60_000;
/// How many clicks in one request.
pub const CLICKS: RangeInclusive<u64> = 1..=100;
/// How many points a drag's path may have.
pub const PATH: RangeInclusive<usize> = 2..=1_000;
/// How many steps between two points of a drag that is not smooth.
pub const STEPS: RangeInclusive<u64> = 1..=1_000;
/// How many wheel ticks in one direction.
pub const TICKS: RangeInclusive<i64> = -1_000..=1_000;
/// How many keys or combinations in one list.
const KEYS_MAX: usize = 100;

/// A place on the screen, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// To the right.
    pub x: i32,
    /// Down.
    pub y: i32,
}

/// A button of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// The main button.
    Left,
    /// The wheel.
    Middle,
    /// That of the context menu.
    Right,
    /// Back in the history.
    Back,
    /// Forward in the history.
    Forward,
}

impl Button {
    /// The number that X clients know it by. 4 to 7 are the wheel.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Middle => 2,
            Self::Right => 3,
            Self::Back => 8,
            Self::Forward => 9,
        }
    }
}

/// What to do with a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClickType {
    /// Press and release it.
    Click,
    /// Press it, and leave it down.
    Down,
    /// Release it.
    Up,
}

/// Clicks at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// Where; the pointer jumps there.
    pub at: Point,
    /// The button.
    pub button: Button,
    /// Press, release or both.
    pub click_type: ClickType,
    /// How often, in [`CLICKS`].
    pub num_clicks: u64,
    /// Keys held meanwhile.
    pub hold_keys: Vec<String>,
}

/// A move of the pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Where to.
    pub to: Point,
    /// Whether along a curve, as a hand does; else at once.
    pub smooth: bool,
    /// How long a smooth move takes, in [`MOVE_MS`]; by the distance when `None`.
    pub duration_ms: Option<u64>,
    /// Keys held meanwhile.
    pub hold_keys: Vec<String>,
}

/// A drag along a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drag {
    /// The path, with as many points as [`PATH`] allows.
    pub path: Vec<Point>,
    /// The button: left, middle or right.
    pub button: Button,
    /// How long to wait between the press and the first move, in [`PAUSE_MS`].
    pub delay_ms: u64,
    /// Whether along curves, as a hand does; else in steps.
    pub smooth: bool,
    /// How long a smooth drag takes, in [`DRAG_MS`]; by the distance when `None`.
    pub duration_ms: Option<u64>,
    /// Steps between two points, in [`STEPS`], when not smooth.
    pub steps_per_segment: u64,
    /// The pause between two steps, in [`PAUSE_MS`], when not smooth.
    pub step_delay_ms: u64,
    /// Keys held meanwhile.
    pub hold_keys: Vec<String>,
}

/// Turns of the wheel at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scroll {
    /// Where; the pointer jumps there.
    pub at: Point,
    /// Ticks to the right, or to the left when negative, in [`TICKS`].
    pub delta_x: i64,
    /// Ticks down, or up when negative, in [`TICKS`].
    pub delta_y: i64,
    /// Keys held meanwhile.
    pub hold_keys: Vec<String>,
}

/// A text to type.
#[derive(Debug, Clone, PartialEq)]
pub struct Type {
    /// The text, of at most [`TEXT_MAX`] characters. A line end is Return, a tab is Tab.
    pub text: String,
    /// The pause after each character, in [`PAUSE_MS`].
    pub delay_ms: u64,
    /// Whether with the uneven rhythm of a hand, around `delay_ms` if that is not 0.
    pub smooth: bool,
    /// The chance of a typo that is then corrected, in [`TYPO_CHANCE`], when smooth.
    pub typo_chance: f64,
}

/// Keys to press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// Keys or combinations. Without a duration they are pressed one after the other, with one
    /// they are all held together.
    pub keys: Vec<String>,
    /// How long they are held, in [`PAUSE_MS`].
    pub duration_ms: u64,
    /// Keys held meanwhile.
    pub hold_keys: Vec<String>,
}

/// One step of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Clicks.
    Click(Click),
    /// Moves the pointer.
    Move(Move),
    /// Types a text.
    Type(Type),
    /// Presses keys.
    Press(Press),
    /// Turns the wheel.
    Scroll(Scroll),
    /// Drags.
    Drag(Drag),
    /// Hides the cursor, or shows it.
    SetCursor {
        /// Whether it is hidden.
        hidden: bool,
    },
    /// Waits.
    Sleep {
        /// How long, in [`SLEEP_MS`].
        duration_ms: u64,
    },
}

impl Action {
    /// The type, as the API names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Click(_) => "click_mouse",
            Self::Move(_) => "move_mouse",
            Self::Type(_) => "type_text",
            Self::Press(_) => "press_key",
            Self::Scroll(_) => "scroll",
            Self::Drag(_) => "drag_mouse",
            Self::SetCursor { .. } => "set_cursor",
            Self::Sleep { .. } => "sleep",
        }
    }

    /// Checks everything that can be checked without a screen.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Click(click) => click.check(),
            Self::Move(request) => request.check(),
            Self::Type(request) => request.check(),
            Self::Press(press) => press.check(),
            Self::Scroll(scroll) => scroll.check(),
            Self::Drag(drag) => drag.check(),
            Self::SetCursor { .. } => Ok(()),
            Self::Sleep { duration_ms } => within("duration_ms", duration_ms, &SLEEP_MS),
        }
    }

    /// The points that must lie on the screen, with the names of their coordinates.
    pub(super) fn points(&self) -> Vec<(String, String, Point)> {
        let one = |point| vec![("x".to_owned(), "y".to_owned(), point)];
        match self {
            Self::Click(click) => one(click.at),
            Self::Move(request) => one(request.to),
            Self::Scroll(scroll) => one(scroll.at),
            Self::Drag(drag) => (drag.path.iter().enumerate())
                .map(|(index, &point)| {
                    (
                        format!("path[{index}][0]"),
                        format!("path[{index}][1]"),
                        point,
                    )
                })
                .collect(),
            Self::Type(_) | Self::Press(_) | Self::SetCursor { .. } | Self::Sleep { .. } => {
                Vec::new()
            }
        }
    }
}

impl Click {
    fn check(&self) -> Result<(), Error> {
        within("num_clicks", &self.num_clicks, &CLICKS)?;
        check_keys("hold_keys", &self.hold_keys)
    }
}

impl Move {
    fn check(&self) -> Result<(), Error> {
        if let Some(duration) = self.duration_ms {
            within("duration_ms", &duration, &MOVE_MS)?;
        }
        check_keys("hold_keys", &self.hold_keys)
    }
}

impl Drag {
    fn check(&self) -> Result<(), Error> {
        within("path", &self.path.len(), &PATH)?;
        if !matches!(self.button, Button::Left | Button::Middle | Button::Right) {
            return Err(invalid("button", "must be left, middle or right"));
        }
        within("delay", &self.delay_ms, &PAUSE_MS)?;
        if let Some(duration) = self.duration_ms {
            within("duration_ms", &duration, &DRAG_MS)?;
        }
        within("steps_per_segment", &self.steps_per_segment, &STEPS)?;
        within("step_delay_ms", &self.step_delay_ms, &PAUSE_MS)?;
        check_keys("hold_keys", &self.hold_keys)
    }
}

impl Scroll {
    fn check(&self) -> Result<(), Error> {
        if (self.delta_x, self.delta_y) == (0, 0) {
            return Err(invalid("delta_y", "delta_x and delta_y are both 0"));
        }
        within("delta_x", &self.delta_x, &TICKS)?;
        within("delta_y", &self.delta_y, &TICKS)?;
        check_keys("hold_keys", &self.hold_keys)
    }
}

impl Type {
    fn check(&self) -> Result<(), Error> {
        let characters = self.text.chars().count();
        if characters > TEXT_MAX {
            let reason = format!("has {characters} characters, at most {TEXT_MAX} are allowed");
            return Err(invalid("text", reason));
        }
        within("delay", &self.delay_ms, &PAUSE_MS)?;
        within("typo_chance", &self.typo_chance, &TYPO_CHANCE)?;
        match self.text.chars().position(|c| !typing::is_typable(c)) {
            None => Ok(()),
            Some(position) => Err(Error::Untypable {
                character: self.text.chars().nth(position).unwrap_or_default(),
                position,
                reason: "no key stands for it",
            }),
        }
    }
}

impl Press {
    fn check(&self) -> Result<(), Error> {
        if self.keys.is_empty() {
            return Err(invalid("keys", "is empty"));
        }
        check_keys("keys", &self.keys)?;
        within("duration", &self.duration_ms, &PAUSE_MS)?;
        check_keys("hold_keys", &self.hold_keys)
    }
}

fn check_keys(field: &str, keys: &[String]) -> Result<(), Error> {
    if keys.len() > KEYS_MAX {
        let reason = format!("has {} entries, at most {KEYS_MAX} are allowed", keys.len());
        return Err(invalid(field, reason));
    }
    for (index, key) in keys.iter().enumerate() {
        Chord::parse(key).map_err(|reason| invalid(format!("{field}[{index}]"), reason))?;
    }
    Ok(())
}

pub(super) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Invalid {
        field: field.into(),
        reason: reason.into(),
    }
}

/// Checks that a value lies in a range. NaN lies in none.
pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: &T,
    range: &RangeInclusive<T>,
) -> Result<(), Error> {
    if range.contains(value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    let reason = format!("{value} is not between {least} and {most}");
    Err(invalid(field, reason))
}
