//! The mouse and the keyboard by the XTEST extension.
//!
//! One connection is kept. It is looked at before each use, and made anew when the server has
//! been restarted.

mod keymap;
mod lend;
mod link;
mod others;

use std::time::Duration;

use self::{keymap::Stroke, link::Link};
use super::{
    backend::{Backend, Clock},
    names::Key,
    path::Bounds,
    request::Point,
    typing::Tap,
};
use crate::{Display, Error};

/// How long the X server may take for one thing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many characters are typed before the client is asked whether it keeps up, and the
/// caller whether it still waits.
const WINDOW: usize = 256;

/// How many characters are sent together. They fit into the connection's buffer of 16 KiB, at 36
/// bytes an event: it would else be sent when it is full, perhaps with a key down whose release
/// comes so late that the server repeats the key.
const TOGETHER: usize = 64;

/// The mouse and the keyboard of an X display.
#[derive(Debug)]
pub(super) struct X11 {
    display: Display,
    link: Option<Link>,
    down: Down,
}

/// What is held down. Outlives a connection: the server holds keys for clients that are gone.
#[derive(Debug, Default)]
struct Down {
    codes: Vec<u8>,
    buttons: Vec<u8>,
    /// What was pressed for each key that is held, which is less where a key was down already.
    grips: Vec<(Key, Vec<u8>)>,
}

impl X11 {
    pub(super) fn new(display: Display) -> Self {
        Self {
            display,
            link: None,
            down: Down::default(),
        }
    }

    /// Does something on the connection, which is given up when it breaks.
    fn on<T>(
        &mut self,
        act: impl FnOnce(&mut Link, &mut Down) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let link = match &mut self.link {
            Some(link) => link,
            vacant => vacant.insert(Link::open(&self.display, PATIENCE)?),
        };
        link.allow(PATIENCE);
        let done = act(link, &mut self.down);
        if matches!(done, Err(Error::Lost { .. })) {
            self.link = None;
        }
        done
    }
}

impl Backend for X11 {
    fn begin(&mut self) -> Result<Bounds, Error> {
        if let Some(link) = &mut self.link {
            link.allow(PATIENCE);
            if link.take_events().is_err() {
                self.link = None;
            }
        }
        let is_down = !self.down.codes.is_empty() || !self.down.buttons.is_empty();
        let left_over = is_down && self.link.is_none();
        self.on(|link, down| {
            if left_over {
                down.release(link)?;
            }
            Ok(link.bounds())
        })
    }

    fn position(&mut self) -> Result<Point, Error> {
        self.on(|link, _| link.position())
    }

    fn motion(&mut self, to: Point) -> Result<(), Error> {
        self.on(|link, _| link.motion(to))
    }

    fn button(&mut self, number: u8, down: bool) -> Result<(), Error> {
        self.on(|link, held| {
            held.buttons.retain(|&other| other != number);
            if down {
                held.buttons.push(number);
            }
            link.button(number, down)
        })
    }

    fn prepare(&mut self, keys: &[Key]) -> Result<(), Error> {
        self.on(|link, down| {
            link.clear(&down.codes, others::SWITCHED)?;
            let keymap = link.keymap();
            let mut missing = Vec::new();
            for &key in keys {
                if let Key::Keysym(keysym) = key
                    && keymap.key(key).is_none()
                    && !missing.contains(&keysym)
                {
                    missing.push(keysym);
                }
            }
            if missing.len() > keymap.spare.len() {
                return Err(Error::NoSpareKey);
            }
            link.lend(&missing)
        })
    }

    fn press(&mut self, keys: &[Key]) -> Result<(), Error> {
        self.on(|link, down| {
            for &key in keys {
                let stroke = link.stroke(key).ok_or(Error::NoSpareKey)?;
                let codes = down.press(link, stroke)?;
                down.grips.push((key, codes));
            }
            Ok(())
        })
    }

    fn release(&mut self, keys: &[Key]) -> Result<(), Error> {
        self.on(|link, down| {
            for key in keys.iter().rev() {
                let Some(at) = down.grips.iter().rposition(|(other, _)| other == key) else {
                    continue;
                };
                let (_, codes) = down.grips.remove(at);
                for &code in codes.iter().rev() {
                    down.lift(link, code)?;
                }
            }
            Ok(())
        })
    }

    fn type_taps(&mut self, taps: &[Tap], clock: &Clock) -> Result<(), Error> {
        self.on(|link, down| link.clear(&down.codes, others::NUM_LOCK))?;
        let mut rest = taps;
        while !rest.is_empty() {
            clock.check()?;
            let count = self.on(|link, _| {
                let count = link.fit(rest)?;
                let unknown = rest.get(..count).unwrap_or_default();
                link.lend_characters(unknown)?;
                Ok(count)
            })?;
            if count == 0 {
                let position = taps.len() - rest.len();
                return Err(Error::Untypable {
                    character: rest.first().map_or(' ', |tap| tap.character),
                    position,
                    reason: "the layout has no key for it, and no spare key",
                });
            }
            let (now, later) = rest.split_at(count);
            for (index, tap) in now.iter().enumerate() {
                self.on(|link, down| down.tap(link, tap.character))?;
                if tap.pause.is_zero() {
                    if index % TOGETHER == TOGETHER - 1 {
                        self.on(|link, _| link.send())?;
                    }
                } else {
                    self.flush()?;
                    clock.pause(tap.pause)?;
                }
            }
            self.on(|link, down| {
                if later.is_empty() {
                    down.shift(link, 0)?;
                } else {
                    link.keep_up()?;
                }
                link.check_undisturbed(&down.codes)
            })?;
            rest = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.on(|link, _| link.round_trip())
    }

    fn end(&mut self, went_well: bool) -> Result<(), Error> {
        if self.link.is_none() {
            if went_well {
                self.down = Down::default();
            }
            return Ok(());
        }
        self.on(|link, down| {
            if went_well {
                *down = Down::default();
            } else {
                down.release(link)?;
            }
            link.restore()
        })
    }
}

impl Down {
    /// Presses what is not down yet, and says what that was.
    fn press(&mut self, link: &mut Link, stroke: Stroke) -> Result<Vec<u8>, Error> {
        let mut codes: Vec<u8> = link.keymap().modifier_keys(stroke.mods).collect();
        codes.push(stroke.code);
        codes.retain(|code| !self.codes.contains(code));
        for &code in &codes {
            self.codes.push(code);
            link.key(code, true)?;
        }
        Ok(codes)
    }

    fn lift(&mut self, link: &mut Link, code: u8) -> Result<(), Error> {
        link.key(code, false)?;
        self.codes.retain(|&other| other != code);
        Ok(())
    }

    /// Presses and releases the key for a character. Its modifiers stay down for the next one.
    fn tap(&mut self, link: &mut Link, character: char) -> Result<(), Error> {
        let stroke = link.character(character).ok_or(Error::NoSpareKey)?;
        self.shift(link, stroke.mods)?;
        self.codes.push(stroke.code);
        link.key(stroke.code, true)?;
        self.lift(link, stroke.code)
    }

    /// Has exactly these modifiers down.
    fn shift(&mut self, link: &mut Link, mods: u16) -> Result<(), Error> {
        let wanted: Vec<u8> = link.keymap().modifier_keys(mods).collect();
        let all: Vec<u8> = link.keymap().modifier_keys(u16::MAX).collect();
        for code in all {
            match (wanted.contains(&code), self.codes.contains(&code)) {
                (true, false) => {
                    self.codes.push(code);
                    link.key(code, true)?;
                }
                (false, true) => self.lift(link, code)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn release(&mut self, link: &mut Link) -> Result<(), Error> {
        for &number in self.buttons.iter().rev() {
            link.button(number, false)?;
        }
        for &code in self.codes.iter().rev() {
            link.key(code, false)?;
        }
        link.round_trip()?;
        *self = Self::default();
        Ok(())
    }
}
