//! The keyboard's present layout: which key, with which modifiers, gives what.
//!
//! How a key, the modifiers and the group make a keysym is told by the X Keyboard Extension's
//! protocol ("Computing effective modifiers", "Key types").

use std::collections::{HashMap, hash_map::Entry};

use x11rb::protocol::{
    xkb::{GetMapReply, KeySymMap, KeyType},
    xproto::GetModifierMappingReply,
};

use super::super::names::{Key, character_of};

/// Keysyms whose keys change the level while held: Shift (both), Level3, Mode switch, Level5.
const LEVEL_KEYS: [u32; 5] = [0xffe1, 0xffe2, 0xfe03, 0xff7e, 0xfe11];

/// A key to press, with the modifiers that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stroke {
    pub(super) code: u8,
    /// As the core protocol's mask.
    pub(super) mods: u16,
}

/// What decides about the meaning of keys, besides the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) group: u8,
    pub(super) locked: u16,
}

/// The present layout.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Keymap {
    keysyms: HashMap<u32, Stroke>,
    characters: HashMap<char, Stroke>,
    /// Keys that mean nothing, and can be lent a meaning.
    pub(super) spare: Vec<u8>,
    /// For each modifier, by its number, the key that sets it while held, if it may be used.
    modifiers: [Option<u8>; 8],
}

impl Keymap {
    pub(super) fn new(
        map: &GetMapReply,
        modifiers: &GetModifierMappingReply,
        state: State,
        lent: &[u8],
    ) -> Self {
        let mut this = Self::default();
        let (Some(types), Some(keys)) = (&map.map.types_rtrn, &map.map.syms_rtrn) else {
            return this;
        };
        let keys: Vec<(u8, &KeySymMap)> = (map.first_key_sym..=u8::MAX).zip(keys).collect();
        this.find_modifiers(modifiers, &keys);
        let usable = this.usable_masks();
        for &(code, key) in &keys {
            if lent.contains(&code) || key.syms.iter().all(|&keysym| keysym == 0) {
                if !modifiers.keycodes.contains(&code) {
                    this.spare.push(code);
                }
                continue;
            }
            for &mods in &usable {
                let keysym = keysym(types, key, state.group, mods | state.locked);
                if keysym != 0 {
                    this.add(keysym, Stroke { code, mods });
                }
            }
        }
        this
    }

    /// The key for a meaning, if the layout has one.
    pub(super) fn key(&self, key: Key) -> Option<Stroke> {
        match key {
            Key::Keycode(code) => Some(Stroke { code, mods: 0 }),
            Key::Keysym(keysym) => {
                let direct = self.keysyms.get(&keysym).copied();
                // A character has several keysyms; the layout may have it under another one.
                direct.or_else(|| self.character(character_of(keysym)?))
            }
        }
    }

    pub(super) fn character(&self, character: char) -> Option<Stroke> {
        self.characters.get(&character).copied()
    }

    /// The keys that set these modifiers.
    pub(super) fn modifier_keys(&self, mods: u16) -> impl Iterator<Item = u8> + '_ {
        let set = move |(bit, code): (u8, &Option<u8>)| code.filter(|_| mods & (1 << bit) != 0);
        (0..8).zip(&self.modifiers).filter_map(set)
    }

    fn find_modifiers(&mut self, reply: &GetModifierMappingReply, keys: &[(u8, &KeySymMap)]) {
        let per_modifier = usize::from(reply.keycodes_per_modifier());
        let changes_level = |code: &u8| {
            let key = keys.iter().find(|(other, _)| other == code);
            let first = key.and_then(|(_, key)| key.syms.first());
            first.is_some_and(|keysym| LEVEL_KEYS.contains(keysym))
        };
        for (codes, slot) in reply
            .keycodes
            .chunks(per_modifier.max(1))
            .zip(&mut self.modifiers)
        {
            *slot = codes
                .iter()
                .copied()
                .filter(|&code| code != 0)
                .find(changes_level);
        }
    }

    /// The combinations of modifiers that can be set by keys, those with the fewest first.
    fn usable_masks(&self) -> Vec<u16> {
        let usable = (0..8)
            .zip(&self.modifiers)
            .filter(|(_, code)| code.is_some())
            .fold(0, |mask: u16, (bit, _)| mask | (1 << bit));
        let mut masks: Vec<u16> = (0..=0xff).filter(|mask| mask & !usable == 0).collect();
        masks.sort_by_key(|mask| mask.count_ones());
        masks
    }

    fn add(&mut self, keysym: u32, stroke: Stroke) {
        // Of the keys for a character the first one wins, which is the one on the main block;
        // of those for other meanings, the one that needs no modifiers.
        match self.keysyms.entry(keysym) {
            Entry::Vacant(vacant) => {
                vacant.insert(stroke);
            }
            Entry::Occupied(mut known) => {
                let fewer = stroke.mods.count_ones() < known.get().mods.count_ones();
                if fewer && character_of(keysym).is_none() {
                    known.insert(stroke);
                }
            }
        }
        if let Some(character) = character_of(keysym) {
            self.characters.entry(character).or_insert(stroke);
        }
    }
}

/// What a key gives.
fn keysym(types: &[KeyType], key: &KeySymMap, group: u8, mods: u16) -> u32 {
    let groups = key.group_info & 0x0f;
    if groups == 0 {
        return 0;
    }
    let group = if group < groups {
        group
    } else {
        match key.group_info & 0xc0 {
            0x40 => groups - 1,
            0x80 => {
                let other = (key.group_info >> 4) & 0x03;
                if other < groups { other } else { 0 }
            }
            _ => group % groups,
        }
    };
    let group = usize::from(group);
    let Some(kind) = key
        .kt_index
        .get(group)
        .and_then(|&index| types.get(usize::from(index)))
    else {
        return 0;
    };
    let mods = mods & u16::from(kind.mods_mask);
    let level = kind
        .map
        .iter()
        .find(|entry| entry.active && u16::from(entry.mods_mask) == mods)
        .map_or(0, |entry| entry.level);
    let index = group * usize::from(key.width) + usize::from(level);
    key.syms.get(index).copied().unwrap_or(0)
}
