//! Names of keys and combinations.
//!
//! A name is one of X's (`X11/keysymdef.h` and its vendor headers, the table that Xlib's
//! `XStringToKeysym` knows), as everywhere in xdotool, `U` with a code point, `0x` with a keysym, a
//! number that is a keycode, or a single character, which stands for itself. What is none of these
//! may be a name that others give to keys: see [`spoken`].

mod spoken;

use std::{collections::HashMap, sync::LazyLock};

/// One line for each name: the name, its keysym, and its code point where the keysym does not
/// tell it; both hexadecimal.
const TABLE: &str = include_str!("keysyms.tsv");

/// Keysyms from here on hold a code point: this and the code point (X11 protocol, appendix A).
const UNICODE: u32 = 0x0100_0000;
/// The keysyms of modifiers, and of some of their locks (`X11/keysymdef.h`, "Modifiers").
const MODIFIERS: std::ops::RangeInclusive<u32> = 0xffe1..=0xffee;
/// Caps Lock and Shift Lock.
const LOCKS: [u32; 2] = [0xffe5, 0xffe6];
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
        let names = split(text);
        let is_alone = names.len() == 1;
        let keys = names.into_iter().map(|name| {
            key(name).ok_or_else(|| {
                let within = if is_alone {
                    String::new()
                } else {
                    format!(" in {text:?}")
                };
                let near = match spoken::nearest(name)[..] {
                    [] => String::new(),
                    ref near => format!("; did you mean {}?", near.join(" or ")),
                };
                format!("unknown key {name:?}{within}{near}")
            })
        });
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// What a list of names asks for: one combination after the other, or a single one where the
    /// list begins with a modifier alone, as in `["Ctrl", "a"]`. The capitals of a combination add
    /// no Shift by themselves; nor do they while other keys are held.
    pub(super) fn sequence(chords: Vec<Self>, is_held: bool) -> Vec<Self> {
        let is_one = chords.first().is_some_and(Self::is_modifiers);
        let mut chords = if is_one {
            let keys = chords.into_iter().flat_map(|chord| chord.keys).collect();
            vec![Self { keys }]
        } else {
            chords
        };
        for chord in &mut chords {
            if is_held || chord.keys.len() > 1 {
                chord.keys = chord.keys.iter().copied().map(uncapitalised).collect();
            }
        }
        chords
    }

    fn is_modifiers(&self) -> bool {
        self.keys.iter().all(|&key| match key {
            Key::Keysym(keysym) => MODIFIERS.contains(&keysym) && !LOCKS.contains(&keysym),
            Key::Keycode(_) => false,
        })
    }
}

/// The names in a combination. A plus that stands where a name must stand is the key itself, and so
/// is a space where nothing else does.
fn split(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let begun = rest.trim_start_matches(' ');
        if begun.is_empty() && !rest.is_empty() {
            names.push(" ");
            return names;
        }
        let end = begun
            .char_indices()
            .skip(1)
            .find_map(|(at, character)| (character == '+').then_some(at));
        let Some(end) = end else {
            names.push(begun.trim_end_matches(' '));
            return names;
        };
        names.push(begun[..end].trim_end_matches(' '));
        rest = &begun[end + 1..];
    }
}

/// The same key without the Shift that a capital needs.
fn uncapitalised(key: Key) -> Key {
    let Key::Keysym(keysym) = key else { return key };
    let Some(capital) = character_of(keysym).filter(|it| it.is_uppercase()) else {
        return key;
    };
    let mut small = capital.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) => Key::Keysym(keysym_of(small)),
        _ => key,
    }
}

fn key(name: &str) -> Option<Key> {
    let mut characters = name.chars();
    if let (Some(character), None) = (characters.next(), characters.next()) {
        return (!character.is_control()).then(|| Key::Keysym(keysym_of(character)));
    }
    if let Some(&keysym) = KEYSYMS.get(name) {
        return Some(Key::Keysym(keysym));
    }
    if let Some(point) = name.strip_prefix('U').and_then(|hex| number(hex, 16)) {
        return char::from_u32(point).map(|character| Key::Keysym(keysym_of(character)));
    }
    if let Some(hex) = name.strip_prefix("0x") {
        return number(hex, 16).filter(|&it| it != 0).map(Key::Keysym);
    }
    if let Some(code) = number(name, 10) {
        let code = Some(code).filter(|code| KEYCODES.contains(code))?;
        return u8::try_from(code).ok().map(Key::Keycode);
    }
    let of_x = spoken::of_x(name)?;
    KEYSYMS.get(&*of_x).copied().map(Key::Keysym)
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
            ("super+Meta_L", vec![0xffeb, 0xffe7]),
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
            (
                "Hyperspace",
                "unknown key \"Hyperspace\"; did you mean hairspace?",
            ),
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
    fn names_of_people_pages_and_models_are_known() {
        for (expected, names) in [
            (0xff1b, "Escape,ESC,Esc,esc,escape,ESCAPE"),
            (0xff0d, "Return,Enter,ENTER,enter,return,RETURN,ret"),
            (0xff8d, "KP_Enter,NumpadEnter,numpad_enter,kp_enter"),
            (0xff09, "Tab,tab,TAB"),
            (0xff08, "BackSpace,Backspace,BACKSPACE,back_space,backspace"),
            (0xffff, "Delete,DEL,del,DELETE,forward-delete"),
            (0xff63, "Insert,insert,INS,ins"),
            (0x20, "space,SPACE,Space,Spacebar, "),
            (0xff52, "Up,UP,ArrowUp,ARROWUP,arrow_up,up-arrow,UP ARROW"),
            (0xff54, "Down,down,ArrowDown,ARROWDOWN,Arrow Down"),
            (0xff51, "Left,LEFT,ArrowLeft,ARROWLEFT"),
            (0xff53, "Right,right,ArrowRight,arrowright"),
            (0xff55, "Page_Up,Prior,PageUp,PAGEUP,page_up,pgup,PgUp"),
            (
                0xff56,
                "Page_Down,Next,PageDown,PAGEDOWN,page_down,PgDn,page-down,pgdown",
            ),
            (0xff50, "Home,home,HOME"),
            (0xff57, "End,end,END"),
            (0xffe5, "Caps_Lock,CapsLock,CAPSLOCK,caps_lock,caps"),
            (0xff61, "Print,PRINTSCREEN,PrintScreen,print_screen,PrtSc"),
            (0xff67, "Menu,ContextMenu,CONTEXTMENU,context menu,menu"),
            (0xffe3, "Control_L,ctrl,CTRL,Control,ControlLeft,CONTROL"),
            (0xffe4, "Control_R,ControlRight,right ctrl"),
            (0xffe9, "Alt_L,alt,ALT,option,OPTION,AltLeft"),
            (0xffe1, "Shift_L,shift,SHIFT,ShiftLeft"),
            (
                0xffeb,
                "Super_L,super,CMD,cmd,Command,META,Meta,MetaLeft,win,WIN,Windows,OS",
            ),
            (0xfe03, "ISO_Level3_Shift,AltGraph,altgr"),
            (0xffbe, "F1,f1"),
            (0xffc9, "F12,f12"),
            (0x61, "a,KeyA,keya"),
            (0x31, "1,Digit1"),
            (0xffb1, "KP_1,Numpad1"),
            (0xffab, "KP_Add,NumpadAdd"),
            (0x2d, "minus,Minus,-,dash"),
            (0x5b, "bracketleft,BracketLeft,["),
            (0x60, "grave,Backquote"),
            (0x27, "apostrophe,Quote"),
            (0x1008_ff13, "XF86AudioRaiseVolume,AudioVolumeUp"),
            // A name of X means that, whatever else it may look like.
            (0x08fc, "uparrow"),
            (0xc1, "Aacute"),
            (0xe1, "aacute"),
        ] {
            for name in names.split(',') {
                assert_eq!(keysyms(name), [expected], "{name}");
            }
        }
        assert_eq!(
            keysyms("ctrl + shift + Page_Down"),
            [0xffe3, 0xffe1, 0xff56]
        );
        assert_eq!(keysyms("Ctrl + +"), [0xffe3, 0x2b]);
        assert_eq!(keysyms("cmd+c"), [0xffeb, 0x63]);
        assert_eq!(keysyms("Ctrl+ "), [0xffe3, 0x20]);
    }

    #[test]
    fn a_combination_adds_no_shift_and_may_be_a_list() {
        let ask = |names: &[&str], is_held| -> Vec<Vec<u32>> {
            let chords = names.iter().map(|name| Chord::parse(name).unwrap());
            let chords = Chord::sequence(chords.collect(), is_held);
            let keysyms = |chord: Chord| {
                let keys = chord.keys.into_iter().map(|key| match key {
                    Key::Keysym(keysym) => keysym,
                    Key::Keycode(code) => panic!("keycode {code}"),
                });
                keys.collect()
            };
            chords.into_iter().map(keysyms).collect()
        };
        for (names, expected) in [
            (&["CTRL+A"][..], vec![vec![0xffe3, 0x61]]),
            (&["Ctrl+L"], vec![vec![0xffe3, 0x6c]]),
            (&["CTRL", "A"], vec![vec![0xffe3, 0x61]]),
            (&["ctrl", "shift", "T"], vec![vec![0xffe3, 0xffe1, 0x74]]),
            (&["Ctrl+a", "A"], vec![vec![0xffe3, 0x61], vec![0x41]]),
            (&["A", "Ctrl"], vec![vec![0x41], vec![0xffe3]]),
            (&["Caps_Lock", "a"], vec![vec![0xffe5], vec![0x61]]),
            (&["Ctrl+KeyC"], vec![vec![0xffe3, 0x63]]),
        ] {
            assert_eq!(ask(names, false), expected, "{names:?}");
        }
        assert_eq!(ask(&["L"], true), [[0x6c]]);
        assert!(ask(&[], false).is_empty());
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
