//! A network that says what was recorded, and notes the first request that is not the recorded one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use crate::cloud::{Exchange, SentBody};
use crate::http::{Replied, Reply, Request, Transport};
use crate::provider::Account;

/// The recorded exchanges that are still to come.
pub(super) struct Script {
    state: Mutex<State>,
}

struct State {
    coming: std::collections::VecDeque<Recorded>,
    wrong: Option<String>,
}

struct Recorded {
    verb: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Expected,
    reply: Reply,
}

enum Expected {
    Empty,
    Json(serde_json::Value),
    Form(BTreeMap<String, String>),
}

impl Script {
    pub(super) fn new(account: &Account, exchanges: &[Exchange]) -> Self {
        let coming = exchanges.iter().map(|exchange| Recorded::new(account, exchange)).collect();
        Self { state: Mutex::new(State { coming, wrong: None }) }
    }

    /// What went wrong, if anything did.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (&state.wrong, state.coming.front()) {
            (Some(wrong), _) => Err(wrong.clone()),
            (None, Some(next)) => Err(format!("`{} {}` was never sent", next.verb, next.url)),
            (None, None) => Ok(()),
        }
    }
}

impl Transport for Script {
    fn send(&self, request: Request) -> Replied<'_> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = match state.coming.pop_front() {
            None => Err(format!("`{} {}` was sent, which is not recorded", request.method, request.url)),
            Some(recorded) => recorded.compare(&request).map(|()| recorded.reply),
        };
        let result = result.map_err(|wrong| {
            state.wrong.get_or_insert(wrong);
            Fault::new(FaultKind::Internal, "the request is not the recorded one").into()
        });
        Box::pin(std::future::ready(result))
    }
}

impl Recorded {
    fn new(account: &Account, exchange: &Exchange) -> Self {
        let origin = account.origins.get(&exchange.origin).map(String::as_str).unwrap_or_default();
        let headers = exchange.reply_headers.iter();
        Self {
            verb: exchange.verb.clone(),
            url: format!("{origin}{}", exchange.path),
            headers: exchange.headers.clone(),
            body: match &exchange.body {
                SentBody::Empty => Expected::Empty,
                SentBody::Json(json) => Expected::Json(json.clone()),
                SentBody::Form(form) => Expected::Form(form.clone()),
            },
            reply: Reply {
                status: exchange.status,
                headers: headers.map(|(n, v)| (n.to_ascii_lowercase(), Secret::from(v.as_str()))).collect(),
                body: Zeroizing::new(exchange.reply.clone().into_bytes()),
            },
        }
    }

    fn compare(&self, request: &Request) -> Result<(), String> {
        let (sent, recorded) = (format!("{} {}", request.method, request.url), format!("{} {}", self.verb, self.url));
        if sent != recorded {
            return Err(format!("`{sent}` was sent, recorded is `{recorded}`"));
        }
        // `Accept` is the engine's own unless a step sets it.
        let recorded_accept = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept"));
        let counts = |name: &str| recorded_accept || !name.eq_ignore_ascii_case("accept");
        let sent: Vec<(String, String)> = request
            .headers
            .iter()
            .filter(|(name, _)| counts(name))
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        if sent != self.headers {
            return Err(format!("the headers of `{recorded}` differ: sent {sent:?}, recorded {:?}", self.headers));
        }
        self.compare_body(request).map_err(|why| format!("the body of `{recorded}` differs: {why}"))
    }

    fn compare_body(&self, request: &Request) -> Result<(), String> {
        let text = match &request.body {
            None => None,
            Some(body) => Some((body.media_type, std::str::from_utf8(&body.bytes).map_err(|_| "it is no text")?)),
        };
        match (&self.body, text) {
            (Expected::Empty, None) => Ok(()),
            (Expected::Json(json), Some(("application/json", text))) => {
                let sent: serde_json::Value = serde_json::from_str(text).map_err(|why| why.to_string())?;
                if sent == *json { Ok(()) } else { Err(format!("sent {sent}, recorded {json}")) }
            }
            (Expected::Form(form), Some(("application/x-www-form-urlencoded", text))) => {
                let sent = fields(text);
                if sent == *form { Ok(()) } else { Err(format!("sent {sent:?}, recorded {form:?}")) }
            }
            (_, sent) => Err(format!("sent {}", sent.map_or("none", |(media_type, _)| media_type))),
        }
    }
}

fn fields(text: &str) -> BTreeMap<String, String> {
    // The query of an address has the syntax of a form.
    reqwest::Url::parse(&format!("http://form.invalid/?{text}"))
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default()
}
