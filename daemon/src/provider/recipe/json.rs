//! A reply's JSON, read strictly and wiped after use.
//!
//! `serde_json::Value` leaves every text behind in freed memory and takes the last of two members of one name, where another
//! reader takes the first. This keeps texts in [`Secret`]s and refuses both members.
//! A text with an escape in it also passes through a buffer of the parser that is not wiped; the agent's allocator wipes it.

use std::fmt;

use cloud_agent_protocol::Secret;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value.
pub(super) enum Json {
    Null,
    Bool(bool),
    /// In its decimal spelling.
    Number(String),
    Text(Secret),
    Array(Vec<Json>),
    Object(Vec<(Secret, Json)>),
}

/// Why a body is no JSON to take anything from.
pub(super) enum Unreadable {
    /// It is none at all.
    NoJson,
    /// An object in it has two members of one name. Only [`Json::is_twice`] may be asked of it.
    Twins(Json),
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no strict JSON")
    }
}

impl Json {
    /// Reads a whole document; nothing may follow it.
    pub(super) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let json: Self = serde_json::from_slice(body).map_err(|_| Unreadable::NoJson)?;
        if json.has_twins() { Err(Unreadable::Twins(json)) } else { Ok(json) }
    }

    fn has_twins(&self) -> bool {
        match self {
            Self::Array(elements) => elements.iter().any(Self::has_twins),
            Self::Object(members) => {
                let mut names: Vec<&str> = members.iter().map(|(name, _)| name.expose()).collect();
                names.sort_unstable();
                names.windows(2).any(|pair| pair[0] == pair[1]) || members.iter().any(|(_, member)| member.has_twins())
            }
            _ => false,
        }
    }

    /// Whether on the way that `pointer` goes a member has a twin.
    pub(super) fn is_twice(&self, pointer: &str) -> bool {
        let mut here = self;
        for token in pointer.split('/').skip(1).map(unescaped) {
            let next = match here {
                Self::Object(members) => {
                    let mut named = members.iter().filter(|(name, _)| name.expose() == token);
                    let first = named.next().map(|(_, member)| member);
                    if named.next().is_some() {
                        return true;
                    }
                    first
                }
                Self::Array(elements) => index(&token).and_then(|index| elements.get(index)),
                _ => None,
            };
            let Some(next) = next else { return false };
            here = next;
        }
        false
    }

    /// What an RFC 6901 pointer points at.
    pub(super) fn pointer(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |value, token| {
            let token = unescaped(token);
            match value {
                Self::Object(members) => {
                    members.iter().find(|(name, _)| name.expose() == token).map(|(_, member)| member)
                }
                Self::Array(elements) => index(&token).and_then(|index| elements.get(index)),
                _ => None,
            }
        })
    }

    /// The member of that name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(other, _)| other.expose() == name).map(|(_, member)| member),
            _ => None,
        }
    }

    /// What errors call it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    canonical.then(|| token.parse().ok()).flatten()
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(Secret, Json)> = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str, pointer: &str) -> Option<String> {
        match Json::read(document.as_bytes()).unwrap().pointer(pointer)? {
            Json::Text(text) => Some(text.expose().to_owned()),
            Json::Number(number) => Some(number.clone()),
            other => Some(other.type_name().to_owned()),
        }
    }

    #[test]
    fn pointers_find_members_elements_and_escaped_names() {
        let document = r#"{"a":{"b":["x",{"c/d":"y","e~f":7}]},"":"empty","n":null,"big":18446744073709551615}"#;
        assert_eq!(text(document, "/a/b/0").unwrap(), "x");
        assert_eq!(text(document, "/a/b/1/c~1d").unwrap(), "y");
        assert_eq!(text(document, "/a/b/1/e~0f").unwrap(), "7");
        assert_eq!(text(document, "/").unwrap(), "empty");
        assert_eq!(text(document, "/n").unwrap(), "null");
        assert_eq!(text(document, "/big").unwrap(), "18446744073709551615");
        for absent in ["/a/b/2", "/a/b/00", "/a/b/+0", "/a/b/-", "/x", "/n/x", "/a/b/0/x"] {
            assert_eq!(text(document, absent), None, "{absent}");
        }
    }

    #[test]
    fn what_is_not_one_strict_document_is_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for bad in [
            "",
            " ",
            "{",
            "<html></html>",
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"\u0061":2}}"#,
            r#"{"a":1} {"b":2}"#,
            "{\"a\":1,}",
            "NaN",
            "\"\\ud800\"",
            deep.as_str(),
        ] {
            assert!(Json::read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Json::read(b"\"\xff\"").is_err());
    }

    #[test]
    fn twins_are_found_on_the_way_to_a_place_and_nowhere_else() {
        let document = r#"{"a":[{"x":1},{"b/c":{"t":1,"t":2},"u":3}],"v":4}"#;
        let Err(Unreadable::Twins(json)) = Json::read(document.as_bytes()) else { panic!("it has twins") };
        for (pointer, twice) in [
            ("/a/1/b~1c/t", true),
            ("/a/1/b~1c/t/x", true),
            ("/a/1/u", false),
            ("/a/0/x", false),
            ("/v", false),
            ("/w", false),
        ] {
            assert_eq!(json.is_twice(pointer), twice, "{pointer}");
        }
    }
}
