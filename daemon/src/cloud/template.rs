//! The whole template language: `{name}`, `{name:int}`, `{name?}`, and `{{` `}}` for literal braces.
//!
//! A template renders to nothing if a value it names is absent: the header, field or member that it is for then disappears.
//! Of `{name?}` only the hole itself disappears, and one space beside it.
//! There is nothing else, on purpose: no expressions, no defaults, no conditions.

use std::fmt;

use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

/// Text with named holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value { name: String, form: Form },
}

/// How a value enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is.
    Plain,
    /// As a whole number.
    Integer,
    /// As it is, or not at all.
    Optional,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(format!("`}}` without `{{` in `{text}`; a literal brace is `}}}}`"));
            }
            let Some((hole, after)) = rest.split_once('}') else {
                return Err(format!("`{{` without `}}` in `{text}`; a literal brace is `{{{{`"));
            };
            rest = after;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(hole_of(hole, text)?);
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The names it needs, in order, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { name, .. } => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The names whose values have to be there: all but those of `{name?}`.
    pub(crate) fn needed(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { name, form } if *form != Form::Optional => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether there is a `{name?}` in it.
    pub(super) fn has_optional(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value { form: Form::Optional, .. }))
    }

    /// Whether it is one `{name:int}` and nothing else: a number where the format has numbers.
    pub(crate) fn is_integer(&self) -> bool {
        matches!(self.parts[..], [Part::Value { form: Form::Integer, .. }])
    }

    /// The literal text before the first hole.
    pub(super) fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// All of its literal text.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Value { .. } => None,
        })
    }

    /// Fills the holes; `None` if a value is absent.
    ///
    /// # Errors
    /// [`FaultKind::Usage`] if the value of a `{name:int}` is not a number.
    pub(crate) fn render<'v>(&self, value: impl Fn(&str) -> Option<&'v Secret>) -> Result<Option<Secret>, Fault> {
        self.render_with(value, String::push_str)
    }

    /// Fills the holes with percent-encoded values, as a path needs them; `None` if a value is absent.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub(crate) fn render_encoded<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v Secret>,
    ) -> Result<Option<Secret>, Fault> {
        self.render_with(value, percent_encode)
    }

    fn render_with<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v Secret>,
        push: impl Fn(&mut String, &str),
    ) -> Result<Option<Secret>, Fault> {
        // Sized first, because a string that grows leaves what it held in freed memory.
        let mut size = 0;
        for part in &self.parts {
            size += match part {
                Part::Literal(text) => text.len(),
                Part::Value { name, form } => match value(name) {
                    Some(found) => found.len() * 3,
                    None if *form == Form::Optional => 0,
                    None => return Ok(None),
                },
            };
        }
        let mut out = Zeroizing::new(String::with_capacity(size));
        let mut vanished = false;
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    out.push_str(if vanished { text.strip_prefix(' ').unwrap_or(text) } else { text });
                    vanished = false;
                }
                Part::Value { name, form } => {
                    vanished = false;
                    match (value(name), form) {
                        (Some(found), Form::Integer) => push(&mut out, integer(name, found)?.to_string().as_str()),
                        (Some(found), _) => push(&mut out, found.expose()),
                        (None, Form::Optional) => vanished = true,
                        (None, _) => return Ok(None),
                    }
                }
            }
        }
        if vanished && out.ends_with(' ') {
            out.pop();
        }
        Ok(Some(Secret::new(std::mem::take(&mut *out))))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Value { name, form } => {
                    let form = match form {
                        Form::Plain => "",
                        Form::Integer => ":int",
                        Form::Optional => "?",
                    };
                    write!(f, "{{{name}{form}}}")?;
                }
            }
        }
        Ok(())
    }
}

fn hole_of(hole: &str, text: &str) -> Result<Part, String> {
    let (name, form) = match hole.split_once(':') {
        None => hole.strip_suffix('?').map_or((hole, Form::Plain), |name| (name, Form::Optional)),
        Some((name, "int")) => (name, Form::Integer),
        Some((_, other)) => return Err(format!("`:{other}` is not known in `{text}`; only `:int` is")),
    };
    if !is_name(name) {
        return Err(format!("`{{{hole}}}` in `{text}` does not name a value"));
    }
    Ok(Part::Value { name: name.to_owned(), form })
}

/// Whether `name` may name a value: lower-case letters, digits, `-` and `_`, a letter first, at most 64 long.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// A value as a whole number; leading zeros are not an error, because codes have them.
pub(crate) fn integer(name: &str, value: &Secret) -> Result<u64, Fault> {
    let text = value.expose();
    let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    // The value is not shown: it may be a code that is still good.
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| Fault::new(FaultKind::Usage, format!("`{name}` has to be a number of at most 18 digits")))
}

/// RFC 3986 percent-encoding of everything but unreserved characters.
pub(crate) fn percent_encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, values: &[(&str, &str)]) -> Option<String> {
        let values: Vec<(&str, Secret)> = values.iter().map(|(n, v)| (*n, Secret::from(*v))).collect();
        let find = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, v)| v);
        Template::parse(template).unwrap().render(find).unwrap().map(|s| s.expose().to_owned())
    }

    #[test]
    fn holes_are_filled_and_braces_are_doubled() {
        assert_eq!(render("Bearer {access}", &[("access", "a{b}c")]).unwrap(), "Bearer a{b}c");
        assert_eq!(render("{{{x}}}", &[("x", "1")]).unwrap(), "{1}");
        assert_eq!(render("plain", &[]).unwrap(), "plain");
    }

    #[test]
    fn a_template_with_an_absent_value_renders_to_nothing() {
        assert_eq!(render("Bearer {access}", &[]), None);
    }

    #[test]
    fn an_optional_hole_vanishes_with_one_space_beside_it() {
        let access = ("access", "t0k");
        assert_eq!(render("{scheme?} {access}", &[access]).unwrap(), "t0k");
        assert_eq!(render("{scheme?} {access}", &[access, ("scheme", "Token")]).unwrap(), "Token t0k");
        assert_eq!(render("{access} {suffix?}", &[access]).unwrap(), "t0k");
        assert_eq!(render("a {x?} {access}", &[access]).unwrap(), "a t0k");
        assert_eq!(render("a{x?}b", &[]).unwrap(), "ab");
        assert_eq!(render("{scheme?} {access}", &[]), None, "the other is still needed");
    }

    #[test]
    fn a_number_loses_its_leading_zeros_and_must_be_one() {
        assert_eq!(render("{code:int}", &[("code", "012345")]).unwrap(), "12345");
        for bad in ["", "12 3", "abc", "-1", "१२३", "9999999999999999999"] {
            let value = Secret::from(bad);
            let fault = Template::parse("{code:int}").unwrap().render(|_| Some(&value)).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Usage, "{bad}");
            assert!(bad.is_empty() || !fault.to_string().contains(bad), "{fault}");
        }
    }

    #[test]
    fn values_in_a_path_cannot_leave_their_place() {
        let value = Secret::from("../a?b#c d/é");
        let path = Template::parse("/x/{v}").unwrap().render_encoded(|_| Some(&value)).unwrap().unwrap();
        assert_eq!(path.expose(), "/x/..%2Fa%3Fb%23c%20d%2F%C3%A9");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in [
            "{",
            "}",
            "{}",
            "{a",
            "a}",
            "{A}",
            "{a b}",
            "{a:float}",
            "{1a}",
            "{a:}",
            "{?}",
            "{a??}",
            "{a?:int}",
            "{a:int?}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn display_gives_back_what_was_read() {
        for text in ["{a}-{b:int}", "{a?} {b}", "{{x}}", "plain"] {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
    }
}
