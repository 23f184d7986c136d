//! Turns what clap finds wrong into one line that names the variable, the value and what
//! is allowed.

use std::{
    error::Error as _,
    ffi::OsString,
    io::{self, IsTerminal as _},
};

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Why the command line or the environment cannot be used; also the text of `--help`.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What to print.
    pub(crate) text: String,
    /// Whether it is what the user asked for (help, version) and not a mistake.
    pub(crate) asked_for: bool,
}

impl Refused {
    /// A mistake that is told in one line.
    pub(super) fn told(line: &str) -> Self {
        Self {
            text: format!("browserd: {line}\n"),
            asked_for: false,
        }
    }

    pub(super) fn new(
        error: &clap::Error,
        command: &clap::Command,
        arguments: &[OsString],
    ) -> Self {
        let asked_for = !error.use_stderr();
        let colours = if asked_for {
            io::stdout().is_terminal()
        } else {
            io::stderr().is_terminal()
        };
        let rendered = || match error.render() {
            text if colours => text.ansi().to_string(),
            text => text.to_string(),
        };
        let text = wrong_value(error, command, arguments).unwrap_or_else(rendered);
        Self { text, asked_for }
    }
}

/// The line for a wrong value; `None` where clap's own text serves.
fn wrong_value(
    error: &clap::Error,
    command: &clap::Command,
    arguments: &[OsString],
) -> Option<String> {
    if !matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    ) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    let flag = argument.split([' ', '=', '[']).next().unwrap_or(argument);
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let allowed = error.source().map(ToString::to_string).unwrap_or_default();
    let on_command_line = arguments
        .iter()
        .filter_map(|given| given.to_str())
        .any(|given| {
            given
                .strip_prefix(flag)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        });
    let name = if on_command_line {
        flag.to_owned()
    } else {
        variable(flag, command)?
    };
    Some(format!(
        "browserd: {name}={value} cannot be used: it takes {allowed}\n"
    ))
}

/// The environment variable that counts for a flag.
fn variable(flag: &str, command: &clap::Command) -> Option<String> {
    let long = flag.strip_prefix("--")?;
    command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .find(|argument| argument.get_long() == Some(long))
        .and_then(clap::Arg::get_env)
        .map(|name| name.to_string_lossy().into_owned())
}
