//! The environment: read here alone. What is inherited of it is derived from the settings.

use std::{ffi::OsString, sync::LazyLock};

use browserd_process::Secrets;
use clap::{Arg, Command, CommandFactory as _};

use super::{Cli, PREFIX};

/// Variables with which `init` tells the services' configuration where things are; no command
/// reads them.
const OF_THE_STACK: [&str; 1] = ["BROWSERD_BINARY"];

/// The variables of all settings. Every variable of the environment is compared with them.
pub(super) static SETTINGS: LazyLock<Vec<String>> =
    LazyLock::new(|| names(&Cli::command(), |_| true));

/// The environment as it is.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads it"
)]
pub(crate) fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// One variable of it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads it"
)]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What no child may learn: every setting whose value `--help` hides, and what is secret by the
/// family of its name.
pub(crate) fn secrets() -> Secrets {
    let hidden = |argument: &Arg| argument.is_hide_env_values_set();
    names(&Cli::command(), hidden)
        .into_iter()
        .fold(Secrets::new(), Secrets::name)
}

/// What Chromium may inherit: no setting of ours, under either name.
pub(crate) fn for_chromium(environment: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut environment = environment;
    environment.retain(|(name, _)| !name.to_str().is_some_and(is_setting));
    environment
}

/// Whether a variable is a setting's, under either name.
pub(super) fn is_setting(name: &str) -> bool {
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    OF_THE_STACK.contains(&short) || SETTINGS.iter().any(|known| known == short)
}

/// The variables of the settings of all commands that a predicate holds for.
fn names(command: &Command, wanted: impl Fn(&Arg) -> bool) -> Vec<String> {
    command
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .filter(|argument| wanted(argument))
        .filter_map(|argument| argument.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chromium_inherits_no_setting() {
        let given = |name: &str| vec![(OsString::from(name), OsString::from("1"))];
        for name in SETTINGS.iter() {
            assert_eq!(for_chromium(given(name)), [], "{name}");
            assert_eq!(
                for_chromium(given(&format!("{PREFIX}{name}"))),
                [],
                "{name}"
            );
        }
        for name in ["LANG", "http_proxy", "DBUS_SESSION_BUS_ADDRESS", "NOT_PORT"] {
            assert_eq!(for_chromium(given(name)).len(), 1, "{name}");
        }
        assert_eq!(for_chromium(given("BROWSERD_BINARY")), []);
        // Its pages follow `/etc/localtime`, and would not with it.
        assert_eq!(for_chromium(given("TZ")), []);
    }

    #[test]
    fn a_setting_whose_value_is_hidden_is_secret() {
        let hidden = Arg::new("pass").env("HIDDEN_PASS").hide_env_values(true);
        let open = Arg::new("port").env("OPEN_PORT");
        let command = Command::new("x").subcommand(Command::new("y").args([hidden, open]));
        assert_eq!(
            names(&command, Arg::is_hide_env_values_set),
            ["HIDDEN_PASS"]
        );
    }
}
