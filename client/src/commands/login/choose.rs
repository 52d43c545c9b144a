//! What `cloud-token login` asks before there is an account: which cloud, which way in, and what to call it.

use std::io;
use std::time::Duration;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::v1::{CloudInfo, ListClouds, Request, Response};
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::Options;
use crate::client::{Client, unexpected};
use crate::dialogue::cannot_ask;
use crate::report::{Failure, printable};
use crate::tty::Human;

/// How often a question is put again when the answer cannot be one.
const ATTEMPTS: u8 = 3;

/// Asks for all of it, and completes `options`; the account's name.
pub(super) fn account(options: &mut Options, human: &mut dyn Human) -> Result<String, Failure> {
    let clouds = clouds(options.cloud.clone(), options.timeout)?;
    let cloud = match clouds.as_slice() {
        [one] if options.cloud.is_some() => one,
        all => {
            let items: Vec<_> = all.iter().map(|cloud| (cloud.name.as_str(), cloud.title.as_str())).collect();
            let picked = told(pick("Which cloud?", &items, None, human))?;
            picked.and_then(|i| all.get(i)).ok_or_else(|| given_up("no cloud was chosen"))?
        }
    };
    told(human.tell(&format!("{}: {}", printable(&cloud.title), printable(&cloud.docs))))?;
    if options.method.is_none() && cloud.methods.len() > 1 {
        let items: Vec<_> = cloud.methods.iter().map(|method| (method.name.as_str(), method.title.as_str())).collect();
        let picked = told(pick("How to log in?", &items, Some(0), human))?;
        let method = picked.and_then(|i| cloud.methods.get(i)).ok_or_else(|| given_up("no way in was chosen"))?;
        options.method = Some(method.name.clone());
    }
    options.cloud = Some(cloud.name.clone());
    name(cloud, &accounts(options.timeout)?, human)
}

fn clouds(only: Option<String>, timeout: Duration) -> Result<Vec<CloudInfo>, Failure> {
    match Client::new(timeout)?.ask(&Request::Clouds(ListClouds { name: only }))? {
        Response::Clouds(clouds) => Ok(clouds.clouds),
        other => Err(unexpected(&other)),
    }
}

/// The accounts that there are, each with its cloud.
fn accounts(timeout: Duration) -> Result<Vec<(String, String)>, Failure> {
    match Client::new(timeout)?.ask(&Request::Status)? {
        Response::Status(status) => Ok(status.accounts.into_iter().map(|it| (it.name, it.cloud)).collect()),
        other => Err(unexpected(&other)),
    }
}

/// Asks what to call it. A name that is another cloud's already is no answer: its login would be lost.
fn name(cloud: &CloudInfo, accounts: &[(String, String)], human: &mut dyn Human) -> Result<String, Failure> {
    let taken = |name: &str| accounts.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let free = std::iter::once(cloud.name.clone()).chain((2..).map(|n| format!("{}-{n}", cloud.name)));
    let proposed = free.into_iter().find(|name| taken(name).is_none()).unwrap_or_default();
    let prompt = format!("What to call the account [{proposed}]: ");
    for _ in 0..ATTEMPTS {
        let Some(said) = told(human.ask(&prompt, false))? else { break };
        let said = said.expose().trim();
        let name = if said.is_empty() { proposed.as_str() } else { said };
        let why = match (AccountName::parse(name), taken(name)) {
            (Err(fault), _) => fault.to_string(),
            (Ok(_), Some((known, other))) if !other.eq_ignore_ascii_case(&cloud.name) => {
                format!("`{known}` is an account at `{other}` already")
            }
            (Ok(_), Some((known, _))) => {
                told(human.tell(&format!("`{}` is there already, and is logged in anew", printable(known))))?;
                return Ok(name.to_owned());
            }
            (Ok(_), None) => return Ok(name.to_owned()),
        };
        told(human.tell(&printable(&why)))?;
    }
    Err(given_up("no name was given"))
}

/// Lets somebody choose one of `items`, by its number or its name; an empty answer is the `default`. `None` if they give up.
fn pick(
    heading: &str,
    items: &[(&str, &str)],
    default: Option<usize>,
    human: &mut dyn Human,
) -> io::Result<Option<usize>> {
    human.tell(heading)?;
    let width = items.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (i, (name, title)) in items.iter().enumerate() {
        human.tell(&format!("  {:>2}) {:width$}  {}", i + 1, printable(name), printable(title)))?;
    }
    let prompt = match default {
        Some(default) => format!("Number or name [{}]: ", default + 1),
        None => "Number or name: ".to_owned(),
    };
    for _ in 0..ATTEMPTS {
        let Some(said) = human.ask(&prompt, false)? else { return Ok(None) };
        let said = said.expose().trim();
        let by_name = || items.iter().position(|(name, _)| name.eq_ignore_ascii_case(said));
        let by_number = || said.parse::<usize>().ok()?.checked_sub(1).filter(|i| *i < items.len());
        let found = if said.is_empty() { default } else { by_name().or_else(by_number) };
        if found.is_some() {
            return Ok(found);
        }
        let near = nearest(said, items.iter().map(|(name, _)| *name));
        let near = near.map(|near| format!("did you mean `{}`? ", printable(near))).unwrap_or_default();
        human.tell(&format!("{near}answer with a number from 1 to {}, or a name; ^D gives up", items.len()))?;
    }
    Ok(None)
}

fn told<T>(done: io::Result<T>) -> Result<T, Failure> {
    done.map_err(|e| cannot_ask(&e))
}

fn given_up(what: &str) -> Failure {
    let fault = Fault::new(FaultKind::NeedsHuman, what);
    fault.hint("`cloud-token login ACCOUNT --cloud CLOUD`; `cloud-token clouds` lists the clouds").into()
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::Secret;

    use super::*;

    /// Answers from a list, whose end is the end of the input.
    struct Script(Vec<&'static str>, Vec<String>);

    impl Script {
        fn answering(answers: &[&'static str]) -> Self {
            Self(answers.iter().rev().copied().collect(), Vec::new())
        }
    }

    impl Human for Script {
        fn tell(&mut self, line: &str) -> io::Result<()> {
            self.1.push(line.to_owned());
            Ok(())
        }

        fn ask(&mut self, prompt: &str, _: bool) -> io::Result<Option<Secret>> {
            self.1.push(prompt.to_owned());
            Ok(self.0.pop().map(Secret::from))
        }
    }

    const ITEMS: [(&str, &str); 2] = [("acme", "Acme"), ("longer", "Longer\x1b[2J")];

    #[test]
    fn one_is_chosen_by_number_or_name_and_an_empty_answer_is_the_default() {
        for (answers, default, found) in [
            (&["2"][..], None, Some(1)),
            (&["ACME "], None, Some(0)),
            (&["", "3", "longer"], None, Some(1)),
            (&[""], Some(0), Some(0)),
            (&["0", "x", "", "1"], None, None),
            (&[], Some(0), None),
        ] {
            let mut script = Script::answering(answers);
            assert_eq!(pick("Which?", &ITEMS, default, &mut script).unwrap(), found, "{answers:?}");
        }
    }

    #[test]
    fn a_slip_is_met_with_the_nearest_name() {
        let mut script = Script::answering(&["amce", "zzzzz", "1"]);
        pick("Which?", &ITEMS, None, &mut script).unwrap();
        let said: Vec<&str> = script.1.iter().filter(|line| line.contains("answer with")).map(String::as_str).collect();
        let plain = "answer with a number from 1 to 2, or a name; ^D gives up";
        assert_eq!(said, [&format!("did you mean `acme`? {plain}"), plain]);
    }

    #[test]
    fn the_list_is_aligned_and_cannot_steer_the_terminal() {
        let mut script = Script::answering(&["1"]);
        pick("Which?", &ITEMS, Some(0), &mut script).unwrap();
        let shown = ["Which?", "   1) acme    Acme", "   2) longer  Longer\u{fffd}[2J", "Number or name [1]: "];
        assert_eq!(script.1, shown);
    }

    #[test]
    fn a_name_is_proposed_that_is_free_and_one_of_another_cloud_is_refused() {
        let cloud = CloudInfo {
            name: "acme".into(),
            title: "Acme".into(),
            docs: String::new(),
            built_in: true,
            origins: vec![],
            methods: vec![],
        };
        let accounts =
            [("Acme", "acme"), ("acme-2", "acme"), ("home", "other")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        for (answers, found) in [
            (&[""][..], Some("acme-3")),
            (&["work"], Some("work")),
            (&["home", "a/b", "acme"], Some("acme")),
            (&["home", "status", "-"], None),
        ] {
            let mut script = Script::answering(answers);
            assert_eq!(name(&cloud, &accounts, &mut script).ok().as_deref(), found, "{answers:?} {:?}", script.1);
        }
    }
}
