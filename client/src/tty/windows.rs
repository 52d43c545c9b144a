//! The console.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};

use cloud_agent_protocol::Secret;
use zeroize::Zeroizing;

use super::Human;
use super::line::{Line, Typed};
use crate::windows::{Silence, forget_keys, read_console, write_console};

/// How a process ends at ^C by itself (`STATUS_CONTROL_C_EXIT`).
const CONTROL_C_EXIT: u32 = 0xC000_013A;

/// `CONIN$` and `CONOUT$`.
pub(crate) struct Tty {
    input: File,
    output: File,
    keys: Keys,
}

/// What was typed and not taken yet, as bytes of UTF-8.
struct Keys {
    units: Zeroizing<Vec<u16>>,
    /// The last key was a return: a line feed behind it belongs to it.
    returned: bool,
}

impl Tty {
    /// Opens the console that this process has, if it has one.
    pub(crate) fn open() -> io::Result<Self> {
        let open = |name: &str| OpenOptions::new().read(true).write(true).open(name);
        let keys = Keys { units: Zeroizing::new(Vec::new()), returned: false };
        Ok(Self { input: open("CONIN$")?, output: open("CONOUT$")?, keys })
    }

    fn show(&self, text: &str) -> io::Result<()> {
        let units: Zeroizing<Vec<u16>> = Zeroizing::new(text.replace('\n', "\r\n").encode_utf16().collect());
        write_console(&self.output, &units)
    }

    fn read_line(&mut self, silence: Option<Silence>) -> io::Result<Option<Secret>> {
        let mut line = Line::new();
        loop {
            let Some(key) = self.keys.next(&self.input)? else { return Ok(None) };
            if key == '\u{3}' && silence.is_some() {
                // Nobody else ends us: the console does not know that it was more than a key.
                drop(silence);
                let _ = self.show("\n");
                std::process::exit(CONTROL_C_EXIT.cast_signed());
            }
            // The end of the input, as people type it here.
            let key = if key == '\u{1a}' { '\u{4}' } else { key };
            let mut bytes = Zeroizing::new([0; 4]);
            for byte in key.encode_utf8(&mut *bytes).bytes() {
                match line.take(byte) {
                    Typed::More => {}
                    Typed::End => return Ok(None),
                    Typed::Line => {
                        let text = std::str::from_utf8(&line.0).map_err(|_| {
                            io::Error::new(ErrorKind::InvalidData, "what was typed is not text (UTF-8)")
                        })?;
                        return Ok(Some(Secret::from(text)));
                    }
                }
            }
        }
    }
}

impl Keys {
    /// The next key; `None` at the end. A half of a pair that is alone is passed over.
    fn next(&mut self, console: &File) -> io::Result<Option<char>> {
        loop {
            if let Some(key) = self.take() {
                let feeds = key == '\n' && self.returned;
                self.returned = key == '\r';
                if feeds {
                    continue;
                }
                return Ok(Some(key));
            }
            let mut some = Zeroizing::new([0_u16; 256]);
            let count = read_console(console, &mut *some)?;
            if count == 0 {
                return Ok(None);
            }
            self.units.extend_from_slice(&some[..count]);
        }
    }

    /// The first character, if it is whole.
    fn take(&mut self) -> Option<char> {
        let (key, length) = match char::decode_utf16(self.units.iter().copied()).next()? {
            Ok(key) => (key, key.len_utf16()),
            Err(_) if self.units.len() == 1 && self.units[0] & 0xfc00 == 0xd800 => return None,
            Err(_) => (char::REPLACEMENT_CHARACTER, 1),
        };
        self.units.drain(..length);
        Some(key)
    }
}

impl Human for Tty {
    fn tell(&mut self, line: &str) -> io::Result<()> {
        // It may hold a seed that is shown once.
        self.show(&Zeroizing::new(format!("{line}\n")))
    }

    fn ask(&mut self, prompt: &str, hidden: bool) -> io::Result<Option<Secret>> {
        // First the echo goes, and only then is the human invited to type.
        let silence = if hidden { Some(Silence::begin(&self.input)?) } else { None };
        self.show(prompt)?;
        let answer = self.read_line(silence);
        if hidden {
            // The line end that was typed was not shown either.
            self.show("\n")?;
        }
        answer
    }

    fn forget_typed(&mut self) {
        self.keys.units = Zeroizing::new(Vec::new());
        let _ = forget_keys(&self.input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_beyond_the_first_plane_are_whole_and_halves_wait() {
        let mut keys = Keys { units: Zeroizing::new("a🔑".encode_utf16().collect()), returned: false };
        assert_eq!((keys.take(), keys.take(), keys.take()), (Some('a'), Some('🔑'), None));
        keys.units.push(0xd83d);
        assert_eq!(keys.take(), None);
        keys.units.push(0xdd11);
        assert_eq!(keys.take(), Some('🔑'));
        keys.units.push(0xdd11);
        assert_eq!(keys.take(), Some(char::REPLACEMENT_CHARACTER));
    }
}
