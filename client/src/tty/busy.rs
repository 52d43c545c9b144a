//! A sign that something is going on, while there is nothing else to show.

use std::io::Write;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What ends sooner needs no sign.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two pictures.
const STEP: Duration = Duration::from_millis(120);

/// In characters that every terminal has.
const PICTURES: [char; 4] = ['|', '/', '-', '\\'];

/// The sign, until this is dropped. Nothing of it is left then.
pub(crate) struct Busy(Option<(Sender<()>, JoinHandle<()>)>);

impl Busy {
    /// No sign.
    pub(crate) fn unseen() -> Self {
        Self(None)
    }

    /// On `screen`, which is a terminal. It says what is waited for.
    pub(crate) fn on(screen: impl Write + Send + 'static, what: &str) -> Self {
        let (going_on, over) = mpsc::channel();
        let what = what.to_owned();
        let thread = thread::Builder::new().name("busy".into()).spawn(move || turn(screen, &over, &what));
        Self(thread.ok().map(|thread| (going_on, thread)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some((going_on, thread)) = self.0.take() {
            drop(going_on);
            let _ = thread.join();
        }
    }
}

fn turn(mut screen: impl Write, over: &Receiver<()>, what: &str) {
    let mut pictures = PICTURES.iter().cycle();
    let mut pause = PATIENCE;
    while over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let picture = pictures.next().expect("a cycle has no end");
        // A terminal that takes nothing is not told again.
        if write!(screen, "\r{picture} {what}\x1b[K").and_then(|()| screen.flush()).is_err() {
            return;
        }
        pause = STEP;
    }
    if pause == STEP {
        let _ = write!(screen, "\r\x1b[K").and_then(|()| screen.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_over_at_once_shows_nothing_and_what_takes_long_leaves_nothing() {
        let screen = Screen::default();
        drop(Busy::on(screen.clone(), "waiting"));
        let busy = Busy::on(screen.clone(), "waiting");
        let end = Instant::now() + Duration::from_secs(20);
        while !screen.0.lock().unwrap().contains("\r/ waiting") {
            assert!(Instant::now() < end, "nothing turns");
            thread::yield_now();
        }
        drop(busy);
        let shown = screen.0.lock().unwrap().clone();
        assert!(shown.starts_with("\r| waiting\x1b[K\r/ waiting\x1b[K") && shown.ends_with("\r\x1b[K"), "{shown:?}");
    }
}
