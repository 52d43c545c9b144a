//! JSON by hand: a dozen fields do not pay for a library in every start of this program.
//!
//! This file writes it; `read` reads what other programs send.

mod read;

use std::fmt::Write;

pub(crate) use read::Value;

/// An object or array under construction, appended to a buffer that the caller chose.
pub(crate) struct Writer<'a> {
    out: &'a mut String,
    comma: bool,
}

impl<'a> Writer<'a> {
    /// Writes to the end of `out`.
    pub(crate) fn new(out: &'a mut String) -> Self {
        Self { out, comma: false }
    }

    /// `{ … }`
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Writer<'_>)) {
        self.nested('{', '}', fill);
    }

    /// `[ … ]`
    pub(crate) fn array(&mut self, fill: impl FnOnce(&mut Writer<'_>)) {
        self.nested('[', ']', fill);
    }

    /// The name of what is written next.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.string(name);
        self.out.push(':');
        self.comma = false;
        self
    }

    /// A string, or `null`.
    pub(crate) fn string_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.raw("null"),
        }
    }

    /// A number, or `null`.
    pub(crate) fn number_or_null(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.raw(&value.to_string()),
            None => self.raw("null"),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// A string, escaped as RFC 8259 demands. DEL and U+2028/9 too: they are legal, and a trap for what reads it next.
    pub(crate) fn string(&mut self, value: &str) {
        self.separate();
        self.out.push('"');
        for c in value.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\0'..' ' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    write!(self.out, "\\u{:04x}", u32::from(c)).expect("a string takes every write");
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn raw(&mut self, text: &str) {
        self.separate();
        self.out.push_str(text);
    }

    fn nested(&mut self, open: char, close: char, fill: impl FnOnce(&mut Writer<'_>)) {
        self.separate();
        self.out.push(open);
        fill(&mut Writer::new(self.out));
        self.out.push(close);
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        Writer::new(&mut out).string("a\"b\\c\n\r\t\0\u{1f}\u{7f}\u{2028}ü😀/");
        assert_eq!(out, r#""a\"b\\c\n\r\t\u0000\u001f\u007f\u2028ü😀/""#);
    }

    #[test]
    fn members_are_separated_and_nested() {
        let mut out = String::new();
        Writer::new(&mut out).object(|o| {
            o.key("a").array(|a| {
                a.string("x");
                a.number_or_null(Some(-1));
                a.object(|_| {});
            });
            o.key("b").string_or_null(None);
            o.key("d").number_or_null(None);
        });
        assert_eq!(out, r#"{"a":["x",-1,{}],"b":null,"d":null}"#);
    }
}
