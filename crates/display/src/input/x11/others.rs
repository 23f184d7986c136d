//! What others do to the keyboard: keys that they hold, latch and lock, and layouts they change.
//!
//! A viewer whose release of a key was lost holds it for ever, and turns what is typed into
//! shortcuts. So whatever others hold is let go of before a key is pressed, and is not pressed
//! again afterwards: who had lifted it meanwhile could not lift it any more.

use x11rb::protocol::{
    xkb::{self, ConnectionExt as _, ID},
    xproto::ModMask,
};

use super::link::Link;
use crate::{Error, error::Attempt as _};

/// The Caps Lock modifier, in the core protocol's mask.
const CAPS_LOCK: u16 = 2;
/// The modifier that every layout puts Num Lock on. What it does to keys is in the keymap.
pub(super) const NUM_LOCK: u16 = 16;
/// The locks that a press of a key is not freed of: it may be what switches them.
pub(super) const SWITCHED: u16 = CAPS_LOCK | NUM_LOCK;

/// What is set on the keyboard, beside its layout.
#[derive(Debug, Default)]
pub(super) struct Set {
    /// The codes of the keys that are down.
    pub(super) down: Vec<u8>,
    /// The modifiers that the next key alone gets.
    pub(super) latched: u16,
    /// Whether the next key alone gets another group.
    pub(super) group_latched: bool,
}

impl Link {
    /// Lets go of everything that others hold or have latched, and until [`Self::restore`] of all
    /// locked modifiers but `kept`. Reads the layout anew.
    ///
    /// # Errors
    /// [`Error::Held`] for what cannot be let go of, as a key of a keyboard that is in
    /// somebody's hands.
    pub(super) fn clear(&mut self, own: &[u8], kept: u16) -> Result<(), Error> {
        self.read_keymap()?;
        if self.is_clear(own, kept) {
            return self.let_clients_read();
        }
        for code in self.held_by_others(own) {
            self.key(code, false)?;
        }
        let locked = self.state().locked;
        self.relock |= locked & !kept;
        self.set_locks(locked & kept)?;
        self.read_keymap()?;
        if !self.is_clear(own, kept) {
            return Err(Error::Held);
        }
        self.let_clients_read()
    }

    /// Fails if others have pressed a modifier or changed the layout since the keyboard was read:
    /// nobody knows then which of the keys before it have met.
    pub(super) fn check_undisturbed(&mut self, own: &[u8]) -> Result<(), Error> {
        let before = self.state();
        self.read_set()?;
        let is_same = self.state() == before && self.is_clear(own, before.locked);
        // The server tells of news too where another of its keyboards only took over.
        if is_same && self.has_same_layout()? {
            return Ok(());
        }
        Err(Error::Disturbed)
    }

    fn held_by_others(&self, own: &[u8]) -> Vec<u8> {
        let down = self.set.down.iter().copied();
        down.filter(|code| !own.contains(code)).collect()
    }

    fn is_clear(&self, own: &[u8], kept: u16) -> bool {
        self.held_by_others(own).is_empty()
            && self.set.latched == 0
            && !self.set.group_latched
            && self.state().locked & !kept == 0
    }

    /// Has exactly these modifiers locked, and nothing latched.
    fn set_locks(&self, locks: u16) -> Result<(), Error> {
        let all = ModMask::from(0xff_u16);
        self.connection
            .x
            .xkb_latch_lock_state(
                ID::USE_CORE_KBD.into(),
                all,
                ModMask::from(locks),
                false,
                xkb::Group::M1,
                all,
                true,
                0,
            )
            .attempt("unlock the modifiers of the keyboard")?;
        Ok(())
    }

    /// Undoes what was changed to type.
    pub(super) fn restore(&mut self) -> Result<(), Error> {
        self.take_back()?;
        let relock = std::mem::take(&mut self.relock);
        if relock != 0 {
            self.read_set()?;
            self.set_locks(self.state().locked | relock)?;
            self.round_trip()?;
        }
        Ok(())
    }
}
