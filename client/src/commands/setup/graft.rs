//! A member put into somebody's JSON, or taken out, without a change to any other byte. Whoever calls this has parsed the text:
//! here it is only looked for where things begin and end.

/// A member of an object: where its name begins, where its value is.
struct Member {
    name: String,
    from: usize,
    value: usize,
    to: usize,
}

/// `text`, an object, with the string `value` as `name` in its object `inside`, which is made if need be. It is written as its
/// neighbour is.
#[cold]
pub(super) fn with(text: &str, inside: &str, name: &str, value: &str) -> String {
    let top = Object::at(text, text.find('{').unwrap_or(0));
    let value = format!("\"{value}\"");
    if let Some(member) = top.members.iter().find(|member| member.name == inside) {
        return Object::at(text, member.value).with(text, name, &value);
    }
    let (gap, colon) = top.style(text);
    // One step deeper, if it is written line by line.
    let (deeper, gap) = match gap.rsplit_once('\n') {
        Some((_, step)) => (format!("{gap}{step}"), gap),
        None => (String::new(), ""),
    };
    top.with(text, inside, &format!("{{{deeper}\"{name}\"{colon}{value}{gap}}}"))
}

/// `text` without the member `name` of its object `inside`, and without that if it holds nothing else.
#[cold]
pub(super) fn without(text: &str, inside: &str, name: &str) -> String {
    let top = Object::at(text, text.find('{').unwrap_or(0));
    let Some(at) = top.members.iter().position(|member| member.name == inside) else { return text.to_owned() };
    let object = Object::at(text, top.members[at].value);
    match object.members.iter().position(|member| member.name == name) {
        None => text.to_owned(),
        Some(_) if object.members.len() == 1 => top.without(text, at),
        Some(at) => object.without(text, at),
    }
}

struct Object {
    /// Behind its brace.
    open: usize,
    members: Vec<Member>,
}

impl Object {
    fn at(text: &str, brace: usize) -> Self {
        let bytes = text.as_bytes();
        let (open, mut members, mut at) = (brace + 1, Vec::new(), brace + 1);
        loop {
            at = skip(bytes, at, b" \t\r\n,");
            if bytes.get(at) != Some(&b'"') {
                return Self { open, members };
            }
            let end = end_of_value(bytes, at);
            let value = skip(bytes, end, b" \t\r\n:");
            let to = end_of_value(bytes, value);
            let name = text[at + 1..end - 1].to_owned();
            members.push(Member { name, from: at, value, to });
            at = to;
        }
    }

    /// What stands before its last member, and between that one's name and value.
    fn style<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let Some(last) = self.members.last() else { return ("", ":") };
        let before = &text[..last.from];
        let gap = &before[before.trim_end_matches([' ', '\t', '\r', '\n']).len()..];
        let colon = &text[end_of_value(text.as_bytes(), last.from)..last.value];
        (gap, colon)
    }

    fn with(&self, text: &str, name: &str, value: &str) -> String {
        let (gap, colon) = self.style(text);
        let (at, comma) = self.members.last().map_or((self.open, ""), |last| (last.to, ","));
        format!("{}{comma}{gap}\"{name}\"{colon}{value}{}", &text[..at], &text[at..])
    }

    fn without(&self, text: &str, at: usize) -> String {
        let member = &self.members[at];
        let (from, to) = match (at.checked_sub(1), self.members.get(at + 1)) {
            (Some(before), _) => (self.members[before].to, member.to),
            (None, Some(next)) => (member.from, next.from),
            (None, None) => (member.from, member.to),
        };
        format!("{}{}", &text[..from], &text[to..])
    }
}

fn skip(bytes: &[u8], from: usize, these: &[u8]) -> usize {
    from + bytes[from.min(bytes.len())..].iter().take_while(|byte| these.contains(byte)).count()
}

/// Where the value that begins at `from` ends.
fn end_of_value(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut quoted, mut at) = (0_usize, false, from);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match (quoted, byte) {
            (true, b'\\') => at += 1,
            (true, b'"') => {
                quoted = false;
                if depth == 0 {
                    return at;
                }
            }
            (false, b'"') => quoted = true,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n') if depth == 0 => return at - 1,
            (false, b'}' | b']') => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    at
}
