//! One fault at one cloud, from a good login to a good token after it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cloud_agent_tests::fake::{Authority, Sabotage, Saboteur, Server};
use cloud_agent_tests::http;
use cloud_agent_tests::sandbox::{Agent, Run, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::Value;

use super::clouds::{self, Site};
use super::names::{self, Names};
use super::table::{self, Lookup, Wrong};
use super::turns::Turns;

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(8);

/// Where everything is played at one cloud.
pub(super) struct Stage<'a> {
    pub(super) cloud: &'static clouds::Row,
    pub(super) agent: Agent,
    pub(super) sandbox: Sandbox,
    pub(super) names: Option<&'a Names>,
    /// Whom the agent's machine trusts.
    pub(super) authority: &'a Arc<Authority>,
    /// Where redirects lead to.
    pub(super) elsewhere: &'a Server,
    /// Who does something now.
    pub(super) turns: &'a Turns,
}

/// What came of it, as the page tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: String,
    pub(super) exit: i32,
    pub(super) connections: u64,
    pub(super) requests: usize,
    /// The state of the account, while the fault lasts.
    pub(super) state: String,
    pub(super) mended_by: Mended,
}

/// What it takes to get a new token once the fault is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mended {
    /// Nothing but the next caller.
    Itself,
    /// The command that the hint names.
    Login,
}

impl Seen {
    /// What the two tables promise.
    pub(super) fn promised(fault: &table::Row, cloud: &clouds::Row) -> Self {
        let again = fault.asked_again && cloud.refreshes;
        Self {
            kind: fault.kind.to_owned(),
            exit: fault.exit,
            connections: fault.connections + u64::from(again),
            requests: fault.requests + usize::from(again),
            state: "valid".to_owned(),
            mended_by: if fault.lost_reply && cloud.works_once { Mended::Login } else { Mended::Itself },
        }
    }
}

/// Plays `fault`; `None` if it cannot be played here.
pub(super) fn play(stage: &Stage<'_>, fault: &table::Row) -> Option<Seen> {
    let cloud = stage.cloud;
    let host = match fault.wrong {
        Wrong::Name(lookup) => stage.names.map(|_| names::name(cloud.name, lookup))?,
        _ => "127.0.0.1".to_owned(),
    };
    let site = (cloud.start)();
    let saboteur = Saboteur::before(site.renews().address(), &host, stage.authority);
    let number = table::FAULTS.iter().position(|row| row.name == fault.name).unwrap_or_default();
    let pair = Pair { stage, fault, cloud, site, saboteur, account: format!("{}-{number}", cloud.name) };
    Some(pair.play())
}

struct Pair<'a> {
    stage: &'a Stage<'a>,
    fault: &'a table::Row,
    cloud: &'a clouds::Row,
    site: Site,
    saboteur: Saboteur,
    account: String,
}

impl Pair<'_> {
    fn play(&self) -> Seen {
        let what = format!("{} at {}", self.fault.name, self.cloud.name);
        let mut turn = self.stage.turns.take();
        self.login().finish().ok();
        let token = self.get();
        let well = self.status();
        assert!(well["state"] == "valid" && well["fault"].is_null(), "{what}: {well}");
        let (heard, before) = (self.saboteur.heard(), (self.saboteur.connections(), self.requests()));

        self.break_it();
        let (asked, begun) = (now(), Instant::now());
        let outcome = self.fresh().spawn();
        let outcome = if self.fault.silent {
            drop(turn);
            let outcome = outcome.finish();
            turn = self.stage.turns.take();
            outcome
        } else {
            outcome.finish()
        };
        let (answered, waited) = (now(), begun.elapsed());
        assert_eq!(outcome.stdout, "", "{what}: stdout carries data only");
        assert!(outcome.stderr.contains(self.fault.says), "{what}: {}", outcome.stderr);
        let bound = self.fault.bound.duration();
        assert!(outcome.took < bound + SLACK, "{what}: {:?}", outcome.took);
        assert!(!self.fault.silent || waited >= bound, "{what}: {waited:?}");
        assert_eq!(self.get(), token, "{what}: the living token is given all the same");
        let broken = self.status();
        let unchanged = |status: &Value| status["holds"] == well["holds"];
        assert!(unchanged(&broken) && broken["fingerprint"] == well["fingerprint"], "{what}: {broken}");
        let (connections, requests) = (self.saboteur.connections() - before.0, self.requests() - before.1);
        if self.fault.requests == 0 {
            assert_eq!(self.saboteur.heard(), heard, "{what}: something was said that is no hello");
        }
        let next = broken["fault"]["retry_at"].as_i64().unwrap_or_else(|| panic!("{what}: {broken}"));
        if let Some(patience) = self.fault.patience {
            let patience = i64::try_from(patience).expect("it is seconds");
            assert!((asked + patience..=answered + patience + 1).contains(&next), "{what}: {next}, asked {asked}");
            let again = self.fresh().finish();
            assert_eq!(again.code(), self.fault.exit, "{what}: {again:?}");
            // `next` is rounded up.
            let early = now() + 1 < next && self.requests() > before.1 + requests;
            assert!(!early, "{what}: the cloud was asked before its time");
        }

        self.mend();
        drop(turn);
        assert!(until(PATIENCE, || now() >= next), "{what}: the next try is too far off: {next}");
        let _turn = self.stage.turns.take();
        let mended_by = self.recover(&what);
        let new = self.get();
        assert_ne!(new, token, "{what}");
        let well = self.status();
        assert!(well["state"] == "valid" && well["fault"].is_null() && unchanged(&well), "{what}: {well}");
        assert!(self.is_taken(), "{what}: the API refuses the new token");
        for server in [self.site.renews(), self.site.api()] {
            assert_eq!(server.violations(), Vec::<String>::new(), "{what}");
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, state) = (text(&broken["fault"]["kind"]), text(&broken["state"]));
        Seen { kind, exit: outcome.code(), connections, requests, state, mended_by }
    }

    fn login(&self) -> Run<'_> {
        let (sabotaged, api) = (self.saboteur.url(), self.site.api().url());
        let run = self.stage.sandbox.command(TOKEN).args(["login", &self.account, "--no-input"]);
        let run = run.args(["--cloud", self.cloud.name, "--method", self.cloud.method, "--url"]);
        let run = match self.cloud.origin {
            None => run.arg(sabotaged),
            Some(origin) => run.args([&api, "--url", &format!("{origin}={sabotaged}")]),
        };
        let run = run.args(self.cloud.arguments.iter().copied());
        let run = self.site.set.iter().fold(run, |run, set| run.args(["--set", set]));
        run.args(["--secret", &format!("{}=env:IT_SECRET", self.cloud.secret)]).env("IT_SECRET", &self.site.secret)
    }

    fn get(&self) -> String {
        self.stage.sandbox.token([&self.account, "--no-input"]).ok().to_owned()
    }

    fn fresh(&self) -> Run<'_> {
        self.stage.sandbox.command(TOKEN).args([&self.account, "--no-input", "--fresh"])
    }

    fn status(&self) -> Value {
        let status: Value =
            serde_json::from_str(self.stage.sandbox.token(["status", "--json"]).ok()).expect("it is JSON");
        let mut accounts = status["accounts"].as_array().into_iter().flatten();
        accounts.find(|account| account["name"] == self.account.as_str()).expect("the account is set up").clone()
    }

    fn requests(&self) -> usize {
        self.site.renews().requests().len()
    }

    fn break_it(&self) {
        match self.fault.wrong {
            Wrong::Way(sabotage) => self.saboteur.engage(sabotage),
            Wrong::Reply(fault) => self.site.renews().break_always("*", fault(self.stage.elsewhere)),
            Wrong::Name(lookup) => self.name(lookup, false),
        }
    }

    fn mend(&self) {
        match self.fault.wrong {
            Wrong::Way(_) => self.saboteur.engage(Sabotage::None),
            Wrong::Reply(_) => self.site.renews().clear(),
            Wrong::Name(lookup) => self.name(lookup, true),
        }
    }

    fn name(&self, lookup: Lookup, resolves: bool) {
        let names = self.stage.names.expect("without names nothing of this is played");
        names.set(&names::name(self.cloud.name, lookup), resolves);
    }

    /// Gets a new token now that it is time, with as much help as it takes.
    fn recover(&self, what: &str) -> Mended {
        let before = self.requests();
        let outcome = self.fresh().finish();
        if outcome.status.success() {
            assert_eq!(self.requests(), before + 1, "{what}: one request renews");
            return Mended::Itself;
        }
        assert_eq!(outcome.code(), 4, "{what}: {outcome:?}");
        let hint = format!("hint: `cloud-token login {}`\n", self.account);
        assert!(outcome.stderr.contains(&hint), "{what}: {}", outcome.stderr);
        self.login().finish().ok();
        assert_eq!(self.requests(), before + 2, "{what}: one request is refused, one logs in");
        Mended::Login
    }

    /// Whether the API takes what the agent gives.
    fn is_taken(&self) -> bool {
        let headers = self.stage.sandbox.token([&self.account, "--no-input", "-o", "headers"]);
        let headers: Vec<_> = headers.ok().lines().filter_map(|line| line.split_once(": ")).collect();
        let (method, path) = self.cloud.call;
        let url = format!("{}{path}", self.site.api().url());
        http::request(method, &url, &headers, b"").is_ok_and(|answer| answer.status == 200)
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(now.as_secs()).expect("it is earlier than that")
}
