//! Chromium's command line: the words of `CHROMIUM_FLAGS`, the overlay file, and the merge of
//! several layers of flags by name.

mod base;
mod overlay;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use base::{Screen, UI_HEIGHT, base};
pub use overlay::{Overlay, OverlayError};

/// What stays ours, because the daemon finds and guards the browser by it: without the name's
/// dashes. `--remote-debugging-address` would open the unguarded port to the network. Debian's
/// start script takes `--temp-profile` for another profile, and does not become Chromium then.
const PROTECTED: &[&str] = &[
    "remote-debugging-address",
    "remote-debugging-pipe",
    "remote-debugging-port",
    "temp-profile",
    "user-data-dir",
];

/// Flags whose value is a comma list that grows with each layer instead of being replaced.
const LISTS: &[&str] = &[
    "disable-blink-features",
    "disable-extensions-except",
    "disable-features",
    "enable-blink-features",
    "enable-features",
    "load-extension",
];

/// Pairs of lists in which a name stands on one side only; the later layer decides which.
const OPPOSITES: &[(&str, &str)] = &[
    ("enable-features", "disable-features"),
    ("enable-blink-features", "disable-blink-features"),
];

/// A quote is not closed, or a backslash ends the text.
#[derive(Debug, thiserror::Error)]
#[error("a quote is not closed")]
pub struct UnclosedQuote;

/// Splits a text into words as a POSIX shell does, without expanding anything.
pub fn words(text: &str) -> Result<Vec<String>, UnclosedQuote> {
    shell_words::split(text).map_err(|_| UnclosedQuote)
}

/// Flags by name, in the order in which their names first came, and the positional arguments.
///
/// Chromium itself takes the last of several flags of one name; two `--enable-features` would
/// silently lose the first. Hence the merge: a later flag replaces an earlier one of its name,
/// and the comma lists of features and extensions are united. A feature enabled by a later
/// layer leaves the list of those disabled by an earlier one, and the other way round, for
/// Chromium lets "disabled" win whatever the order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Flags {
    order: Vec<String>,
    values: HashMap<String, Option<String>>,
    positional: Vec<String>,
}

/// What a layer asked for and did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The argument as it was given.
    pub argument: String,
    /// Why, as the end of a sentence.
    pub reason: &'static str,
}

impl Flags {
    /// Lays arguments over those there are. Protected flags and a bare `--` are left out and
    /// returned.
    pub fn lay_over<S: AsRef<str>>(&mut self, arguments: &[S]) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        for argument in arguments {
            // Chromium trims its arguments and takes one dash for two (base/command_line.cc).
            let argument = argument
                .as_ref()
                .trim_matches(|c: char| c.is_ascii_whitespace());
            match switch(argument) {
                Switch::None if argument.is_empty() => {}
                Switch::None => self.positional.push(argument.to_owned()),
                Switch::Terminator => dropped.push(Dropped {
                    argument: argument.to_owned(),
                    reason: "Debian's start script does not pass it on",
                }),
                Switch::Flag(name, _) if PROTECTED.contains(&name) => dropped.push(Dropped {
                    argument: argument.to_owned(),
                    reason: "the daemon depends on its own value",
                }),
                Switch::Flag(name, value) => self.set(name, value),
            }
        }
        dropped
    }

    /// Sets one flag, protected or not.
    fn set(&mut self, name: &str, value: Option<&str>) {
        if LISTS.contains(&name) {
            self.extend_list(name, value.unwrap_or_default());
            return;
        }
        self.put(name, value.map(ToOwned::to_owned));
    }

    fn put(&mut self, name: &str, value: Option<String>) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }

    fn extend_list(&mut self, name: &str, items: &str) {
        let mut list = self.list(name);
        for item in items.split(',').filter(|item| !item.is_empty()) {
            if let Some(opposite) = opposite(name) {
                self.remove_from_list(opposite, feature(item));
                list.retain(|known| feature(known) != feature(item));
            }
            if !list.iter().any(|known| known == item) {
                list.push(item.to_owned());
            }
        }
        if !list.is_empty() {
            self.put(name, Some(list.join(",")));
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        let items = self.value(name).unwrap_or_default().split(',');
        items
            .filter(|item| !item.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    fn remove_from_list(&mut self, name: &str, gone: &str) {
        let mut list = self.list(name);
        let before = list.len();
        list.retain(|item| feature(item) != gone);
        if list.is_empty() && before > 0 {
            self.values.remove(name);
            self.order.retain(|known| known != name);
        } else if list.len() < before {
            self.put(name, Some(list.join(",")));
        }
    }

    /// Whether a flag of that name (without dashes) is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The value of a flag, by its name without dashes; `None` when absent or without a value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_deref()
    }

    /// The arguments that are no flags: pages to open at the start.
    #[must_use]
    pub fn positional(&self) -> &[String] {
        &self.positional
    }

    /// The command line: flags first, then the positional arguments.
    #[must_use]
    pub fn into_arguments(self) -> Vec<String> {
        let flag = |name: &String| match self.values.get(name) {
            Some(Some(value)) => format!("--{name}={value}"),
            _ => format!("--{name}"),
        };
        let mut arguments: Vec<String> = self.order.iter().map(flag).collect();
        arguments.extend(self.positional);
        arguments
    }
}

enum Switch<'a> {
    None,
    Terminator,
    Flag(&'a str, Option<&'a str>),
}

fn switch(argument: &str) -> Switch<'_> {
    let Some(bare) = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-'))
    else {
        return Switch::None;
    };
    match bare.split_once('=') {
        _ if bare.is_empty() && argument == "--" => Switch::Terminator,
        _ if bare.is_empty() => Switch::None,
        Some((name, value)) => Switch::Flag(name, Some(value)),
        None => Switch::Flag(bare, None),
    }
}

fn opposite(name: &str) -> Option<&'static str> {
    OPPOSITES.iter().find_map(|&(on, off)| match name {
        _ if name == on => Some(off),
        _ if name == off => Some(on),
        _ => None,
    })
}

/// The name of a feature, without its trial (`<`) and its parameters (`:`), and without the
/// `*` that only changes who reports it (`base/feature_list.h`).
fn feature(item: &str) -> &str {
    let name = item.split(['<', ':']).next().unwrap_or(item);
    name.strip_prefix('*').unwrap_or(name)
}
