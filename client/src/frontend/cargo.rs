//! cargo: the credential provider protocol, version 1. cargo runs one provider for as long as it needs it, and sends a line
//! of JSON for each question.

use std::io::{BufRead, Read};

use cloud_agent_protocol::{Credential, Fault, FaultKind};
use zeroize::Zeroizing;

use super::call::{self, Call, MAX_INPUT};
use super::carry;
use crate::json::{self, Value};
use crate::report::{Failure, printable};
use crate::{moment, stdio};

/// What is spoken, said first.
const HELLO: &[u8] = b"{\"v\":[1]}\n";

/// What cargo wants.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// A token for the index at this address, perhaps of this account.
    Token { url: String, account: Option<String> },
    /// What is not cargo's to do with what is ours: a login, a logout.
    Other { url: String, account: Option<String> },
}

/// Answers cargo until it has no more questions.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    stdio::stdout(HELLO)?;
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Zeroizing::new(String::with_capacity(8 * 1024));
        let read = input.by_ref().take(MAX_INPUT as u64).read_line(&mut line);
        if read.map_err(|e| Failure::usage(format!("cannot read stdin: {e}")))? == 0 {
            return Ok(());
        }
        let answer = answer(call, &line).unwrap_or_else(|failure| refusal(&failure));
        stdio::stdout(answer.as_bytes())?;
    }
}

#[cold]
fn answer(call: &Call, line: &str) -> Result<Zeroizing<String>, Failure> {
    let of = |account: Option<String>| Call { account: account.or(call.account.clone()), ..call.clone() };
    match read(line)? {
        Wish::Token { url, account } => Ok(write(&of(account).ask(&url)?)?),
        // cargo asks its next provider only about what is not ours.
        Wish::Other { url, account } => {
            if of(account).is_served(&url)? {
                return Err(Fault::new(FaultKind::Unsupported, "").into());
            }
            Ok(not_ours())
        }
    }
}

/// Reads a line of cargo's.
///
/// # Errors
/// [`FaultKind::Usage`].
#[cold]
fn read(line: &str) -> Result<Wish, Fault> {
    let wrong = |why: &str| Fault::new(FaultKind::Usage, "what cargo sent is not understood").because(why);
    let request = Value::parse(line).map_err(wrong)?;
    if request.member("v") != Some(&Value::Number("1".into())) {
        return Err(wrong("it is of another version"));
    }
    let index = request.member("registry").and_then(|registry| registry.member("index-url")?.text());
    let index = index.ok_or_else(|| wrong("it names no index"))?;
    let account = match request.member("args") {
        Some(Value::Array(args)) => match args.iter().map(Value::text).collect::<Option<Vec<_>>>().as_deref() {
            Some([]) => None,
            Some([account] | ["--account", account]) => Some((*account).to_owned()),
            _ => return Err(wrong("the provider takes an account and nothing else")),
        },
        _ => None,
    };
    let url = index.strip_prefix("sparse+").unwrap_or(index).to_owned();
    let is_get = request.member("kind").and_then(Value::text) == Some("get");
    Ok(if is_get { Wish::Token { url, account } } else { Wish::Other { url, account } })
}

/// Writes what cargo reads. cargo puts the token into `Authorization` as it is.
///
/// # Errors
/// As [`carry::authorization`].
#[cold]
fn write(credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let value = carry::authorization(credential, "cargo")?;
    let mut text = Zeroizing::new(String::with_capacity(2 * value.len() + 256));
    json::Writer::new(&mut text).object(|o| {
        o.key("Ok").object(|ok| {
            ok.key("kind").string("get");
            ok.key("token").string(value);
            ok.key("cache").string(if credential.expires_at.is_some() { "expires" } else { "session" });
            if let Some(at) = credential.expires_at {
                ok.key("expiration").number_or_null(Some(at));
            }
            ok.key("operation_independent").boolean(true);
        });
    });
    text.push('\n');
    Ok(text)
}

/// What cargo reads of an address that is nobody's: it asks the next provider.
fn not_ours() -> Zeroizing<String> {
    Zeroizing::new("{\"Err\":{\"kind\":\"url-not-supported\"}}\n".to_owned())
}

/// What cargo reads instead.
#[cold]
fn refusal(failure: &Failure) -> Zeroizing<String> {
    if call::is_nobodys(failure) {
        return not_ours();
    }
    let mut text = String::new();
    json::Writer::new(&mut text).object(|o| {
        o.key("Err").object(|error| {
            if failure.fault.message.is_empty() {
                error.key("kind").string("operation-not-supported");
            } else {
                let fault = &failure.fault;
                error.key("kind").string("other");
                error.key("message").string(&printable(&failure.message()));
                error.key("caused-by").array(|causes| {
                    let hint = fault.hint.as_ref().map(|hint| format!("hint: {hint}"));
                    fault
                        .causes
                        .iter()
                        .chain(&failure.next_try(moment::now()))
                        .chain(&hint)
                        .for_each(|cause| causes.string(&printable(cause)));
                });
            }
        });
    });
    text.push('\n');
    Zeroizing::new(text)
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;

    const GET: &str = r#"{"v":1,"kind":"get","operation":"read","registry":{"index-url":"sparse+https://reg.example/index/",
        "name":"mine","headers":["WWW-Authenticate: Bearer"]},"args":[]}"#;

    #[test]
    fn a_question_is_read_with_its_account() {
        let wish = |account: Option<&str>| Wish::Token {
            url: "https://reg.example/index/".into(),
            account: account.map(str::to_owned),
        };
        assert_eq!(read(GET), Ok(wish(None)));
        assert_eq!(read(&GET.replace("[]}", "[\"work\"]}")), Ok(wish(Some("work"))));
        assert_eq!(read(&GET.replace("[]}", "[\"--account\",\"work\"]}")), Ok(wish(Some("work"))));
        let login = Wish::Other { url: "https://reg.example/index/".into(), account: None };
        assert_eq!(read(&GET.replace("\"get\"", "\"login\"")), Ok(login));
        for wrong in
            ["", "{}", &GET.replace("\"v\":1", "\"v\":2"), &GET.replace("[]}", "[1]}"), &GET.replace("index-url", "x")]
        {
            assert_eq!(read(wrong).unwrap_err().kind, FaultKind::Usage, "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_the_whole_header_until_it_ends() {
        let bearer = credential(&[("Authorization", "Bearer t0k")]);
        assert_eq!(
            write(&bearer).unwrap().as_str(),
            "{\"Ok\":{\"kind\":\"get\",\"token\":\"Bearer t0k\",\"cache\":\"expires\",\"expiration\":1795319040,\
             \"operation_independent\":true}}\n"
        );
        let forever = Credential { expires_at: None, ..bearer };
        assert!(write(&forever).unwrap().contains("\"cache\":\"session\",\"operation_independent\""));
        assert!(write(&credential(&[("A", "1"), ("B", "2")])).is_err());
    }

    #[test]
    fn refusals_let_cargo_go_on_or_tell_it_why_not() {
        let told = |fault: Fault| refusal(&fault.into()).trim().to_owned();
        assert_eq!(told(Fault::new(FaultKind::UnknownAccount, "x")), r#"{"Err":{"kind":"url-not-supported"}}"#);
        assert_eq!(told(Fault::new(FaultKind::Unsupported, "")), r#"{"Err":{"kind":"operation-not-supported"}}"#);
        assert_eq!(
            told(Fault::new(FaultKind::NeedsHuman, "not in").because("why").hint("`cloud-token login work`")),
            r#"{"Err":{"kind":"other","message":"not in","caused-by":["why","hint: `cloud-token login work`"]}}"#
        );
    }
}
