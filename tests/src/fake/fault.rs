//! Ways to break, as data: a table of faults and expectations is a loop, not a page of code.

use std::time::Duration;

use serde_json::{Value, json};

use super::Reply;

/// What a server does instead of answering well.
///
/// *Before* means that the cloud never learns of the request; *after* means that it changed its state (a refresh token was
/// rotated, say) and only the reply is lost or spoilt.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Before: waits, then answers well.
    Delay(Duration),
    /// Before: never answers, until the fault is cleared or the server is gone.
    Hang,
    /// Before: closes the connection.
    Close,
    /// Before: resets the connection.
    Reset,
    /// Before: answers this instead.
    Answer(Reply),
    /// Before: sends these bytes, whatever they are, and closes.
    Bytes(Vec<u8>),
    /// Before: a body of that many bytes, which begins like JSON with a token.
    Huge(u64),
    /// Before: the same without an end.
    Endless,
    /// After: closes without a byte.
    CloseAfter,
    /// After: resets without a byte.
    ResetAfter,
    /// After: promises the whole body, sends half, closes.
    Truncated,
    /// After: promises the whole body, sends half, resets.
    ResetMidBody,
    /// After: half of the body, which is said to be all of it.
    Cut,
    /// After: one byte of the reply, head included, in every interval.
    Drip(Duration),
    /// After: the head at once, and one byte of the body in every interval.
    DripBody(Duration),
    /// After: a member of the JSON reply is replaced.
    Replace(String, Value),
    /// After: a member of the JSON reply is left out.
    Remove(String),
    /// After: a member of the JSON reply comes twice, this value first.
    Duplicate(String, Value),
    /// After: the reply is said to be compressed, and is not.
    ClaimsGzip,
    /// After: a header line is added.
    Header(String, String),
}

impl Fault {
    /// A status with a JSON body.
    #[must_use]
    pub fn status(status: u16, body: &Value) -> Self {
        Self::Answer(Reply::json(status, body))
    }

    /// A 429 or 503 that says when to come again: seconds or an HTTP date.
    #[must_use]
    pub fn try_later(status: u16, retry_after: &str) -> Self {
        let body = json!({"detail": "Request was throttled."});
        Self::Answer(Reply::json(status, &body).header("Retry-After", retry_after))
    }

    /// What a captive portal says: 200, and HTML.
    #[must_use]
    pub fn captive_portal() -> Self {
        Self::Answer(Reply::html(200, "Welcome to the airport", "Accept our terms to go on."))
    }

    /// What a proxy says when the server behind it is gone.
    #[must_use]
    pub fn bad_gateway(status: u16) -> Self {
        Self::Answer(Reply::html(status, "Bad Gateway", ""))
    }

    /// Points to another place.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Answer(Reply::empty(status).header("Location", location))
    }

    /// Something that answers on this port, and is not a web server.
    #[must_use]
    pub fn garbage() -> Self {
        Self::Bytes(b"SSH-2.0-OpenSSH_9.2p1\r\n\x00\x00\x01\x14\x08\x14\xff\xfe".to_vec())
    }

    /// A 200 of `depth` opening brackets: what overflows the stack of a careless parser.
    #[must_use]
    pub fn nested(depth: usize) -> Self {
        Self::Answer(Reply::typed(200, "application/json", "[".repeat(depth)))
    }

    /// The tokens that no agent may accept as `field`, each with a name: line breaks would forge headers, NUL would cut
    /// strings, the rest is no token at all.
    #[must_use]
    pub fn bad_tokens(field: &str) -> Vec<(&'static str, Self)> {
        let replace = |value: Value| Self::Replace(field.into(), value);
        vec![
            ("line feed", replace(json!("tok\nhost=evil.example"))),
            ("carriage return and line feed", replace(json!("tok\r\nX-Evil: 1"))),
            ("carriage return", replace(json!("tok\ren"))),
            ("NUL", replace(json!("tok\0en"))),
            ("escape", replace(json!("tok\u{1b}[2Jen"))),
            ("line separator", replace(json!("tok\u{2028}en"))),
            ("non-ASCII", replace(json!("tökén"))),
            ("blank inside", replace(json!("tok en"))),
            ("empty", replace(json!(""))),
            ("null", replace(Value::Null)),
            ("number", replace(json!(42))),
            ("true", replace(json!(true))),
            ("list", replace(json!(["tok"]))),
            ("object", replace(json!({"token": "tok"}))),
            ("missing", Self::Remove(field.into())),
            ("a megabyte", replace(json!("x".repeat(1 << 20)))),
            ("said twice", Self::Duplicate(field.into(), json!("first-of-two"))),
        ]
    }

    /// The good reply, spoilt, for the faults that only touch its contents.
    pub(super) fn spoil(&self, mut reply: Reply) -> Reply {
        let mut edit = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            if let Ok(Value::Object(mut object)) = serde_json::from_slice(&reply.body) {
                change(&mut object);
                reply.body = Value::Object(object).to_string().into_bytes();
            }
        };
        match self {
            Self::Replace(field, value) => edit(&|object| {
                object.insert(field.clone(), value.clone());
            }),
            Self::Remove(field) => edit(&|object| {
                object.remove(field);
            }),
            Self::Duplicate(field, value) if reply.body.first() == Some(&b'{') => {
                let twice = format!("{{{}:{value},", Value::String(field.clone()));
                reply.body.splice(..1, twice.into_bytes());
            }
            Self::Cut => reply.body.truncate(reply.body.len() / 2),
            Self::ClaimsGzip => return reply.header("Content-Encoding", "gzip"),
            Self::Header(name, value) => return reply.header(name, value),
            _ => {}
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoilt(fault: &Fault) -> String {
        String::from_utf8(fault.spoil(Reply::json(200, &json!({"access": "good"}))).body).unwrap()
    }

    #[test]
    fn a_token_with_control_characters_is_still_json() {
        assert_eq!(spoilt(&Fault::Replace("access".into(), json!("a\r\n\0"))), r#"{"access":"a\r\n\u0000"}"#);
    }

    #[test]
    fn a_duplicate_comes_before_the_true_one() {
        let text = spoilt(&Fault::Duplicate("access".into(), json!("first")));
        assert_eq!(text, r#"{"access":"first","access":"good"}"#);
    }

    #[test]
    fn a_cut_reply_promises_no_more_than_it_holds() {
        let reply = Fault::Cut.spoil(Reply::json(200, &json!({"access": "good"})));
        let text = String::from_utf8(reply.bytes()).unwrap();
        assert!(text.contains("Content-Length: 8\r\n") && text.ends_with("\r\n\r\n{\"access"), "{text}");
    }

    #[test]
    fn a_removed_member_is_gone() {
        assert_eq!(spoilt(&Fault::Remove("access".into())), "{}");
    }
}
