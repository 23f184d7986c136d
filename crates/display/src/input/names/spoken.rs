//! What people, web pages and models call keys, beside X.
//!
//! The names are those of xdotool (`symbol_map` in its `xdo_util.h`), of the web (`key` and `code`
//! of UI Events), of the computer-use tools of `OpenAI`, Anthropic and Google, of Playwright and
//! `PyAutoGUI`, and those on the caps of keyboards. Case, `_`, `-` and spaces do not count in them,
//! nor in the names of X where these stay clear without.

use std::{collections::HashMap, sync::LazyLock};

use super::{KEYSYMS, rows};

/// A name in the form of [`fold`], and the name of X.
const SPOKEN: &[(&str, &str)] = &[
    // Modifiers. A side that is not named is the left one.
    ("alt", "Alt_L"),
    ("altleft", "Alt_L"),
    ("altright", "Alt_R"),
    ("leftalt", "Alt_L"),
    ("rightalt", "Alt_R"),
    ("opt", "Alt_L"),
    ("option", "Alt_L"),
    ("optionleft", "Alt_L"),
    ("optionright", "Alt_R"),
    ("altgr", "ISO_Level3_Shift"),
    ("altgraph", "ISO_Level3_Shift"),
    ("ctl", "Control_L"),
    ("ctrl", "Control_L"),
    ("ctrlleft", "Control_L"),
    ("ctrlright", "Control_R"),
    ("leftctrl", "Control_L"),
    ("rightctrl", "Control_R"),
    ("control", "Control_L"),
    ("controlleft", "Control_L"),
    ("controlright", "Control_R"),
    ("leftcontrol", "Control_L"),
    ("rightcontrol", "Control_R"),
    ("controlormeta", "Control_L"),
    ("commandorcontrol", "Control_L"),
    ("shift", "Shift_L"),
    ("shiftleft", "Shift_L"),
    ("shiftright", "Shift_R"),
    ("leftshift", "Shift_L"),
    ("rightshift", "Shift_R"),
    ("cmd", "Super_L"),
    ("command", "Super_L"),
    ("commandleft", "Super_L"),
    ("commandright", "Super_R"),
    ("meta", "Super_L"),
    ("metaleft", "Super_L"),
    ("metaright", "Super_R"),
    ("os", "Super_L"),
    ("osleft", "Super_L"),
    ("osright", "Super_R"),
    ("super", "Super_L"),
    ("superleft", "Super_L"),
    ("superright", "Super_R"),
    ("win", "Super_L"),
    ("winleft", "Super_L"),
    ("winright", "Super_R"),
    ("windows", "Super_L"),
    ("windowskey", "Super_L"),
    ("hyper", "Hyper_L"),
    // Editing and moving.
    ("enter", "Return"),
    ("ret", "Return"),
    ("esc", "Escape"),
    ("bksp", "BackSpace"),
    ("bs", "BackSpace"),
    ("del", "Delete"),
    ("forwarddelete", "Delete"),
    ("ins", "Insert"),
    ("spacebar", "space"),
    ("arrowdown", "Down"),
    ("arrowleft", "Left"),
    ("arrowright", "Right"),
    ("arrowup", "Up"),
    ("downarrow", "Down"),
    ("leftarrow", "Left"),
    ("rightarrow", "Right"),
    ("uparrow", "Up"),
    ("pgdn", "Page_Down"),
    ("pgdown", "Page_Down"),
    ("pgup", "Page_Up"),
    // The rest of a keyboard.
    ("apps", "Menu"),
    ("contextmenu", "Menu"),
    ("caps", "Caps_Lock"),
    ("prntscrn", "Print"),
    ("printscr", "Print"),
    ("printscreen", "Print"),
    ("prtsc", "Print"),
    ("prtscr", "Print"),
    ("prtscn", "Print"),
    ("snapshot", "Print"),
    // Signs, most by the `code` of the key that has them.
    ("backquote", "grave"),
    ("backtick", "grave"),
    ("tilde", "asciitilde"),
    ("dash", "minus"),
    ("hyphen", "minus"),
    ("equals", "equal"),
    ("openbracket", "bracketleft"),
    ("closebracket", "bracketright"),
    ("leftbracket", "bracketleft"),
    ("rightbracket", "bracketright"),
    ("quote", "apostrophe"),
    ("doublequote", "quotedbl"),
    ("dot", "period"),
    ("pipe", "bar"),
    ("hash", "numbersign"),
    ("intlbackslash", "less"),
    // The block of digits.
    ("add", "KP_Add"),
    ("subtract", "KP_Subtract"),
    ("divide", "KP_Divide"),
    ("decimal", "KP_Decimal"),
    ("numpadadd", "KP_Add"),
    ("numpadcomma", "KP_Separator"),
    ("numpaddecimal", "KP_Decimal"),
    ("numpaddivide", "KP_Divide"),
    ("numpadenter", "KP_Enter"),
    ("numpadequal", "KP_Equal"),
    ("numpadmultiply", "KP_Multiply"),
    ("numpadsubtract", "KP_Subtract"),
    // Keys with a task of their own.
    ("audiovolumedown", "XF86AudioLowerVolume"),
    ("audiovolumemute", "XF86AudioMute"),
    ("audiovolumeup", "XF86AudioRaiseVolume"),
    ("volumedown", "XF86AudioLowerVolume"),
    ("volumemute", "XF86AudioMute"),
    ("volumeup", "XF86AudioRaiseVolume"),
    ("mediaplaypause", "XF86AudioPlay"),
    ("playpause", "XF86AudioPlay"),
    ("mediastop", "XF86AudioStop"),
    ("mediatracknext", "XF86AudioNext"),
    ("mediatrackprevious", "XF86AudioPrev"),
    ("browserback", "XF86Back"),
    ("browserfavorites", "XF86Favorites"),
    ("browserforward", "XF86Forward"),
    ("browserhome", "XF86HomePage"),
    ("browserrefresh", "XF86Refresh"),
    ("browsersearch", "XF86Search"),
    ("browserstop", "XF86Stop"),
    ("copy", "XF86Copy"),
    ("cut", "XF86Cut"),
    ("paste", "XF86Paste"),
    ("convert", "Henkan"),
    ("nonconvert", "Muhenkan"),
    ("kanamode", "Hiragana_Katakana"),
    ("lang1", "Hangul"),
    ("lang2", "Hangul_Hanja"),
];

/// How long a name may be to be compared with others.
const NAME_MAX: usize = 32;
/// How many names are offered for one that is unknown.
const OFFERED: usize = 3;

/// The names of X and those above, folded, with the name of X; none where several keys fold to one.
static FOLDED: LazyLock<HashMap<String, Option<&'static str>>> = LazyLock::new(|| {
    let mut folded: HashMap<String, Option<&'static str>> = HashMap::new();
    for (name, keysym, _) in rows() {
        folded
            .entry(fold(name))
            .and_modify(|known| {
                *known = known.filter(|known| KEYSYMS.get(known) == Some(&keysym));
            })
            .or_insert(Some(name));
    }
    let spoken = SPOKEN.iter();
    folded.extend(spoken.map(|&(name, of_x)| (name.to_owned(), Some(of_x))));
    folded
});

/// The form in which names are compared.
fn fold(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// The name of X for a name that is not X's.
pub(super) fn of_x(name: &str) -> Option<String> {
    let folded = fold(name);
    if let Some(&known) = FOLDED.get(&folded) {
        return known.map(str::to_owned);
    }
    let one = |prefix| {
        let mut rest = folded.strip_prefix(prefix)?.chars();
        rest.next().filter(|_| rest.next().is_none())
    };
    let digit = |prefix| one(prefix).filter(char::is_ascii_digit);
    if let Some(letter) = one("key").filter(char::is_ascii_lowercase) {
        return Some(letter.to_string());
    }
    if let Some(digit) = digit("digit") {
        return Some(digit.to_string());
    }
    let numpad = digit("numpad").or_else(|| digit("num"));
    numpad.map(|digit| format!("KP_{digit}"))
}

/// The names of X that are meant most likely, the likeliest first.
pub(super) fn nearest(name: &str) -> Vec<&'static str> {
    let folded = fold(name);
    if folded.len() < 2 || folded.len() > NAME_MAX {
        return Vec::new();
    }
    let most = (folded.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = (FOLDED.iter())
        .filter_map(|(other, of_x)| Some((other, (*of_x)?)))
        .filter(|(other, _)| other.len().abs_diff(folded.len()) <= most)
        .map(|(other, of_x)| (strsim::damerau_levenshtein(&folded, other), of_x))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_unstable();
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in near {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(OFFERED);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_keys_of_x_in_folded_form() {
        for (name, of_x) in SPOKEN {
            assert!(KEYSYMS.contains_key(of_x), "{of_x}");
            assert_eq!(&fold(name), name);
        }
    }

    #[test]
    fn what_is_meant_is_offered() {
        for (name, expected) in [
            ("Retrun", "Return"),
            ("Escpae", "Escape"),
            ("Contrl", "Control_L"),
            ("PageDwn", "Page_Down"),
            ("ArowDown", "Down"),
        ] {
            let offered = nearest(name);
            assert!(offered.contains(&expected), "{name}: {offered:?}");
        }
        assert!(nearest(&"x".repeat(1_000_000)).is_empty());
    }
}
