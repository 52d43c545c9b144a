use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    let args = line.split_whitespace().map(OsString::from).collect();
    Cli::try_parse_from(with_command(args)).map(|cli| cli.command)
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn an_account_is_taken_with_and_without_the_command() {
    for line in ["work --fresh -o json", "token work --fresh -o json", "--fresh -o json work"] {
        let Ok(Command::Token(token)) = parse(line) else { panic!("{line}") };
        assert_eq!((token.account.as_str(), token.fresh, token.output), ("work", true, Format::Json));
    }
}

#[test]
fn mistakes_are_usage_errors() {
    for line in [
        "version",
        "work other",
        "work -o yaml",
        "work --min-valid soon",
        "work --timeout 0",
        "work --shell csh",
        "login work other",
        "login work --remember --ephemeral",
        "login work --password hunter2",
        "logout",
        "logout work --all",
        "lock hunter2",
        "unlock hunter2",
        "vault move",
    ] {
        match parse(line) {
            Ok(_) => panic!("{line} was taken"),
            Err(error) => assert_eq!(error.exit_code(), 2, "{line}"),
        }
    }
}

#[test]
fn every_command_is_a_reserved_word() {
    for command in Cli::command().get_subcommands() {
        assert!(RESERVED.contains(&command.get_name()), "{}", command.get_name());
    }
}

#[test]
fn help_shows_an_example_and_every_exit_code() {
    let help = Cli::command().render_help().to_string();
    assert!(help.contains("cloud-token work") && help.contains("Exit codes"));
    for code in 0..=6 {
        assert!(help.contains(&format!("  {code}  ")), "{code}");
    }
}

#[test]
fn every_command_teaches_by_an_example() {
    for command in Cli::command().get_subcommands() {
        let help = command.clone().render_help().to_string();
        // A helper is run by its consumer, and says how.
        let teaches = help.contains("Examples:") || command.get_name() == "helper";
        assert!(teaches && help.contains("cloud-token"), "{}: {help}", command.get_name());
    }
}
