//! The rhythm of typing: when which character, and typos as hands make them. Pure and seeded.

use std::time::Duration;

use fastrand::Rng;

/// A character to type, and the pause after it. `\u{8}` is the key `BackSpace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) character: char,
    pub(super) pause: Duration,
}

/// Around what a smooth rhythm moves when no delay is asked for.
const RHYTHM: Duration = Duration::from_millis(80);
/// How long a typo goes unnoticed, in beats of the rhythm.
const NOTICE: f64 = 2.5;
/// The rows of a keyboard; a typo hits a neighbour in the same row.
const ROWS: [&str; 4] = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Whether a key can stand for the character. Line ends and tabs are keys of their own; other
/// control characters are what no key gives, and what a text field would not take.
pub(super) fn is_typable(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\t') || !character.is_control()
}

/// Whether GTK takes the character's key for one that starts a sequence, and swallows it. It looks
/// at the lower 16 bits of a keysym alone (`GtkIMContextSimple`, whose buffer is of `guint16`),
/// where these are `Greek_accentdieresis`, the dead keys and `Multi_key`.
pub(super) fn starts_sequence(character: char) -> bool {
    let keysym = u32::from(character);
    keysym > 0xff && matches!(keysym & 0xffff, 0x07ae | 0xfe50..=0xfe93 | 0xff20)
}

/// The characters that a text stands for: a line end is one Return, however it is written.
fn characters(text: &str) -> impl Iterator<Item = char> {
    let mut last = None;
    text.chars().filter_map(move |character| {
        let follows = last.replace(character) == Some('\r');
        match character {
            '\n' if follows => None,
            '\r' => Some('\n'),
            other => Some(other),
        }
    })
}

/// The text with the same pause after each character.
pub(super) fn even(text: &str, pause: Duration) -> Vec<Tap> {
    characters(text)
        .map(|character| Tap { character, pause })
        .collect()
}

/// The text as a hand types it, around the given pause, with typos that are corrected at once.
pub(super) fn smooth(text: &str, pause: Duration, typo_chance: f64, rng: &mut Rng) -> Vec<Tap> {
    let beat = if pause.is_zero() { RHYTHM } else { pause };
    let mut taps = Vec::with_capacity(text.len());
    for character in characters(text) {
        if let Some(wrong) = neighbour(character, rng).filter(|_| rng.f64() < typo_chance) {
            taps.push(Tap {
                character: wrong,
                pause: beat.mul_f64(NOTICE * vary(rng)),
            });
            taps.push(Tap {
                character: '\u{8}',
                pause: beat.mul_f64(vary(rng)),
            });
        }
        // Hands rest a little between words, and longer between sentences and lines.
        let rest = match character {
            '.' | '!' | '?' | '\n' => 2.5,
            ' ' | ',' | ';' | ':' => 1.4,
            _ => 0.9,
        };
        taps.push(Tap {
            character,
            pause: beat.mul_f64(rest * vary(rng)),
        });
    }
    taps
}

/// A factor around 1.
fn vary(rng: &mut Rng) -> f64 {
    // The mean of three is bell-shaped enough.
    let mean = (rng.f64() + rng.f64() + rng.f64()) / 3.0;
    0.5 + mean
}

fn neighbour(character: char, rng: &mut Rng) -> Option<char> {
    let lower = character.to_ascii_lowercase();
    let row = ROWS.iter().find(|row| row.contains(lower))?;
    let at = row.find(lower)?;
    let beside = if at == 0 || (at + 1 < row.len() && rng.bool()) {
        at + 1
    } else {
        at - 1
    };
    let wrong = char::from(*row.as_bytes().get(beside)?);
    Some(if character.is_ascii_uppercase() {
        wrong.to_ascii_uppercase()
    } else {
        wrong
    })
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    /// What a text field holds after the taps.
    fn typed(taps: &[Tap]) -> String {
        let mut field = String::new();
        for tap in taps {
            if tap.character == '\u{8}' {
                field.pop();
            } else {
                field.push(tap.character);
            }
        }
        field
    }

    proptest! {
        #[test]
        fn typos_are_always_corrected(text in "[ -~äß漢😀\n]{0,80}", seed: u64) {
            let taps = smooth(&text, Duration::ZERO, 0.5, &mut Rng::with_seed(seed));
            prop_assert_eq!(typed(&taps), text);
        }

        #[test]
        fn the_same_seed_types_the_same(text in "[a-z .]{0,40}", seed: u64) {
            let again = |seed| smooth(&text, Duration::ZERO, 0.1, &mut Rng::with_seed(seed));
            prop_assert_eq!(again(seed), again(seed));
        }
    }

    #[test]
    fn typos_come_about_as_often_as_asked() {
        let text = "abcdefghij".repeat(1_000);
        let mut rng = Rng::with_seed(1);
        let taps = smooth(&text, Duration::ZERO, 0.05, &mut rng);
        let typos = taps.iter().filter(|tap| tap.character == '\u{8}').count();
        assert!((400..600).contains(&typos), "{typos} typos in 10,000");
        let none = smooth(&text, Duration::ZERO, 0.0, &mut rng);
        assert!(none.iter().all(|tap| tap.character != '\u{8}'));
    }

    #[test]
    fn the_rhythm_keeps_around_the_pause() {
        let text = "a".repeat(1_000);
        let taps = smooth(
            &text,
            Duration::from_millis(40),
            0.0,
            &mut Rng::with_seed(7),
        );
        let total: Duration = taps.iter().map(|tap| tap.pause).sum();
        let mean = total.as_secs_f64() / 1_000.0;
        assert!((0.030..0.045).contains(&mean), "{mean} s");
    }

    #[test]
    fn what_gtk_would_swallow_is_known() {
        for character in ['＠', '﹝', '\u{7ae}', '\u{7fe5d}'] {
            assert!(starts_sequence(character), "{character}");
        }
        for character in ['a', '®', '漢', '😀', '！', 'ー', '\u{fe94}', '\u{fe4f}'] {
            assert!(!starts_sequence(character), "{character}");
        }
    }

    #[test]
    fn every_line_end_is_one_return() {
        let taps = even("a\r\nb\rc\n\nd", Duration::ZERO);
        assert_eq!(typed(&taps), "a\nb\nc\n\nd");
    }
}
