//! What a locked agent answers, and to whom it says no more than that it is locked.

use cloud_agent_protocol::v1::{self, Request};
use cloud_agent_protocol::{Fault, FaultKind};

use super::session::Session;

impl Session<'_> {
    /// Why a request gets nothing from a locked agent; `None` if that does not keep it from an answer.
    ///
    /// Whoever asks for what is nobody's has no business with the lock, and is told what it would be told without one: else a
    /// locked agent would stop git everywhere.
    pub(super) fn locked_out(&self, request: &Request) -> Option<Fault> {
        let broker = &self.shared.broker;
        let fault = broker.refuse_locked().err().filter(|_| !is_for_the_locked(request))?;
        let disowned = address_of(request).and_then(|url| match &self.grant {
            None => broker.disowned(url),
            // What comes by a restricted socket is to learn nothing of other accounts.
            Some(grant) => grant
                .account_for(None, |name| broker.account_for(url, Some(name.as_str())))
                .err()
                .filter(|fault| fault.kind == FaultKind::UnknownAccount),
        });
        if disowned.is_none() && matches!(request, Request::Get(_) | Request::GetFor(_)) {
            broker.call_human("", &fault);
        }
        Some(disowned.unwrap_or(fault))
    }

    /// What is wrong with the rules is among what the human should know; but a locked agent names no account, and they do.
    pub(super) fn tell_of_trouble(&self, status: &mut v1::Status) {
        let broker = &self.shared.broker;
        if broker.refuse_locked().is_err() {
            return;
        }
        let warnings = self.shared.access.warnings(|name| broker.exists(name));
        // What is wrong with the whole file was said of the accounts.
        let is_news = |words: &String| !status.warnings.iter().any(|known| known.starts_with(words.as_str()));
        let news: Vec<String> = warnings.into_iter().filter(is_news).collect();
        status.warnings.extend(news);
    }
}

/// What a locked agent answers. Whatever is new is not in it until somebody puts it there. Whoever waits for the human gets
/// nothing before somebody opens it, and learns of no account.
fn is_for_the_locked(request: &Request) -> bool {
    use Request::{
        Answer, AwaitHuman, Drop, Examine, Forwarded, Lock, Metrics, Overview, Restart, Status, Stop, Unlock,
    };
    matches!(
        request,
        Answer(_)
            | AwaitHuman(_)
            | Drop
            | Examine(_)
            | Forwarded(_)
            | Lock(_)
            | Metrics
            | Overview
            | Restart(_)
            | Status
            | Stop
            | Unlock(_)
    )
}

/// The address that a request is about.
fn address_of(request: &Request) -> Option<&str> {
    let url = match request {
        Request::GetFor(get) => &get.url,
        Request::RejectFor(reject) => &reject.url,
        _ => return None,
    };
    Some(url.as_str()).filter(|url| !url.is_empty())
}
