//! Every setting as a page: `docs/settings.md`.

use clap::{Arg, Command as Clap, CommandFactory as _};

use super::Cli;

const HEAD: &str = "\
# Settings

Each is a flag of the command and an environment variable; the prefix `KERNEL_IMAGES_API_` works
too, and an empty variable counts as not set. The other pages say what they are for. `make settings`
writes this page from the program's own list.
";

/// A table for each command, in Markdown.
pub(crate) fn page() -> String {
    let commands = Cli::command();
    let tables = commands
        .get_subcommands()
        .filter(|command| command.get_arguments().any(|one| one.get_env().is_some()));
    tables
        .map(table)
        .fold(HEAD.to_owned(), |page, table| page + &table)
}

fn table(command: &Clap) -> String {
    let about = command.get_about().map(ToString::to_string);
    let head = format!(
        "\n## browserd {}\n\n{}.\n\n| Variable | Default | What it is |\n|---|---|---|\n",
        command.get_name(),
        about.unwrap_or_default().trim_end_matches('.'),
    );
    let rows = command.get_arguments().filter_map(row);
    rows.fold(head, |table, row| table + &row)
}

fn row(argument: &Arg) -> Option<String> {
    let name = argument.get_env()?.to_string_lossy();
    let defaults = argument.get_default_values();
    let default = match defaults {
        [value] if !value.is_empty() => format!("`{}`", value.to_string_lossy()),
        _ => "–".to_owned(),
    };
    let help = argument.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default().replace('|', "\\|");
    Some(format!("| `{name}` | {default} | {help} |\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_as_it_was_written() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written == page(), "docs/settings.md is old: make settings");
    }

    #[test]
    fn every_setting_says_what_it_is() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{}", argument.get_id());
            }
        }
    }
}
