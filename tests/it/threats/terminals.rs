//! Whoever looks over a shoulder, and a terminal that must be left as it was found.

use cloud_agent_tests::sandbox::{Running, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Scene;
use crate::terminal::Terminal;

fn asked_for_the_secret(scene: &Scene, terminal: &Terminal) -> Running {
    let arguments = ["login", "ecHome", "--url", &scene.cloud.url(), "--set", "access-id=AKIA1"];
    let running = terminal.run(&scene.sandbox, TOKEN, &arguments).spawn();
    terminal.shows("Secret of the access key");
    assert!(until(PATIENCE, || !terminal.echoes()), "the echo is off while a secret is typed");
    running
}

/// T21
#[test]
fn a_typed_secret_is_not_shown_and_the_echo_is_back_afterwards() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    let terminal = Terminal::open();
    let running = asked_for_the_secret(&scene, &terminal);
    terminal.types(&format!("{}\n", scene.secret));
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    terminal.shows("logged in");
    assert!(terminal.echoes());
    assert!(!terminal.shown().contains(&scene.secret));
}

/// T21
#[test]
fn a_signal_at_the_hidden_prompt_gives_the_terminal_its_echo_back() {
    for (name, keys) in [("^C", "\x03"), ("^\\", "\x1c"), ("^D", "\x04")] {
        let scene = Scene::new();
        let _agent = scene.sandbox.agent();
        let terminal = Terminal::open();
        let running = asked_for_the_secret(&scene, &terminal);
        terminal.types("half a sec");
        terminal.types(keys);
        if name == "^D" {
            // Ends a line that has begun. It is refused, and asked for again; there it ends the input.
            terminal.shows("^D gives up");
            assert!(until(PATIENCE, || !terminal.echoes()), "{}", terminal.shown());
            terminal.types(keys);
            assert_eq!(running.finish().code(), 1);
        } else {
            assert_eq!(running.finish().code(), -1, "{name} ends it as ever");
        }
        assert!(terminal.echoes(), "{name}");
        assert!(!terminal.shown().contains("half a sec"), "{name}");
    }
}

/// T22
#[test]
fn a_token_on_a_terminal_is_printed_with_a_warning_and_in_a_pipe_without() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let piped = scene.get();
    assert_eq!((piped.code(), piped.stderr.as_str()), (0, ""));
    let terminal = Terminal::open();
    assert_eq!(terminal.run(&scene.sandbox, TOKEN, &["ecHome"]).finish().code(), 0);
    terminal.shows(piped.ok());
    terminal.shows("warning: this is now in the scrollback");
}
