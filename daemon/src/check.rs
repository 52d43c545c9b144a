//! Judges a cloud file: reads it, and plays its examples through the engine against what was recorded.
//!
//! The network is a script that answers at once, so nothing here waits, and no runtime is needed.

mod answers;
mod compare;
mod script;

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cloud_agent_protocol::{AccountName, Credential, ExpirySource, Fault, FaultKind, Header, Secret};

use crate::clock::{ManualClock, Timestamp};
use crate::cloud::{Action, Cloud, Example, MAX_FILE, Method, Phase, ours};
use crate::provider::{Account, Act, Acted, Boxed, Grant, Held, Provider, Recipe, Revocation};
use answers::{Answers, Lost};
use script::Script;

/// What a good cloud file was found to be.
#[derive(Debug)]
pub struct Report {
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// The titles of the examples that were played.
    pub examples: Vec<String>,
    /// What is no error but worth knowing: a method or an action that no example plays, a file that others can write.
    pub notes: Vec<String>,
}

/// Reads the cloud file at `path` and plays its examples.
///
/// # Errors
/// `Config` faults with file and line: one if the file cannot be read as a cloud, else one for every example that does not
/// come out as it says.
pub fn check_file(path: &Path) -> Result<Report, Vec<Fault>> {
    use std::io::Read as _;

    let shown = path.display().to_string();
    let unreadable = |why: std::io::Error| {
        vec![Fault::new(FaultKind::Config, format!("`{shown}` cannot be read")).because(why.to_string())]
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let trusted = file.metadata().map_err(unreadable).map(|metadata| ours(path, &metadata))?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        let message = format!("`{shown}` is longer than {} KiB", MAX_FILE / 1024);
        return Err(vec![Fault::new(FaultKind::Config, message)]);
    }
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut report = check_text(name, &shown, &text)?;
    if let Err(why) = trusted {
        let mends = why.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        report.notes.push(format!("the agent does not read it as it is: {}{mends}", why.message));
    }
    Ok(report)
}

/// Reads `text` as the cloud `name` and plays its examples. `file` is what errors call it.
///
/// # Errors
/// As [`check_file`].
pub fn check_text(name: &str, file: &str, text: &str) -> Result<Report, Vec<Fault>> {
    let cloud = Arc::new(Cloud::parse(name, file, text, false).map_err(|fault| vec![fault])?);
    let faults: Vec<Fault> = cloud
        .examples
        .iter()
        .filter_map(|example| {
            let why = play(&cloud, example).err()?;
            let message = format!("`{file}`, line {}: the example `{}` does not hold", example.line, example.title);
            Some(Fault::new(FaultKind::Config, message).because(why))
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let played = |method: &&Method| {
        cloud.examples.iter().any(|example| example.phase != Phase::Act && example.method == method.name)
    };
    let done = |action: &&Action| cloud.examples.iter().any(|example| example.action.as_ref() == Some(&action.name));
    let methods = cloud.methods.iter().filter(|method| !played(method));
    let actions = cloud.actions.iter().filter(|action| !done(action));
    let notes = methods
        .map(|method| format!("no example plays the method `{}`", method.name))
        .chain(actions.map(|action| format!("no example plays the action `{}`", action.name)))
        .collect();
    let examples = cloud.examples.iter().map(|example| example.title.clone()).collect();
    Ok(Report { cloud, examples, notes })
}

/// What came of a doing.
#[derive(Debug)]
enum Came {
    Grant(Grant),
    Word(&'static str),
    /// And the address that was shown.
    Done(Acted, Option<String>),
    Fault(Fault),
}

/// Plays one example; what is wrong with it, in words.
fn play(cloud: &Arc<Cloud>, example: &Example) -> Result<(), String> {
    let method = cloud.method(&example.method).ok_or("its method is gone")?;
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(example.now)));
    let account = account(cloud, method, example);
    let script = Arc::new(Script::new(&account, &example.exchanges));
    let recipe = Recipe::new(script.clone(), clock);
    let given = Held(
        example
            .given
            .iter()
            .filter(|(name, _)| !account.settings.contains_key(*name))
            .map(|(name, value)| (name.clone(), Secret::from(value.as_str())))
            .collect(),
    );
    let answers = Answers::of(example);
    let came = match example.phase {
        Phase::Login => Came::of(now(recipe.login(&account, &given, example.remember, &answers)), Came::Grant),
        Phase::Renew => Came::of(now(recipe.renew(&account, &given, &Lost)), Came::Grant),
        Phase::Revoke => {
            let credential = credential(method, example, &account);
            Came::of(now(recipe.revoke(&account, &given, credential.as_ref())), |revocation| {
                Came::Word(match revocation {
                    Revocation::Revoked => "revoked",
                    Revocation::AlreadyDead => "already-dead",
                    Revocation::NotOffered => "not-offered",
                    Revocation::NothingLeft => "nothing-left",
                })
            })
        }
        Phase::Check => match credential(method, example, &account) {
            Some(credential) => Came::of(now(recipe.check(&account, &given, &credential)), |()| Came::Word("alive")),
            None => return Err("`given` lacks what the headers need".to_owned()),
        },
        Phase::Act => {
            let name = example.action.as_deref().unwrap_or_default();
            let action = cloud.action(name).ok_or("its action is gone")?;
            let credential = credential(method, example, &account).filter(|_| action.presents());
            let (settings, secrets, held) = sort(action, method, example);
            let credential = credential.as_ref();
            let act = Act { action, settings: &settings, secrets: &secrets, held: &held, credential };
            Came::of(now(recipe.act(&account, act, &answers)), |acted| Came::Done(acted, answers.shown()))
        }
    };
    script.verdict()?;
    compare::came(&came, &example.expected, example.now)
}

/// What an action is given: settings and secrets that it asks for; the rest of `given` is what is held.
fn sort(action: &Action, method: &Method, example: &Example) -> (BTreeMap<String, String>, Held, Held) {
    let (mut settings, mut secrets, mut held) = (BTreeMap::new(), Held::default(), Held::default());
    for (name, value) in &example.given {
        match action.asks.iter().find(|ask| ask.name == *name) {
            Some(ask) if !ask.secret => _ = settings.insert(name.clone(), value.clone()),
            Some(_) => _ = secrets.0.insert(name.clone(), Secret::from(value.as_str())),
            None if method.holds.iter().any(|hold| hold.name == *name) => {
                held.0.insert(name.clone(), Secret::from(value.as_str()));
            }
            None => {}
        }
    }
    (settings, secrets, held)
}

impl Came {
    fn of<T>(result: Result<T, Fault>, good: impl FnOnce(T) -> Self) -> Self {
        match result {
            Ok(value) => good(value),
            Err(fault) => Self::Fault(fault),
        }
    }
}

/// A future that waits for nothing but the script.
fn now<T>(future: Boxed<'_, T>) -> Result<T, Fault> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Fault::new(FaultKind::Internal, "an example waited for something")),
    }
}

fn account(cloud: &Arc<Cloud>, method: &Method, example: &Example) -> Account {
    let origin = |name: &str, default: Option<&String>| match default {
        Some(default) => default.clone(),
        None if name.is_empty() => "https://cloud.example".to_owned(),
        None => format!("https://{name}.example"),
    };
    let settings: BTreeMap<String, String> = method
        .asks
        .iter()
        .filter(|ask| !ask.secret && !ask.at_login)
        .filter_map(|ask| Some((ask.name.clone(), example.given.get(&ask.name)?.clone())))
        .collect();
    Account {
        name: AccountName::parse("example").expect("`example` is a name"),
        cloud: cloud.clone(),
        method: method.name.clone(),
        origins: cloud.origins.iter().map(|o| (o.name.clone(), origin(&o.name, o.default.as_ref()))).collect(),
        settings,
        allow_plaintext: false,
        ca_file: None,
        lifetime: None,
    }
}

/// The credential that `given` makes, if it gives all that the headers need.
fn credential(method: &Method, example: &Example, account: &Account) -> Option<Credential> {
    let values: BTreeMap<&str, Secret> =
        example.given.iter().map(|(name, value)| (name.as_str(), Secret::from(value.as_str()))).collect();
    let render = |template: &crate::cloud::Template| template.render(|name| values.get(name)).ok().flatten();
    let headers = method
        .headers
        .iter()
        .map(|header| Some(Header { name: header.name.clone(), value: render(&header.value)? }))
        .collect::<Option<_>>()?;
    Some(Credential {
        account: account.name.as_str().to_owned(),
        cloud: account.cloud.name.clone(),
        token: method.token.as_ref().and_then(|name| values.get(name.as_str()).cloned()),
        headers,
        environment: Vec::new(),
        expires_at: None,
        expiry_source: ExpirySource::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_cloud_keeps_what_its_examples_promise() {
        for (name, _) in crate::cloud::BUILT_IN {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("clouds").join(name).with_extension("toml");
            let text = std::fs::read_to_string(&file).unwrap();
            let report = check_text(name, &file.display().to_string(), &text).unwrap_or_else(|faults| {
                panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
            });
            assert!(report.notes.is_empty(), "{:?}", report.notes);
            assert!(!report.examples.is_empty(), "{name}");
        }
    }

    const ACME: &str = r#"
title = "Acme"
docs = "https://docs.acme.example"
[[origin]]
default = "https://api.acme.example"
[[method]]
name = "key"
title = "Key"
headers = ["X-Token: {token}"]
[[method.ask]]
name = "key"
prompt = "Key"
secret = true
[[method.login]]
request = "POST /login"
json = { key = "{key}" }
take = { token = "/token" }
[[example]]
title = "in"
given = { key = "k3y" }
[[example.exchange]]
request = "POST /login"
json = { key = "k3y" }
status = 200
reply = '{"token":"t0k"}'
[example.grant]
headers = ["X-Token: t0k"]
"#;

    #[test]
    fn an_example_that_holds_is_reported() {
        let report = check_text("acme", "acme.toml", ACME).unwrap();
        assert_eq!(report.examples, ["in"]);
    }

    #[test]
    fn an_example_that_does_not_hold_says_what_differs() {
        for (from, to, says) in [
            ("json = { key = \"k3y\" }", "json = { key = \"other\" }", "body"),
            (
                "request = \"POST /login\"\njson = { key = \"k3y\" }",
                "request = \"POST /x\"\njson = { key = \"k3y\" }",
                "/x",
            ),
            ("[\"X-Token: t0k\"]", "[\"X-Token: t1k\"]", "headers"),
            ("status = 200", "status = 401", "refused"),
            ("[example.grant]\nheaders = [\"X-Token: t0k\"]", "[example.fault]\nkind = \"refused\"", "a grant"),
            (
                "[example.grant]\n",
                "[[example.exchange]]\nrequest = \"GET /\"\nstatus = 200\n[example.grant]\n",
                "never sent",
            ),
        ] {
            assert!(ACME.contains(from), "{from}");
            let faults = check_text(
                "acme",
                "acme.toml",
                &ACME.replacen(from, to, 1).replace("\n[example.grant]\nheaders = [\"X-Token: t0k\"]\n\n", ""),
            )
            .expect_err(to);
            let words = faults[0].to_string();
            assert!(words.contains("`acme.toml`, line 18") && words.contains(says), "{to}: {words}");
        }
    }

    const ENROLS: &str = r#"
[[action]]
name = "enrol"
title = "Enrol"
ask = [{ name = "code", prompt = "Code", at-login = true }]
hold = ["seed"]
[[action.step]]
request = "POST /2fa"
present = true
take = { seed = "/seed" }
enrol = { seed = "seed", issuer = "Acme" }
[[action.step]]
request = "POST /2fa/verify"
present = true
json = { code = "{code}" }
[[example]]
title = "the second code is right"
action = "enrol"
given = { token = "t0k" }
answers = { code = ["111", "222"] }
[[example.exchange]]
request = "POST /2fa"
headers = ["X-Token: t0k"]
status = 200
reply = '{"seed":"GEZDGNBV"}'
[[example.exchange]]
request = "POST /2fa/verify"
headers = ["X-Token: t0k"]
json = { code = "111" }
status = 401
[[example.exchange]]
request = "POST /2fa/verify"
headers = ["X-Token: t0k"]
json = { code = "222" }
status = 200
[example.done]
says = ["done: Enrol"]
shows = "otpauth://totp/Acme:example?secret=GEZDGNBV&issuer=Acme"
hold = { seed = "GEZDGNBV" }
"#;

    #[test]
    fn actions_have_examples_too() {
        let text = format!("{ACME}{ENROLS}");
        let report = check_text("acme", "acme.toml", &text).unwrap();
        assert_eq!(report.examples, ["in", "the second code is right"]);
        assert!(report.notes.is_empty());
        for (from, to, says) in [
            ("says = [\"done: Enrol\"]", "says = []", "what is said"),
            ("issuer=Acme\"", "issuer=Other\"", "what is shown"),
            ("hold = { seed = \"GEZDGNBV\" }", "hold = {}", "what is held"),
            ("[\"111\", \"222\"]", "\"111\"", "a fault (refused)"),
        ] {
            let words = check_text("acme", "acme.toml", &text.replacen(from, to, 1)).expect_err(to)[0].to_string();
            assert!(words.contains(says) || words.contains("never sent"), "{to}: {words}");
        }
        let unplayed = text.split("[[example]]\ntitle = \"the second").next().unwrap().to_owned();
        let report = check_text("acme", "acme.toml", &unplayed).unwrap();
        assert_eq!(report.notes, ["no example plays the action `enrol`"]);
    }
}
