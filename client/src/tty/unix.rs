//! The controlling terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cloud_agent_protocol::Secret;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, isatty, tcflush, tcgetattr, tcsetattr,
};
use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use super::Human;
use super::line::{Line, Typed};
use crate::paint;

/// Everything that ends or stops a process and would leave its terminal mute.
const SIGNALS: [i32; 10] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU];

/// `/dev/tty`.
pub(crate) struct Tty {
    file: File,
    /// What was typed ahead: it belongs to the next question.
    ahead: Zeroizing<Vec<u8>>,
    signals: Option<Signals>,
}

impl Tty {
    /// Opens `/dev/tty`; where there is none, stdin if it is a terminal.
    pub(crate) fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").or_else(|error| {
            let stdin = rustix::stdio::stdin();
            if isatty(stdin) { Ok(rustix::io::dup(stdin).map(File::from)?) } else { Err(error) }
        })?;
        Ok(Self { file, ahead: Zeroizing::new(Vec::new()), signals: None })
    }

    fn hidden(&mut self, prompt: &str) -> io::Result<Option<Secret>> {
        // First a signal must wake the reader instead of ending the process, then the echo goes, and only then is the
        // human invited to type.
        let signals = match self.signals.take() {
            Some(signals) => signals,
            None => Signals::listen()?,
        };
        let signals = self.signals.insert(signals);
        // A stop that took its course while the terminal was not silent is over.
        signals.caught.store(0, Ordering::SeqCst);
        signals.default.store(false, Ordering::SeqCst);
        let answer = Silence::begin(&self.file).and_then(|silence| {
            (&self.file).write_all(prompt.as_bytes())?;
            let answer = read_line(&self.file, &mut self.ahead, || signals.wait(&self.file, &silence, prompt));
            drop(silence);
            // The line end that was typed was not shown either.
            (&self.file).write_all(b"\n")?;
            answer
        });
        signals.default.store(true, Ordering::SeqCst);
        answer
    }
}

impl Human for Tty {
    fn tell(&mut self, line: &str) -> io::Result<()> {
        // It may hold a seed that is shown once.
        (&self.file).write_all(Zeroizing::new(format!("{line}\n")).as_bytes())
    }

    fn ask(&mut self, prompt: &str, hidden: bool) -> io::Result<Option<Secret>> {
        if hidden {
            return self.hidden(prompt);
        }
        (&self.file).write_all(prompt.as_bytes())?;
        let answer = read_line(&self.file, &mut self.ahead, || Ok(()))?;
        if answer.is_none() {
            // Who gives up has typed no line end: what is said next would stand behind the question.
            (&self.file).write_all(b"\n")?;
        }
        Ok(answer)
    }

    fn pass_time(&mut self, line: &str) {
        // What cannot take a line back is shown none.
        if std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb") {
            // Nor can a line be taken back that goes on in the next: a narrow screen would be filled with it.
            let room = paint::columns(&self.file).saturating_sub(1);
            let line: String = line.chars().take(room).collect();
            let _ = (&self.file).write_all(format!("\r{line}\x1b[K").as_bytes());
        }
    }

    fn forget_typed(&mut self) {
        self.ahead = Zeroizing::new(Vec::new());
        let _ = tcflush(&self.file, QueueSelector::IFlush);
    }
}

/// Reads a line; `wait` returns when there is something to read.
fn read_line(
    mut tty: &File,
    ahead: &mut Zeroizing<Vec<u8>>,
    wait: impl Fn() -> io::Result<()>,
) -> io::Result<Option<Secret>> {
    let mut line = Line::new();
    let mut bytes = Zeroizing::new(vec![0; 4096]);
    loop {
        let typed = if ahead.is_empty() {
            wait()?;
            let n = loop {
                match tty.read(&mut bytes) {
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    done => break done?,
                }
            };
            Zeroizing::new(bytes[..n].to_vec())
        } else {
            std::mem::replace(ahead, Zeroizing::new(Vec::new()))
        };
        if typed.is_empty() {
            return Ok(None);
        }
        for (i, byte) in typed.iter().enumerate() {
            match line.take(*byte) {
                Typed::More => {}
                Typed::End => return Ok(None),
                Typed::Line => {
                    *ahead = Zeroizing::new(typed[i + 1..].to_vec());
                    let text = std::str::from_utf8(&line.0)
                        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "what was typed is not text (UTF-8)"))?;
                    return Ok(Some(Secret::from(text)));
                }
            }
        }
    }
}

/// A terminal that shows nothing of what is typed, and hands it over byte by byte, until this is dropped.
struct Silence<'a> {
    tty: &'a File,
    before: Termios,
    silent: Termios,
}

impl<'a> Silence<'a> {
    fn begin(tty: &'a File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        let silence = Self { tty, before, silent };
        silence.impose()?;
        Ok(silence)
    }

    fn impose(&self) -> io::Result<()> {
        Ok(tcsetattr(self.tty, OptionalActions::Drain, &self.silent)?)
    }

    fn lift(&self) {
        // Not `Drain`: a terminal whose output is stopped (^S) must not keep its echo off.
        let _ = tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.lift();
    }
}

/// The signals that end or stop us: as usual, except while the terminal is silent, when they wake the reader, which first
/// gives the terminal its echo back.
struct Signals {
    /// Whether signals do what they always do.
    default: Arc<AtomicBool>,
    /// The last one that came in while they did not.
    caught: Arc<AtomicUsize>,
    /// Readable when one did.
    wake: UnixStream,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let default = Arc::new(AtomicBool::new(true));
        let caught = Arc::new(AtomicUsize::new(0));
        for signal in SIGNALS {
            // In this order: they run in it. Not unregistered afterwards, because that would leave the signal ignored.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&default))?;
            signal_hook::flag::register_usize(
                signal,
                Arc::clone(&caught),
                usize::try_from(signal).unwrap_or_default(),
            )?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { default, caught, wake })
    }

    /// Returns when `tty` has something to read. A signal takes its course meanwhile; after a stop the question is
    /// asked again.
    fn wait(&self, mut tty: &File, silence: &Silence<'_>, prompt: &str) -> io::Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.wake, PollFlags::IN), PollFd::new(tty, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            }
            if fds[0].revents().is_empty() {
                return Ok(());
            }
            let _ = (&self.wake).read(&mut [0; 64]);
            let signal = i32::try_from(self.caught.swap(0, Ordering::SeqCst)).unwrap_or_default();
            if signal != 0 {
                silence.lift();
                let _ = tty.write_all(b"\n");
                emulate_default_handler(signal)?;
                silence.impose()?;
                tty.write_all(prompt.as_bytes())?;
            }
        }
    }
}
