//! Whether what came of an example is what it says.

use std::collections::BTreeMap;

use super::Came;
use crate::cloud::{Expected, ExpectedDone, ExpectedGrant};
use crate::provider::{Acted, Grant};

pub(super) fn came(came: &Came, expected: &Expected, now: i64) -> Result<(), String> {
    match (came, expected) {
        (Came::Grant(grant), Expected::Grant(expected)) => compare_grant(grant, expected, now),
        (Came::Word(word), Expected::Word(expected)) => same("the result", word, &expected.as_str()),
        (Came::Fault(fault), Expected::Fault(kind, says)) => {
            same("the kind of fault", &fault.kind.word(), &kind.word()).map_err(|why| format!("{why}: {fault}"))?;
            match says {
                Some(says) if !fault.to_string().contains(says.as_str()) => {
                    Err(format!("the fault does not say `{says}`: {fault}"))
                }
                _ => Ok(()),
            }
        }
        (Came::Fault(fault), _) => Err(format!("it ended in a fault ({}): {fault}", fault.kind.word())),
        (Came::Grant(_), _) => Err("it ended in a grant".to_owned()),
        (Came::Done(acted, shown), Expected::Done(expected)) => compare_done(acted, shown.as_ref(), expected),
        (Came::Done(..), _) => Err("it was done".to_owned()),
        (Came::Word(word), _) => Err(format!("it ended in `{word}`")),
    }
}

fn compare_done(acted: &Acted, shown: Option<&String>, expected: &ExpectedDone) -> Result<(), String> {
    if let Some(says) = &expected.says {
        same("what is said", &acted.notes, says)?;
    }
    if let Some(rows) = &expected.rows {
        same("the rows", &acted.rows, rows)?;
    }
    if let Some(shows) = &expected.shows {
        same("what is shown", &shown, &Some(shows))?;
    }
    if let Some(holds) = &expected.holds {
        let names: BTreeMap<String, String> =
            acted.holds.0.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect();
        same("what is held", &names, holds)?;
    }
    match &expected.forgets {
        Some(forgets) => same("what is forgotten", &acted.forgets, forgets),
        None => Ok(()),
    }
}

fn compare_grant(grant: &Grant, expected: &ExpectedGrant, now: i64) -> Result<(), String> {
    let credential = &grant.credential;
    if !expected.headers.is_empty() {
        let headers: Vec<(String, String)> =
            credential.headers.iter().map(|h| (h.name.clone(), h.value.expose().to_owned())).collect();
        same("the headers", &headers, &expected.headers)?;
    }
    if let Some(token) = &expected.token {
        same("the token", &credential.token.as_ref().map(cloud_agent_protocol::Secret::expose), &Some(token.as_str()))?;
    }
    if let Some(held) = &expected.held {
        let names: BTreeMap<String, String> =
            grant.held.0.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect();
        same("what is held", &names, held)?;
    }
    if let Some(expires_in) = expected.expires_in {
        same("`expires-in`", &grant.expires_at.map(|end| end.seconds() - now), &expires_in)?;
    }
    if let Some(idle) = expected.idle {
        same("`idle`", &grant.idle_life.map(|life| life.as_secs()), &Some(idle))?;
    }
    match &expected.expiry {
        Some(word) => same("`expiry`", &credential.expiry_source.word(), &word.as_str()),
        None => Ok(()),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, came: &T, expected: &T) -> Result<(), String> {
    if came == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, came {came:?}")) }
}
