//! JSON as consumers send it: small, and from a program that may be made to send anything.

use std::iter::Peekable;
use std::str::Chars;

/// Nesting beyond this is nobody's request.
const MAX_DEPTH: usize = 32;

/// A value. Members keep their order, so that a file that is edited stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The one value in `text`.
    ///
    /// # Errors
    /// What is wrong, in words. They repeat nothing of the text, which may hold a secret.
    #[cold]
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
        let value = reader.value()?;
        match reader.skip() {
            None => Ok(value),
            Some(_) => Err("there is something behind the JSON"),
        }
    }

    /// The member of that name, if this is an object that has one.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    #[cold]
    fn value(&mut self) -> Result<Value, &'static str> {
        match self.skip().ok_or("the JSON ends too early")? {
            '{' => self.nested(Self::object),
            '[' => self.nested(Self::array),
            '"' => self.string().map(Value::String),
            't' => self.word("true", Value::Bool(true)),
            'f' => self.word("false", Value::Bool(false)),
            'n' => self.word("null", Value::Null),
            '-' | '0'..='9' => self.number(),
            _ => Err("it is not JSON"),
        }
    }

    /// The next character that is no white space.
    fn skip(&mut self) -> Option<char> {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r')).is_some() {}
        self.rest.peek().copied()
    }

    #[cold]
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, &'static str>) -> Result<Value, &'static str> {
        self.rest.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the JSON is nested too deeply");
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    #[cold]
    fn object(&mut self) -> Result<Value, &'static str> {
        let mut members: Vec<(String, Value)> = Vec::new();
        if self.skip() == Some('}') {
            self.rest.next();
            return Ok(Value::Object(members));
        }
        loop {
            if self.skip() != Some('"') {
                return Err("a member of the JSON has no name");
            }
            let name = self.string()?;
            // Two programs would read two different values.
            if members.iter().any(|(known, _)| *known == name) {
                return Err("a member of the JSON comes twice");
            }
            if self.skip() != Some(':') {
                return Err("a member of the JSON has no value");
            }
            self.rest.next();
            members.push((name, self.value()?));
            if self.more('}')? {
                continue;
            }
            return Ok(Value::Object(members));
        }
    }

    #[cold]
    fn array(&mut self) -> Result<Value, &'static str> {
        let mut items = Vec::new();
        if self.skip() == Some(']') {
            self.rest.next();
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if !self.more(']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    /// Takes the comma before a further item, or the `end`.
    fn more(&mut self, end: char) -> Result<bool, &'static str> {
        match self.skip() {
            Some(',') => {
                self.rest.next();
                Ok(true)
            }
            Some(c) if c == end => {
                self.rest.next();
                Ok(false)
            }
            _ => Err("the JSON ends too early"),
        }
    }

    #[cold]
    fn word(&mut self, word: &str, value: Value) -> Result<Value, &'static str> {
        if word.chars().all(|c| self.rest.next() == Some(c)) { Ok(value) } else { Err("it is not JSON") }
    }

    #[cold]
    fn number(&mut self) -> Result<Value, &'static str> {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')) {
            text.push(c);
        }
        let digits = text.trim_start_matches('-');
        let plain = digits.starts_with(|c: char| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with("00"));
        if plain && text.parse::<f64>().is_ok_and(f64::is_finite) {
            Ok(Value::Number(text))
        } else {
            Err("the JSON holds a number that is none")
        }
    }

    #[cold]
    fn string(&mut self) -> Result<String, &'static str> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next().ok_or("the JSON ends too early")? {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if c < ' ' => return Err("the JSON holds a bare control character"),
                c => text.push(c),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Result<char, &'static str> {
        Ok(match self.rest.next().ok_or("the JSON ends too early")? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            c @ ('"' | '\\' | '/') => c,
            'u' => {
                let first = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    if !(self.rest.next() == Some('\\') && self.rest.next() == Some('u')) {
                        return Err("the JSON holds half a character");
                    }
                    let second = self.hex()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err("the JSON holds half a character");
                    }
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or("the JSON holds half a character")?
            }
            _ => return Err("the JSON holds an escape that is none"),
        })
    }

    #[cold]
    fn hex(&mut self) -> Result<u32, &'static str> {
        (0..4).try_fold(0, |sum, _| {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            Ok(sum * 16 + digit.ok_or("the JSON holds an escape that is none")?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_consumers_send_is_read() {
        let value = Value::parse(
            " {\"a\": [1, -2.5e3, true, false, null], \"b\":{\"c\":\"x\\n\\u00fc\\ud83d\\ude00\\/\"}, \"d\":{}, \"e\":[]}\n",
        )
        .unwrap();
        assert_eq!(value.member("b").unwrap().member("c").unwrap().text(), Some("x\nü😀/"));
        let Value::Array(items) = value.member("a").unwrap() else { panic!() };
        assert_eq!(items[1], Value::Number("-2.5e3".into()));
        assert_eq!((value.member("z"), value.text()), (None, None));
    }

    #[test]
    fn what_is_no_json_is_refused_and_not_repeated() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for text in [
            "",
            "{",
            "[1",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "tru",
            "\"hunter2",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"a\nb\"",
            "01x",
            "-",
            "00",
            "1 2",
            "{\"a\":1,\"a\":2}",
            "'a'",
            &deep,
            "\u{feff}{}",
        ] {
            let why = Value::parse(text).expect_err(text);
            assert!(!why.contains("hunter2"));
        }
    }
}
