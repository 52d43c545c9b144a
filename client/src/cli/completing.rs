//! The command line as a shell completes it: what takes a name knows the names.

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::Cli;
use crate::commands::completions;
use crate::output::Format;
use crate::shell::Shell;

/// The definitions, with names; and `cloud-token ACCOUNT` beside the commands, with its options.
pub(super) fn command() -> Command {
    let root = Cli::command().subcommand_required(false).args_conflicts_with_subcommands(true);
    let token = root.find_subcommand("token").cloned().unwrap_or_default();
    let (account, options): (Vec<Arg>, Vec<Arg>) = token.get_arguments().cloned().partition(Arg::is_positional);
    let account = account.into_iter().map(|arg| arg.required(false));
    with_names(root.args(account).args(options))
}

fn with_names(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let takes =
                arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
            match &*takes {
                "ACCOUNT" | "ACCOUNT,…" => arg.add(ArgValueCandidates::new(completions::accounts)),
                "CLOUD" => arg.add(ArgValueCandidates::new(completions::clouds)),
                "FORMAT" => arg.add(ArgValueCandidates::new(|| Vec::from(Format::ALL.map(|(word, _)| word.into())))),
                "SHELL" => arg.add(ArgValueCandidates::new(shells)),
                _ => arg,
            }
        })
        .mut_subcommands(with_names)
}

fn shells() -> Vec<CompletionCandidate> {
    Vec::from(Shell::ALL.map(|(word, _)| word.into()))
}
