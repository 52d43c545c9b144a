//! git: `git-credential(1)` and `gitcredentials(7)`, as git 2.47 speaks them.
//!
//! Nothing is stored: the agent has it already. A foreign address, an unknown verb and `store` are answered with silence,
//! so that git goes on to its other helpers. When the account is ours and its human is needed, git is told to stop, or it
//! would ask for a password that nobody has.

use std::fmt::Write as _;

use cloud_agent_protocol::{Credential, Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use super::call::{self, Call};
use super::carry;
use crate::report::Failure;
use crate::stdio;

/// The longest line that git writes or takes, in bytes.
const MAX_LINE: usize = 65_535;

/// What git says about the credential that it wants or had.
#[derive(Default, PartialEq, Eq)]
struct Attributes {
    protocol: String,
    /// With the port.
    host: String,
    /// As it stands in an address: git says it without its escapes.
    path: String,
    username: Option<String>,
    /// It takes an authentication scheme and its credentials, instead of a user name and a password.
    authtype: bool,
    /// What was refused: the whole value of the header, or the password.
    refused: Option<Secret>,
}

impl Attributes {
    fn url(&self) -> String {
        format!("{}://{}/{}", self.protocol, self.host, self.path)
    }

    /// Whether it is of the web at all, and so may be an account's. What else git has helpers for (`cert`, `smtp`) is not.
    fn is_of_the_web(&self) -> bool {
        self.protocol == "https" || self.protocol == "http"
    }
}

/// Answers git.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    match call.verb() {
        "get" => {}
        "erase" => return erase(call),
        "capability" => return stdio::stdout(b"version 0\ncapability authtype\n"),
        _ => {
            // Taken, so that git need not mind, and come what may: none of it is our business.
            let _ = call.input();
            return Ok(());
        }
    }
    let wanted = read(&call.input()?)?;
    if !wanted.is_of_the_web() {
        return Ok(());
    }
    // A user name is one of an account, or it is somebody else's.
    let call = Call { account: call.account.clone().or(wanted.username.clone()), ..call.clone() };
    match call.ask(&wanted.url()) {
        Ok(credential) => match write(&wanted, &credential) {
            Ok(text) => stdio::stdout(text.as_bytes()),
            Err(fault) => stop(&fault.into()),
        },
        Err(failure) if call::is_nobodys(&failure) => Ok(()),
        Err(failure) if call::is_ours(&failure) => stop(&failure),
        // Without an agent, who knows whose it is: git goes on.
        Err(failure) => Err(failure),
    }
}

/// Says why, and keeps git from asking for a password that nobody has.
fn stop(failure: &Failure) -> Result<(), Failure> {
    call::say(failure);
    stdio::stdout(b"quit=1\n")
}

#[cold]
fn erase(call: &Call) -> Result<(), Failure> {
    let had = read(&call.input()?)?;
    if !had.is_of_the_web() {
        return Ok(());
    }
    let url = had.url();
    // Without the very token that was refused there is nothing to conclude: a newer one may be good.
    let Some(refused) = had.refused else { return Ok(()) };
    match call.reject(&url, refused) {
        Err(failure) if !(call::is_nobodys(&failure) || failure.is_of_no_agent()) => Err(failure),
        _ => Ok(()),
    }
}

/// Reads what git sends to a helper.
///
/// # Errors
/// [`FaultKind::Usage`] for what git would never send, and what would become another field for somebody else.
#[cold]
fn read(input: &[u8]) -> Result<Attributes, Fault> {
    let refuse = |why: &str| Err(Fault::new(FaultKind::Usage, "what git sent is refused").because(why));
    let (mut read, mut scheme, mut secret) = (Attributes::default(), None, None);
    for line in input.split(|b| *b == b'\n') {
        if line.is_empty() {
            break;
        }
        if line.len() > MAX_LINE {
            return refuse("a line is longer than any of git's");
        }
        if line.iter().any(|b| matches!(b, b'\r' | b'\0')) {
            return refuse("a field holds a carriage return or a NUL");
        }
        let Some(at) = line.iter().position(|b| *b == b'=') else { return refuse("a line has no `=`") };
        let (name, value) = (&line[..at], &line[at + 1..]);
        let text = || std::str::from_utf8(value).map(str::to_owned);
        let Ok(()) = (match name {
            b"protocol" => text().map(|value| read.protocol = value),
            b"host" => text().map(|value| read.host = value),
            b"path" => {
                read.path = escaped(value);
                Ok(())
            }
            b"username" => text().map(|value| read.username = Some(value).filter(|name| !name.is_empty())),
            b"authtype" => text().map(|value| scheme = Some(value)),
            b"credential" | b"password" => text().map(|value| secret = Some(Secret::new(value))),
            b"capability[]" if value.is_empty() => {
                read.authtype = false;
                Ok(())
            }
            b"capability[]" => {
                read.authtype |= value == b"authtype";
                Ok(())
            }
            // An address in one piece would be taken apart by rules of its own.
            b"url" => return refuse("`url` is for git itself, not for its helpers"),
            _ => Ok(()),
        }) else {
            return refuse("a field is not text (UTF-8)");
        };
    }
    if read.protocol.is_empty() {
        return refuse("it names no protocol");
    }
    if !read.is_of_the_web() {
        return Ok(read);
    }
    if read.host.is_empty() {
        return refuse("it names no host");
    }
    // What would end the host, or begin another one, where it is put into an address.
    if read.host.bytes().any(|b| !b.is_ascii_graphic() || b"@/?#\\".contains(&b)) {
        return refuse("the host holds a character that no host has");
    }
    read.refused = match (scheme, secret) {
        (Some(scheme), Some(secret)) => Some(Secret::new(format!("{scheme} {}", secret.expose()))),
        (None, secret) => secret,
        (Some(_), None) => None,
    };
    Ok(read)
}

/// A path as it stands in an address. What would end it there, or be taken for an escape, was neither to git.
fn escaped(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        if byte.is_ascii_graphic() && !b"%?#\\".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes every write");
        }
    }
    text
}

/// Writes what git reads from a helper.
///
/// # Errors
/// As [`carry::scheme`].
#[cold]
fn write(wanted: &Attributes, credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_LINE + 512));
    let mut line = |name: &str, value: &str| -> Result<(), Fault> {
        if name.len() + value.len() >= MAX_LINE {
            let message = format!("the token of `{}` is longer than git takes", credential.account);
            return Err(Fault::new(FaultKind::Unsupported, message));
        }
        for part in [name, "=", value, "\n"] {
            text.push_str(part);
        }
        Ok(())
    };
    if wanted.authtype {
        let (scheme, value) = carry::scheme(credential, "git")?;
        line("capability[]", "authtype")?;
        line("authtype", scheme)?;
        line("credential", value)?;
    } else {
        let token = carry::token(credential, "git")?;
        line("username", &credential.account)?;
        line("password", token)?;
    }
    if let Some(at) = credential.expires_at {
        let mut digits = String::new();
        write!(digits, "{at}").expect("a string takes every write");
        line("password_expiry_utc", &digits)?;
    }
    if wanted.authtype {
        // Other helpers are not to keep it.
        line("ephemeral", "1")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;

    fn wanted(text: &str) -> Attributes {
        read(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    #[test]
    fn a_question_of_git_is_read() {
        let it = wanted(
            "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.example:8443\npath=a/b.git\n\
             wwwauth[]=Bearer realm=\"x=y\"\n\nhost=evil.example\n",
        );
        assert_eq!(it.url(), "https://git.example:8443/a/b.git");
        assert!(it.authtype && it.username.is_none() && it.refused.is_none());
        assert!(!wanted("capability[]=authtype\ncapability[]=\nprotocol=https\nhost=a\n").authtype, "a reset");
        assert!(!wanted("protocol=https\nhost=a\ncapability[]=state").authtype);
        assert_eq!(wanted("protocol=https\nhost=a\nusername=me\n").username.as_deref(), Some("me"));
        assert_eq!(wanted("protocol=https\nhost=a\nusername=\n").username, None);
    }

    #[test]
    fn a_path_becomes_a_part_of_an_address_and_ends_nowhere_before_its_end() {
        for (path, url) in [
            (&b"team?/../other/repo.git"[..], "https://a/team%3F/../other/repo.git"),
            (b"team#/../other", "https://a/team%23/../other"),
            (b"a b/100%.git", "https://a/a%20b/100%25.git"),
            (b"team/..\\x", "https://a/team/..%5Cx"),
            (b"\xc3\xbc\xff\t", "https://a/%C3%BC%FF%09"),
        ] {
            let it = read(&[b"protocol=https\nhost=a\npath=", path, b"\n"].concat())
                .unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(it.url(), url);
        }
    }

    #[test]
    fn what_is_not_of_the_web_needs_no_host() {
        for text in
            ["protocol=cert\nhost=\npath=/home/me/key.pem\n", "protocol=cert\npath=/k\n", "protocol=smtp\nhost=a b\n"]
        {
            assert!(!wanted(text).is_of_the_web(), "{text:?}");
        }
    }

    #[test]
    fn what_was_refused_is_the_header_or_the_password() {
        let refused = |text: &str| {
            let it = wanted(&format!("protocol=https\nhost=a\n{text}"));
            it.refused.map(|secret| secret.expose().to_owned())
        };
        assert_eq!(refused("authtype=Bearer\ncredential=t0k\n").as_deref(), Some("Bearer t0k"));
        assert_eq!(refused("username=work\npassword=t0k\n").as_deref(), Some("t0k"));
        assert_eq!(refused("username=work\n"), None);
    }

    /// T24
    #[test]
    fn fields_that_could_become_others_are_refused() {
        for text in [
            "protocol=https\nhost=a\rb\n",
            "protocol=https\nhost=a\0b\n",
            "protocol=https\r\nhost=a\r\n",
            "protocol=https\nhost=a\nwwwauth[]=x\ry\n",
            "protocol=https\nhost=good@evil\n",
            "protocol=https\nhost=good/x\n",
            "protocol=https\nhost=good?x\n",
            "protocol=https\nhost=good#x\n",
            "protocol=https\nhost=good\\x\n",
            "protocol=https\nhost=a b\n",
            "protocol=https\nhost=\u{ff41}.example\n",
            "protocol=https\nhost=\n",
            "protocol=https\n",
            "host=a\n",
            "protocol=https\nhost=a\nurl=https://b\n",
            "nonsense\n",
            "",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(read(b"protocol=https\nhost=a\nusername=\xff\n").is_err());
        assert!(read(b"protocol=https\nhost=a\nwwwauth[]=\xff\n").is_ok(), "what is not looked at may be anything");
    }

    #[test]
    fn lines_are_as_long_as_gits_and_no_longer() {
        let line = |length: usize| format!("protocol=https\nhost=a\nwwwauth[]={}\n", "x".repeat(length - 10));
        assert!(read(line(MAX_LINE).as_bytes()).is_ok());
        assert!(read(line(MAX_LINE + 1).as_bytes()).is_err());
    }

    #[test]
    fn an_answer_is_what_git_asked_for() {
        let bearer = credential(&[("Authorization", "Bearer t0k")]);
        let new = wanted("capability[]=authtype\nprotocol=https\nhost=a\n");
        assert_eq!(
            write(&new, &bearer).unwrap().as_str(),
            "capability[]=authtype\nauthtype=Bearer\ncredential=t0k\npassword_expiry_utc=1795319040\nephemeral=1\n"
        );
        let old = wanted("protocol=https\nhost=a\n");
        assert_eq!(
            write(&old, &bearer).unwrap().as_str(),
            "username=work\npassword=t0k\npassword_expiry_utc=1795319040\n"
        );
        let forever = Credential { expires_at: None, ..bearer };
        assert!(!write(&new, &forever).unwrap().contains("expiry"));
    }

    /// T24
    #[test]
    fn a_token_that_would_become_a_second_line_is_not_written() {
        for value in ["Bearer t\nhost=evil", "Bearer t\rx", "Bearer t\0"] {
            let hostile = credential(&[("Authorization", value)]);
            assert!(write(&wanted("capability[]=authtype\nprotocol=https\nhost=a\n"), &hostile).is_err());
        }
        let hostile = Credential { token: Some("t\nhost=evil".into()), ..credential(&[("Authorization", "x y")]) };
        assert!(write(&wanted("protocol=https\nhost=a\n"), &hostile).is_err());
    }

    #[test]
    fn two_headers_do_not_fit() {
        let two = credential(&[("X-Login", "me"), ("X-Token", "t0k")]);
        for text in ["capability[]=authtype\nprotocol=https\nhost=a\n", "protocol=https\nhost=a\n"] {
            assert_eq!(write(&wanted(text), &two).unwrap_err().kind, FaultKind::Unsupported);
        }
    }
}
