//! HTTP/1.1 as far as a fake cloud needs it. Bytes in, bytes out, no repair: what a client sent is recorded as it came.

use std::io::{self, Read, Write};
use std::time::Instant;

use serde_json::Value;

/// A request's head above this is no request of ours.
const MAX_HEAD: usize = 64 * 1024;
/// A request's body above this is no request of ours.
const MAX_BODY: usize = 1024 * 1024;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its `?`; empty if there is none.
    pub query: String,
    /// The header lines in their order, spelt as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
    /// The number of its connection, from 1.
    pub connection: u64,
}

impl Request {
    /// The first header of that name, compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The content type in lower case, without parameters; empty if there is none.
    #[must_use]
    pub fn content_type(&self) -> String {
        self.header("content-type").and_then(|v| v.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as a form.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&String::from_utf8_lossy(&self.body))
    }

    /// A field of the body, JSON or form as the content type says.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Value> {
        if self.content_type() == "application/json" {
            self.json()?.get(name).cloned()
        } else {
            // Django keeps the last of several.
            self.form().into_iter().rev().find(|(n, _)| n == name).map(|(_, value)| Value::String(value))
        }
    }
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header lines besides the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A reply without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A JSON reply, in the compact writing of Django REST framework.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::typed(status, "application/json", value.to_string())
    }

    /// A reply of any type.
    #[must_use]
    pub fn typed(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::empty(status).header("Content-Type", content_type) }
    }

    /// Django's page for `status`.
    #[must_use]
    pub fn html(status: u16, title: &str, text: &str) -> Self {
        let inner = if text.is_empty() { String::new() } else { format!("<p>{text}</p>") };
        let page = format!(
            "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n  <h1>{title}</h1>{inner}\n</body>\n</html>\n"
        );
        Self::typed(status, "text/html; charset=utf-8", page)
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The head, promising a body of `length` bytes, or one that ends with the connection.
    #[must_use]
    pub fn head(&self, length: Option<u64>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
            head.extend(["Date: ", &now(), "\r\n"]);
        }
        match length {
            // A 204 must not carry a length (RFC 9110 §8.6).
            Some(_) if self.status == 204 => {}
            Some(length) => head.extend(["Content-Length: ", &length.to_string(), "\r\n"]),
            None => head += "Connection: close\r\n",
        }
        head += "\r\n";
        head.into_bytes()
    }

    /// Head and body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(Some(self.body.len() as u64));
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Reads the next request; `None` if the client closed between two.
///
/// # Errors
/// Of the stream, and `InvalidData` with the reason if this is not HTTP.
pub(super) fn read(stream: &mut impl Read, pending: &mut Vec<u8>, connection: u64) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        // A client that tries TLS first is to be told at once, or it waits for an answer as long as we for a line's end.
        if pending.first().is_some_and(|byte| *byte < b' ' && *byte != b'\r') {
            return Err(bad("a request begins with no method"));
        }
        if pending.len() > MAX_HEAD {
            return Err(bad("the head of a request is too long"));
        }
        if fill(stream, pending)? == 0 {
            return if pending.is_empty() { Ok(None) } else { Err(bad("a request ended within its head")) };
        }
    };
    let head = String::from_utf8(pending[..head_end].to_vec()).map_err(|_| bad("a request's head is not text"))?;
    pending.drain(..head_end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (first.next(), first.next(), first.next(), first.next())
    else {
        return Err(bad("the first line is not `METHOD TARGET HTTP/1.1`"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header line has no colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        headers,
        body: Vec::new(),
        at: Instant::now(),
        connection,
    };
    request.body = read_body(&request, stream, pending)?;
    request.at = Instant::now();
    Ok(Some(request))
}

fn read_body(request: &Request, stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some() {
        return Err(bad("a request is chunked: the agent knows the length of every body"));
    }
    let Some(length) = request.header("content-length") else { return Ok(Vec::new()) };
    let length: usize = length.parse().map_err(|_| bad("a length is not a number"))?;
    if length > MAX_BODY {
        return Err(bad("a request's body is too long"));
    }
    while pending.len() < length {
        if fill(stream, pending)? == 0 {
            return Err(bad("a request ended within its body"));
        }
    }
    Ok(pending.drain(..length).collect())
}

fn fill(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 8192];
    let count = stream.read(&mut buffer)?;
    pending.extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// Writes all and sends it off.
///
/// # Errors
/// Of the stream.
/// What every server says that has a clock (RFC 9110, section 6.6.1).
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).expect("the year has four digits")
}

pub(super) fn write(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// The pairs of a form, or of a query, which is written like one.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (unescape(name), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
                std::str::from_utf8(&pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        415 => "Unsupported Media Type",
        419 => "Authentication Timeout",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &str) -> io::Result<Option<Request>> {
        read(&mut bytes.as_bytes(), &mut Vec::new(), 1)
    }

    #[test]
    fn a_request_is_recorded_as_it_came() {
        let request =
            parsed("POST /a?b=c HTTP/1.1\r\nX-Odd-CASE:  v \r\nContent-Length: 7\r\n\r\na=%00+x").unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str(), request.query.as_str()), ("POST", "/a", "b=c"));
        assert_eq!(request.headers[0], ("X-Odd-CASE".to_owned(), "v".to_owned()));
        assert_eq!(request.form(), [("a".to_owned(), "\0 x".to_owned())]);
    }

    #[test]
    fn two_requests_in_one_packet_are_two() {
        let mut stream = &b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"[..];
        let mut pending = Vec::new();
        let paths: Vec<_> =
            std::iter::from_fn(|| read(&mut stream, &mut pending, 1).unwrap()).map(|request| request.path).collect();
        assert_eq!(paths, ["/1", "/2"]);
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for bytes in ["GET / HTTP/1.0\r\n\r\n", "GET /\r\n\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
            assert!(parsed(bytes).is_err(), "{bytes:?}");
        }
    }
}
