//! Names of keys and combinations, as xdotool takes them.
//!
//! A name is one of X's (`X11/keysymdef.h` and its vendor headers, the table that Xlib's
//! `XStringToKeysym` knows), an alias of xdotool's (`symbol_map` in its `xdo_util.h`), `U` with
//! a code point, `0x` with a keysym, or a number that is a keycode. Beyond xdotool, a single
//! character stands for itself.

use std::{collections::HashMap, sync::LazyLock};

/// One line for each name: the name, its keysym, and its code point where the keysym does not
/// tell it; both hexadecimal.
const TABLE: &str = include_str!("keysyms.tsv");

/// xdotool compares these without regard to case.
const ALIASES: [(&str, &str); 8] = [
    ("alt", "Alt_L"),
    ("ctrl", "Control_L"),
    ("control", "Control_L"),
    ("meta", "Meta_L"),
    ("super", "Super_L"),
    ("shift", "Shift_L"),
    ("enter", "Return"),
    ("return", "Return"),
];

/// Keysyms from here on hold a code point: this and the code point (X11 protocol, appendix A).
const UNICODE: u32 = 0x0100_0000;
/// The keycodes that the protocol allows.
const KEYCODES: std::ops::RangeInclusive<u32> = 8..=255;

static KEYSYMS: LazyLock<HashMap<&str, u32>> =
    LazyLock::new(|| rows().map(|(name, keysym, _)| (name, keysym)).collect());
static CHARACTERS: LazyLock<HashMap<u32, char>> = LazyLock::new(|| {
    rows()
        .filter_map(|(_, keysym, character)| Some((keysym, character?)))
        .collect()
});

fn rows() -> impl Iterator<Item = (&'static str, u32, Option<char>)> {
    TABLE.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let name = fields.next()?;
        let keysym = u32::from_str_radix(fields.next()?, 16).ok()?;
        let character = fields
            .next()
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        Some((name, keysym, character.and_then(char::from_u32)))
    })
}

/// The first name of each keysym.
static NAMES: LazyLock<HashMap<u32, &str>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (name, keysym, _) in rows() {
        names.entry(keysym).or_insert(name);
    }
    names
});

/// A key, by what it means or by where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The key that gives this keysym.
    Keysym(u32),
    /// The key with this code.
    Keycode(u8),
}

/// Keys that are pressed together, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chord {
    pub(super) keys: Vec<Key>,
}

impl Chord {
    /// Reads a combination such as `Ctrl+Shift+t`. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let mut names: Vec<&str> = Vec::new();
        let mut rest = text;
        // A plus that stands where a name must stand is the key itself.
        loop {
            let end = rest
                .char_indices()
                .skip(1)
                .find_map(|(at, character)| (character == '+').then_some(at));
            let Some(end) = end else {
                names.push(rest);
                break;
            };
            names.push(&rest[..end]);
            rest = &rest[end + 1..];
        }
        let keys = names.into_iter().map(|name| {
            key(name).ok_or_else(|| {
                if name == text {
                    format!("unknown key {name:?}")
                } else {
                    format!("unknown key {name:?} in {text:?}")
                }
            })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }
}

fn key(name: &str) -> Option<Key> {
    let mut characters = name.chars();
    let alone = match (characters.next(), characters.next()) {
        (Some(character), None) => Some(character),
        _ => None,
    };
    let alias = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    let name = alias.map_or(name, |(_, name)| name);
    if let Some(&keysym) = KEYSYMS.get(name) {
        return Some(Key::Keysym(keysym));
    }
    if let Some(character) = alone {
        return (!character.is_control()).then(|| Key::Keysym(keysym_of(character)));
    }
    if let Some(hex) = name.strip_prefix('U') {
        let point = number(hex, 16)?;
        return char::from_u32(point).map(|character| Key::Keysym(keysym_of(character)));
    }
    if let Some(hex) = name.strip_prefix("0x") {
        return number(hex, 16).filter(|&it| it != 0).map(Key::Keysym);
    }
    let code = number(name, 10).filter(|code| KEYCODES.contains(code))?;
    u8::try_from(code).ok().map(Key::Keycode)
}

fn number(digits: &str, radix: u32) -> Option<u32> {
    // `from_str_radix` would take a sign.
    digits
        .chars()
        .all(|digit| digit.is_digit(radix))
        .then(|| u32::from_str_radix(digits, radix).ok())?
}

/// A name by which xdotool knows the key.
pub(super) fn name_of(key: Key) -> String {
    match key {
        Key::Keycode(code) => code.to_string(),
        Key::Keysym(keysym) => match (NAMES.get(&keysym), keysym.checked_sub(UNICODE)) {
            (Some(&name), _) => name.to_owned(),
            (None, Some(point)) => format!("U{point:04X}"),
            (None, None) => format!("0x{keysym:x}"),
        },
    }
}

/// The keysym that stands for a character. Latin-1 stands for itself; for the others the form
/// that holds the code point is taken, which every client knows.
pub(super) fn keysym_of(character: char) -> u32 {
    match character {
        '\n' | '\r' => 0xff0d,
        '\t' => 0xff09,
        '\u{8}' => 0xff08,
        ' '..='~' | '\u{a0}'..='\u{ff}' => character.into(),
        _ => UNICODE + u32::from(character),
    }
}

/// The character that a keysym stands for, if it does.
pub(super) fn character_of(keysym: u32) -> Option<char> {
    match keysym {
        0x20..=0x7e | 0xa0..=0xff => char::from_u32(keysym),
        0xff0d => Some('\n'),
        0xff09 => Some('\t'),
        0xff08 => Some('\u{8}'),
        UNICODE.. => char::from_u32(keysym.wrapping_sub(UNICODE)),
        _ => CHARACTERS.get(&keysym).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keysyms(text: &str) -> Vec<u32> {
        let chord = Chord::parse(text).unwrap();
        let keysym = |key| match key {
            Key::Keysym(keysym) => keysym,
            Key::Keycode(code) => panic!("{text} is keycode {code}"),
        };
        chord.keys.into_iter().map(keysym).collect()
    }

    #[test]
    fn names_and_aliases_mean_what_xlib_and_xdotool_say() {
        for (text, expected) in [
            ("a", vec![0x61]),
            ("A", vec![0x41]),
            ("1", vec![0x31]),
            ("Return", vec![0xff0d]),
            ("ENTER", vec![0xff0d]),
            ("Page_Up", vec![0xff55]),
            ("Prior", vec![0xff55]),
            ("F11", vec![0xffc8]),
            ("XF86AudioMute", vec![0x1008_ff12]),
            ("Ctrl+Shift+t", vec![0xffe3, 0xffe1, 0x74]),
            ("CONTROL+alt+Delete", vec![0xffe3, 0xffe9, 0xffff]),
            ("super+meta", vec![0xffeb, 0xffe7]),
            ("Ctrl+-", vec![0xffe3, 0x2d]),
            ("Ctrl+minus", vec![0xffe3, 0x2d]),
            ("+", vec![0x2b]),
            ("Ctrl++", vec![0xffe3, 0x2b]),
            ("++a", vec![0x2b, 0x61]),
            ("U20AC", vec![0x0100_20ac]),
            ("U41", vec![0x41]),
            ("EuroSign", vec![0x20ac]),
            ("é", vec![0xe9]),
            ("漢", vec![0x0100_6f22]),
            ("0xff0d", vec![0xff0d]),
        ] {
            assert_eq!(keysyms(text), expected, "{text}");
        }
        assert_eq!(Chord::parse("36").unwrap().keys, [Key::Keycode(36)]);
    }

    #[test]
    fn unknown_names_are_named() {
        for (text, expected) in [
            ("", "is empty"),
            ("Hyperspace", "unknown key \"Hyperspace\""),
            ("Ctrl+Bogus", "unknown key \"Bogus\" in \"Ctrl+Bogus\""),
            ("Ctrl+", "unknown key \"\" in \"Ctrl+\""),
            ("\u{7}", "unknown key \"\\u{7}\""),
            ("256", "unknown key \"256\""),
            ("U110000", "unknown key \"U110000\""),
            ("UD800", "unknown key \"UD800\""),
            ("U+20AC", "unknown key \"20AC\" in \"U+20AC\""),
        ] {
            assert_eq!(Chord::parse(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn characters_have_keysyms_and_back() {
        for character in ['a', '~', ' ', 'ÿ', 'ж', '漢', '😀', 'ש', '\n', '\t'] {
            assert_eq!(character_of(keysym_of(character)), Some(character));
        }
        assert_eq!(character_of(0x06c1), Some('а'), "Cyrillic_a");
        assert_eq!(character_of(0x20ac), Some('€'));
        assert_eq!(character_of(0xffb1), None, "KP_1 is no way to type 1");
        assert_eq!(character_of(0xffe1), None);
    }
}
