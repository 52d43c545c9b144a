//! The faults, and what is promised of each. A further one is a row.

use std::time::Duration;

use cloud_agent_tests::fake::{Certificate, Fault, Sabotage, Server};
use serde_json::json;

/// What a cloud asks for that says when to come again, in seconds: long enough to see that nobody comes earlier.
const PATIENCE: u64 = 5;

/// A fault while an account that is logged in wants a new token.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) wrong: Wrong,
    /// The kind of the fault that the agent tells.
    pub(super) kind: &'static str,
    pub(super) exit: i32,
    /// What a person reads, among other words.
    pub(super) says: &'static str,
    /// Which deadline ends it at the latest.
    pub(super) bound: Bound,
    /// Nothing else ends it, so the cloud is given all of that time.
    pub(super) silent: bool,
    /// How often somebody connects to where the cloud should be, as far as that can be seen from there.
    pub(super) connections: u64,
    /// How many requests reach the cloud.
    pub(super) requests: usize,
    /// The cloud has done what it was asked to do, and only its reply is of no use.
    pub(super) lost_reply: bool,
    /// Nobody knows whether the cloud has acted, and it is known at once: a refresh is sent once more.
    pub(super) asked_again: bool,
    /// The cloud itself says when to come again, in seconds.
    pub(super) patience: Option<u64>,
}

/// How it is done.
#[derive(Clone, Copy)]
pub(super) enum Wrong {
    /// The network's fault.
    Way(Sabotage),
    /// The cloud's own; some lead to a server elsewhere.
    Reply(fn(&Server) -> Fault),
    /// The name of the cloud resolves no longer.
    Name(Lookup),
}

/// How it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Whoever knows all names does not know this one.
    Unknown,
    /// Nobody says anything.
    Silent,
}

/// The deadlines of a request to a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    /// Finding the host and shaking hands.
    Connect,
    /// Between two signs of life.
    Idle,
    /// In all.
    Total,
}

impl Bound {
    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Connect => 5,
            Self::Idle => 10,
            Self::Total => 20,
        })
    }
}

/// What most have in common: the cloud was asked once, did nothing, and may be asked again.
const ASKED: Row = Row {
    name: "",
    wrong: Wrong::Name(Lookup::Unknown),
    kind: "unreachable",
    exit: 5,
    says: "",
    bound: Bound::Idle,
    silent: false,
    connections: 1,
    requests: 1,
    lost_reply: false,
    asked_again: false,
    patience: None,
};

/// Nobody was there to be asked.
const NOBODY: Row = Row { bound: Bound::Connect, connections: 0, requests: 0, ..ASKED };

/// Somebody was there who was told nothing.
const STRANGER: Row = Row { kind: "config", exit: 1, bound: Bound::Connect, requests: 0, ..ASKED };

/// Every fault, from the outside in.
pub(super) const FAULTS: &[Row] = &[
    Row { name: "the name does not resolve", wrong: Wrong::Name(Lookup::Unknown), says: "cannot be found", ..NOBODY },
    Row {
        name: "the look-up of the name is not answered",
        wrong: Wrong::Name(Lookup::Silent),
        says: "did not answer in time",
        silent: true,
        ..NOBODY
    },
    Row { name: "connections are refused", wrong: Wrong::Way(Sabotage::Refuse), says: "refuses connections", ..NOBODY },
    Row {
        name: "a blackhole: who connects hears nothing",
        wrong: Wrong::Way(Sabotage::Blackhole),
        says: "did not answer in time",
        silent: true,
        ..NOBODY
    },
    Row {
        name: "silence instead of TLS",
        wrong: Wrong::Way(Sabotage::Silence),
        says: "did not answer in time",
        silent: true,
        connections: 1,
        ..NOBODY
    },
    Row {
        name: "plain HTTP where TLS was due",
        wrong: Wrong::Way(Sabotage::Plain),
        says: "does not speak TLS",
        ..STRANGER
    },
    Row {
        name: "a certificate that has expired",
        wrong: Wrong::Way(Sabotage::Certificate(Certificate::Expired)),
        says: "has expired",
        ..STRANGER
    },
    Row {
        name: "a certificate for another host",
        wrong: Wrong::Way(Sabotage::Certificate(Certificate::WrongHost)),
        says: "is not for that name",
        ..STRANGER
    },
    Row {
        name: "a certificate from an unknown authority",
        wrong: Wrong::Way(Sabotage::Certificate(Certificate::UnknownAuthority)),
        says: "is from nobody this machine trusts",
        ..STRANGER
    },
    Row {
        name: "a redirect to another host",
        wrong: Wrong::Reply(|elsewhere| {
            Fault::redirect(307, &format!("http://localhost:{}/steal", elsewhere.address().port()))
        }),
        kind: "malformed-reply",
        exit: 1,
        says: "redirects to `http://localhost`",
        ..ASKED
    },
    Row {
        name: "429",
        wrong: Wrong::Reply(|_| Fault::status(429, &json!({"detail": "Request was throttled."}))),
        says: "cannot answer",
        ..ASKED
    },
    Row {
        name: "429 with `Retry-After`",
        wrong: Wrong::Reply(|_| Fault::try_later(429, &PATIENCE.to_string())),
        says: "cannot answer",
        patience: Some(PATIENCE),
        ..ASKED
    },
    Row { name: "503", wrong: Wrong::Reply(|_| Fault::bad_gateway(503)), says: "cannot answer", ..ASKED },
    Row {
        name: "503 with `Retry-After`",
        wrong: Wrong::Reply(|_| Fault::try_later(503, &PATIENCE.to_string())),
        says: "cannot answer",
        patience: Some(PATIENCE),
        ..ASKED
    },
    Row {
        name: "a web page with 200, as of a captive portal",
        wrong: Wrong::Reply(|_| Fault::captive_portal()),
        kind: "malformed-reply",
        exit: 1,
        says: "web page",
        ..ASKED
    },
    Row {
        name: "silence after the request",
        wrong: Wrong::Reply(|_| Fault::Hang),
        says: "did not answer in time",
        silent: true,
        ..ASKED
    },
    Row {
        name: "a reset in the middle of the body",
        wrong: Wrong::Reply(|_| Fault::ResetMidBody),
        says: "broke the connection off",
        lost_reply: true,
        asked_again: true,
        ..ASKED
    },
    Row {
        name: "a connection that is closed in the middle of the body",
        wrong: Wrong::Reply(|_| Fault::Truncated),
        says: "broke the connection off",
        lost_reply: true,
        asked_again: true,
        ..ASKED
    },
    Row {
        name: "a byte a second, from the head on",
        wrong: Wrong::Reply(|_| Fault::Drip(Duration::from_secs(1))),
        says: "did not answer in time",
        silent: true,
        lost_reply: true,
        ..ASKED
    },
    Row {
        name: "a byte a second, after the head",
        wrong: Wrong::Reply(|_| Fault::DripBody(Duration::from_secs(1))),
        says: "did not answer in time",
        silent: true,
        bound: Bound::Total,
        lost_reply: true,
        ..ASKED
    },
    Row {
        name: "a body without an end",
        wrong: Wrong::Reply(|_| Fault::Endless),
        kind: "malformed-reply",
        exit: 1,
        says: "more than 256 KiB",
        bound: Bound::Total,
        ..ASKED
    },
    Row {
        name: "half of the JSON, said to be all",
        wrong: Wrong::Reply(|_| Fault::Cut),
        kind: "malformed-reply",
        exit: 1,
        says: "is not what it should be",
        lost_reply: true,
        ..ASKED
    },
];
