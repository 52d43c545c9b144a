//! The status of the response that counts, from the heads as curl writes them.

/// The longest line that is looked at; what a server puts behind it is not kept.
const MAX_LINE: usize = 256;

/// Reads heads as they come.
#[derive(Debug, Default)]
pub(super) struct Heads {
    follows: bool,
    line: Vec<u8>,
    /// Of the head that is being read.
    current: Option<u16>,
    decided: Option<u16>,
}

impl Heads {
    /// `follows`: a redirect is not the end.
    pub(super) fn new(follows: bool) -> Self {
        Self { follows, ..Self::default() }
    }

    /// Takes what has come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() < MAX_LINE {
                    self.line.push(*byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                self.end();
            } else if let Some(status) = status(line) {
                self.current = Some(status);
            }
        }
    }

    /// The status of the first response that is no interim one, and that leads nowhere else.
    pub(super) fn status(&self) -> Option<u16> {
        self.decided
    }

    fn end(&mut self) {
        match self.current.take() {
            None | Some(100..=199) => {}
            Some(300..=399) if self.follows => {}
            Some(status) => self.decided = self.decided.or(Some(status)),
        }
    }
}

fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, follows: bool) -> Option<u16> {
        let mut heads = Heads::new(follows);
        // However it is cut.
        text.as_bytes().chunks(3).for_each(|chunk| heads.feed(chunk));
        heads.status()
    }

    #[test]
    fn the_first_final_response_counts() {
        for (text, follows, status) in [
            ("HTTP/1.1 200 OK\r\nX: y\r\n\r\n", false, Some(200)),
            ("HTTP/2 401 \r\nx: y\r\n\r\n", false, Some(401)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\r\n\r\n", false, Some(401)),
            ("HTTP/1.1 302 Found\r\n\r\nHTTP/1.1 401 Unauthorized\r\n\r\n", true, Some(401)),
            ("HTTP/1.1 302 Found\r\n\r\n", false, Some(302)),
            ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 401 Unauthorized\r\n\r\n", false, Some(200)),
            ("HTTP/1.1 401 Unauthorized\r\nHTTP: x\r\n", false, None),
            ("nonsense\r\n\r\n", false, None),
            ("", false, None),
        ] {
            assert_eq!(of(text, follows), status, "{text:?}");
        }
    }
}
