//! A sign that something is going on, while there is nothing else to show. No thread turns it, because every call of this
//! program would pay for what threads bring along: whoever waits for the answer looks up in between.

use std::time::Duration;

use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::tty::Human;

/// What ends sooner needs no sign.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two pictures.
const STEP: Duration = Duration::from_millis(120);

/// In characters that every terminal has.
const PICTURES: [char; 4] = ['|', '/', '-', '\\'];

/// Waits until there is something to read, or nothing more to wait for, and shows `what` is waited for. Nothing of that is left
/// afterwards.
pub(super) fn wait(connection: &Connection, deadline: &Deadline, human: &mut dyn Human, what: &str) {
    turn(human, what, |patience| deadline.left().is_zero() || connection.answers_within(patience.min(deadline.left())));
}

fn turn(human: &mut dyn Human, what: &str, mut is_over: impl FnMut(Duration) -> bool) {
    let mut pictures = PICTURES.iter().cycle();
    let mut patience = PATIENCE;
    while !is_over(patience) {
        let picture = pictures.next().expect("a cycle has no end");
        human.pass_time(&format!("{picture} {what}"));
        patience = STEP;
    }
    if patience == STEP {
        human.pass_time("");
    }
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::Secret;

    use super::*;

    #[derive(Default)]
    struct Screen(Vec<String>);

    impl Human for Screen {
        fn tell(&mut self, _: &str) -> std::io::Result<()> {
            panic!("nobody is told anything")
        }

        fn ask(&mut self, _: &str, _: bool) -> std::io::Result<Option<Secret>> {
            panic!("nobody is asked anything")
        }

        fn pass_time(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
    }

    #[test]
    fn what_is_over_at_once_shows_nothing_and_what_takes_long_leaves_nothing() {
        let mut screen = Screen::default();
        turn(&mut screen, "waiting", |_| true);
        assert!(screen.0.is_empty());
        let mut looks = 0;
        turn(&mut screen, "waiting", |_| {
            looks += 1;
            looks > 5
        });
        assert_eq!(screen.0, ["| waiting", "/ waiting", "- waiting", "\\ waiting", "| waiting", ""]);
    }
}
