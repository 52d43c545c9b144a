//! What a locked agent has to say, and what it keeps to itself.

use cloud_agent_protocol::v1::{self, Request};

use super::Session;

impl Session<'_> {
    /// A locked agent names no account, and the rules do.
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

/// What a locked agent answers. Whatever is new is not in it until somebody puts it there.
pub(super) fn is_for_the_locked(request: &Request) -> bool {
    use Request::{Answer, Drop, Forwarded, Lock, Overview, Restart, Status, Stop, Unlock};
    matches!(request, Answer(_) | Drop | Forwarded(_) | Lock(_) | Overview | Restart(_) | Status | Stop | Unlock(_))
}

/// The address that a request is about.
pub(super) fn address_of(request: &Request) -> Option<&str> {
    let url = match request {
        Request::GetFor(get) => &get.url,
        Request::RejectFor(reject) => &reject.url,
        _ => return None,
    };
    Some(url.as_str()).filter(|url| !url.is_empty())
}
