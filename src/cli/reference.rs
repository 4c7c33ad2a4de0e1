//! `docs/cli.md`, made of what the commands say of themselves: takes clap's description of the program; gives the text.
//! Tests compare the committed files that are made from the code, and write them where snapshots are written too.

use std::{fmt::Write, fs, path::Path};

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Cli;
use crate::container::schema::{self, FileKind};

const OPENING: &str = "# Commands

Made from the program itself, which says the same with `--help`.

Every command exits with **0** when all is fine, **1** when it did its work and found something wrong, and **2** when it
could not do its work. Results go to standard output, everything else to standard error; colours appear only on a terminal.
";

/// What every diagnostic of `--format json` has.
const FINDINGS: &str = "
### Findings as JSON

With `--format json`, `check` prints a list, and `test` an object with `cases`, `diagnostics` and perhaps `coverage`. A
finding has these keys, all of them always there; names and codes are stable, messages are not:

| key | holds |
|---|---|
| `severity` | `error`, `warning` or `note` |
| `code` | what is wrong, such as `unknown-key` |
| `message` | one sentence |
| `owner` | the item that it belongs to, such as `tag \"Sign-up\"`; or null |
| `place` | `file`, `line`, `column` and `length`, all but the file counted in characters from 1; or null |
| `found` | the value that was found, such as `the text \"abc\"`; or null |
| `help` | what to do about it; or null |

`file` is the path within the container, as in `rules/shop.yaml`. For people it is told from where they stand, and with
`--format github` from the repository's root, by which annotations find it. With `--deny warnings` severities stay as they
are here, and what fails the step is an annotation of an error there.
";

fn markdown() -> String {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut text = OPENING.to_owned();
    text.push_str("\n## For every command\n");
    arguments(&program, true, &mut text);
    for command in program.get_subcommands() {
        section(command, "tidegate", 2, &mut text);
        if command.get_name() == "check" {
            text.push_str(FINDINGS);
        }
    }
    text
}

fn section(command: &Command, parent: &str, depth: usize, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let mut usage = name.clone();
    if command.get_opts().any(|option| !option.is_global_set()) {
        usage.push_str(" [OPTIONS]");
    }
    for argument in command.get_positionals() {
        let _ = write!(usage, " {argument}");
    }
    if command.has_subcommands() {
        usage.push_str(" COMMAND");
    }
    let _ =
        write!(text, "\n{} `{name}`\n\n{}.\n\n```sh\n{usage}\n```\n", "#".repeat(depth), about.trim_end_matches('.'));
    arguments(command, false, text);
    for command in command.get_subcommands() {
        section(command, &name, depth + 1, text);
    }
}

/// A table of a command's arguments and options, without those of every command or only with these.
fn arguments(command: &Command, global: bool, text: &mut String) {
    let is_told = |argument: &&Arg| {
        argument.is_global_set() == global
            && !argument.is_hide_set()
            && !matches!(argument.get_id().as_str(), "help" | "version")
    };
    let mut rows = String::new();
    for argument in command.get_arguments().filter(is_told) {
        let _ = writeln!(rows, "| {} | {} |", form(argument), about(argument));
    }
    if !rows.is_empty() {
        let _ = write!(text, "\n| argument | meaning |\n|---|---|\n{rows}");
    }
}

fn form(argument: &Arg) -> String {
    if argument.is_positional() {
        return format!("`{argument}`");
    }
    let values: Vec<_> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| format!(" <{name}>")).collect();
    let values = if matches!(argument.get_action(), ArgAction::SetTrue) { String::new() } else { values.concat() };
    let short = argument.get_short().map(|short| format!("`-{short}`, "));
    format!("{}`--{}{values}`", short.unwrap_or_default(), argument.get_long().unwrap_or_default())
}

fn about(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut about = help.replace('\n', " ").replace('|', "\\|");
    let values = argument.get_possible_values();
    let is_flag = matches!(argument.get_action(), ArgAction::SetTrue);
    if !values.is_empty() && !is_flag {
        let value = |value: &clap::builder::PossibleValue| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        };
        let _ = write!(about, ". One of: {}", values.iter().map(value).collect::<Vec<_>>().join(", "));
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !is_flag && !argument.is_hide_default_value_set() && !defaults.is_empty() {
        let _ = write!(about, ". Default: `{}`", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(about, ". Environment: `{}`", variable.to_string_lossy());
    }
    about
}

/// Panics if a committed file is not what the code says.
fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    #[expect(clippy::disallowed_methods, reason = "the same switch as that of snapshots")]
    let update = std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always");
    if update {
        fs::write(&path, text).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == text, "{file} is stale; INSTA_UPDATE=always with this test writes it");
}

#[test]
fn the_committed_reference_is_what_the_program_says() {
    compare("docs/cli.md", &markdown());
}

#[test]
fn the_committed_schemas_are_what_the_types_say() {
    for kind in FileKind::ALL {
        compare(&format!("docs/schema/{}.json", kind.name()), &schema::text(kind));
    }
}
