//! Doing what was asked, in terms of a backend.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    CursorSwitch,
    backend::{Backend, Clock},
    names::{Chord, Key},
    path::{self, Bounds, Step},
    request::{
        Action, Click, ClickType, DRAG_MS, Drag, MOVE_MS, Move, Point, Press, Scroll, Type, invalid,
    },
    typing,
};
use crate::Error;

/// Between two clicks of one request. Clients tell them apart by the server's time, which
/// counts milliseconds, and count those as one double click that follow quickly.
const BETWEEN_CLICKS: Duration = Duration::from_millis(10);

/// Does what was asked, through a backend that has begun.
pub(super) struct Performer<'a> {
    pub(super) backend: &'a mut dyn Backend,
    pub(super) bounds: Bounds,
    pub(super) clock: &'a Clock,
    pub(super) cursor: Option<&'a CursorSwitch>,
    pub(super) plain_clients: bool,
    pub(super) rng: &'a mut Rng,
}

impl Performer<'_> {
    /// Checks what the request alone does not tell.
    pub(super) fn check(&self, action: &Action) -> Result<(), Error> {
        for (x, y, point) in action.points() {
            for (field, value, size) in [
                (x, point.x, self.bounds.width),
                (y, point.y, self.bounds.height),
            ] {
                if !(0..i32::from(size)).contains(&value) {
                    let most = size.saturating_sub(1);
                    let reason = format!("{value} is outside the screen (0 to {most})");
                    return Err(invalid(field, reason));
                }
            }
        }
        match action {
            Action::SetCursor { .. } if self.cursor.is_none() => Err(Error::NoCursor),
            Action::Type(request) if !self.plain_clients => check_composing(&request.text),
            _ => Ok(()),
        }
    }

    /// Does it, and sees to it that the server has done it.
    pub(super) fn perform(&mut self, action: &Action) -> Result<(), Error> {
        self.clock.check()?;
        match action {
            Action::Click(click) => self.click(click)?,
            Action::Move(request) => self.move_pointer(request)?,
            Action::Type(request) => self.type_text(request)?,
            Action::Press(press) => self.press_keys(press)?,
            Action::Scroll(scroll) => self.scroll(scroll)?,
            Action::Drag(drag) => self.drag(drag)?,
            Action::SetCursor { hidden } => {
                let switch = self.cursor.ok_or(Error::NoCursor)?;
                return switch(*hidden);
            }
            Action::Sleep { duration_ms } => {
                return self.clock.pause(Duration::from_millis(*duration_ms));
            }
        }
        self.backend.flush()
    }

    fn click(&mut self, click: &Click) -> Result<(), Error> {
        let number = click.button.number();
        let keys = chords(&click.hold_keys, false)?.concat();
        self.holding(&keys, |this| {
            this.backend.motion(click.at)?;
            for index in 0..click.num_clicks {
                if index > 0 {
                    this.backend.flush()?;
                    this.clock.pause(BETWEEN_CLICKS)?;
                }
                if matches!(click.click_type, ClickType::Click | ClickType::Down) {
                    this.backend.button(number, true)?;
                }
                if matches!(click.click_type, ClickType::Click | ClickType::Up) {
                    this.backend.button(number, false)?;
                }
            }
            Ok(())
        })
    }

    fn move_pointer(&mut self, request: &Move) -> Result<(), Error> {
        let keys = chords(&request.hold_keys, false)?.concat();
        self.holding(&keys, |this| {
            if !request.smooth {
                return this.backend.motion(request.to);
            }
            let way = [this.backend.position()?, request.to];
            let duration = duration(
                &way,
                request.duration_ms,
                (*MOVE_MS.start(), *MOVE_MS.end()),
            );
            let steps = path::smooth(&way, duration, this.bounds, this.rng);
            this.walk(&steps)
        })
    }

    fn drag(&mut self, drag: &Drag) -> Result<(), Error> {
        let number = drag.button.number();
        let keys = chords(&drag.hold_keys, false)?.concat();
        let start = drag
            .path
            .first()
            .copied()
            .ok_or_else(|| invalid("path", "is empty"))?;
        self.holding(&keys, |this| {
            this.backend.motion(start)?;
            this.backend.button(number, true)?;
            this.backend.flush()?;
            this.clock.pause(Duration::from_millis(drag.delay_ms))?;
            let steps = if drag.smooth {
                let limits = (*DRAG_MS.start(), *DRAG_MS.end());
                let duration = duration(&drag.path, drag.duration_ms, limits);
                path::smooth(&drag.path, duration, this.bounds, this.rng)
            } else {
                let pause = Duration::from_millis(drag.step_delay_ms);
                path::straight(&drag.path, drag.steps_per_segment, pause)
            };
            this.walk(&steps)?;
            this.backend.button(number, false)
        })
    }

    fn scroll(&mut self, scroll: &Scroll) -> Result<(), Error> {
        let keys = chords(&scroll.hold_keys, false)?.concat();
        // Buttons 4 to 7 are the wheel: up, down, left, right.
        let vertical = if scroll.delta_y < 0 { 4 } else { 5 };
        let horizontal = if scroll.delta_x < 0 { 6 } else { 7 };
        self.holding(&keys, |this| {
            this.backend.motion(scroll.at)?;
            for (number, ticks) in [(vertical, scroll.delta_y), (horizontal, scroll.delta_x)] {
                for _ in 0..ticks.unsigned_abs() {
                    this.clock.check()?;
                    this.backend.button(number, true)?;
                    this.backend.button(number, false)?;
                }
            }
            Ok(())
        })
    }

    fn type_text(&mut self, request: &Type) -> Result<(), Error> {
        let pause = Duration::from_millis(request.delay_ms);
        let taps = if request.smooth {
            typing::smooth(&request.text, pause, request.typo_chance, self.rng)
        } else {
            typing::even(&request.text, pause)
        };
        self.backend.type_taps(&taps, self.clock)
    }

    fn press_keys(&mut self, press: &Press) -> Result<(), Error> {
        let held = chords(&press.hold_keys, false)?.concat();
        let chords = chords(&press.keys, !held.is_empty())?;
        self.backend
            .prepare(&[held.clone(), chords.concat()].concat())?;
        self.backend.press(&held)?;
        if press.duration_ms == 0 {
            for chord in &chords {
                self.clock.check()?;
                self.backend.press(chord)?;
                self.backend.release(chord)?;
            }
        } else {
            let all = chords.concat();
            self.backend.press(&all)?;
            self.backend.flush()?;
            self.clock.pause(Duration::from_millis(press.duration_ms))?;
            self.backend.release(&all)?;
        }
        self.backend.release(&held)
    }

    /// Holds keys meanwhile. When it fails, they are released with everything else.
    fn holding(
        &mut self,
        keys: &[Key],
        act: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return act(self);
        }
        self.backend.prepare(keys)?;
        self.backend.press(keys)?;
        act(self)?;
        self.backend.release(keys)
    }

    fn walk(&mut self, steps: &[Step]) -> Result<(), Error> {
        let start = Instant::now();
        for step in steps {
            self.clock.until(start + step.at)?;
            self.backend.motion(step.to)?;
            self.backend.flush()?;
        }
        Ok(())
    }
}

fn check_composing(text: &str) -> Result<(), Error> {
    let swallowed = |&(_, character): &(usize, char)| typing::starts_sequence(character);
    match text.chars().enumerate().find(swallowed) {
        None => Ok(()),
        Some((position, character)) => Err(Error::Untypable {
            character,
            position,
            reason: "GTK would take its key for a dead key",
        }),
    }
}

/// How long a smooth way takes: as long as asked, else as long as a hand takes.
fn duration(way: &[Point], asked_ms: Option<u64>, (least, most): (u64, u64)) -> Duration {
    let limits = (Duration::from_millis(least), Duration::from_millis(most));
    asked_ms.map_or_else(
        || path::natural_duration(way, limits.0, limits.1),
        Duration::from_millis,
    )
}

/// The keys of each combination in a list.
fn chords(names: &[String], is_held: bool) -> Result<Vec<Vec<Key>>, Error> {
    let parsed = names.iter().map(|name| Chord::parse(name));
    let chords = parsed
        .collect::<Result<_, _>>()
        .map_err(|reason| invalid("keys", reason))?;
    let chords = Chord::sequence(chords, is_held).into_iter();
    Ok(chords.map(|chord| chord.keys).collect())
}
