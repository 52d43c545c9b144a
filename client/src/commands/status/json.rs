//! The status for programs. `docs/status.md` describes it, and a test holds what is printed against that.

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::{AccountStatus, Holding, Overview};

use super::accounts;
use crate::json::Writer;

/// Counts changes that could break a reader: something taken away, or of another type or meaning. What is only added does not count.
const SCHEMA: i64 = 1;

pub(super) fn write(overview: &Overview) -> String {
    let status = &overview.status;
    let mut text = String::new();
    Writer::new(&mut text).object(|o| {
        o.key("schema").number_or_null(Some(SCHEMA));
        o.key("version").string(&status.version);
        o.key("pid").number_or_null(Some(i64::from(status.pid)));
        o.key("started_at").number_or_null(Some(status.started_at));
        o.key("socket").string(&status.socket);
        o.key("config").string(&status.config);
        o.key("vault").string(&status.vault);
        o.key("vault_reason").string(&status.vault_reason);
        o.key("hold_for").number_or_null(overview.hold_for.map(i64::from));
        o.key("hold_idle").number_or_null(overview.hold_idle.map(i64::from));
        o.key("warnings").array(|a| status.warnings.iter().for_each(|warning| a.string(warning)));
        o.key("accounts").array(|a| {
            accounts(overview).for_each(|(account, holding)| a.object(|o| write_account(account, holding, o)));
        });
    });
    text.push('\n');
    text
}

fn write_account(account: &AccountStatus, holding: &Holding, o: &mut Writer<'_>) {
    o.key("name").string(&account.name);
    o.key("cloud").string(&account.cloud);
    o.key("method").string(&account.method);
    o.key("origin").string(&account.origin);
    o.key("state").string(&account.state);
    o.key("expires_at").number_or_null(account.expires_at);
    o.key("expiry_source").string(&account.expiry_source);
    o.key("renews_at").number_or_null(account.renews_at);
    o.key("holds").array(|a| account.holds.iter().for_each(|name| a.string(name)));
    o.key("held_in").string_or_null(said(&holding.place));
    o.key("held_since").number_or_null(holding.since);
    o.key("held_until").number_or_null(holding.until);
    o.key("held_by").string_or_null(said(&holding.by));
    o.key("fingerprint").string_or_null(account.fingerprint.as_deref());
    match &account.fault {
        Some(fault) => o.key("fault").object(|o| write_fault(fault, o)),
        None => o.key("fault").string_or_null(None),
    }
}

fn write_fault(fault: &Fault, o: &mut Writer<'_>) {
    o.key("kind").string(fault.kind.word());
    o.key("message").string(&fault.message);
    o.key("causes").array(|a| fault.causes.iter().for_each(|cause| a.string(cause)));
    o.key("hint").string_or_null(fault.hint.as_deref());
    o.key("retry_at").number_or_null(fault.retry_at);
}

fn said(word: &str) -> Option<&str> {
    Some(word).filter(|word| !word.is_empty())
}
