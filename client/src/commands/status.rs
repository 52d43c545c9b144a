//! `status`: how agent and accounts are. Never a secret: the protocol has none to show here.

use std::fmt::Write;
use std::time::Duration;

use cloud_agent_protocol::v1::{AccountStatus, Holding, LOCKED, Overview, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};

use crate::client::{Client, unexpected};
use crate::report::{Failure, printable};
use crate::{json, moment, stdio};

/// The columns of the table.
const HEADINGS: [&str; COLUMNS] = ["ACCOUNT", "CLOUD", "STATE", "EXPIRES", "HELD UNTIL", "HOLDS", "LAST FAULT"];
const COLUMNS: usize = 7;

/// Shows the status.
#[cold]
pub(crate) fn run(as_json: bool, timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(timeout)?;
    let overview = ask(&client)?;
    let text = if as_json { to_json(&overview) } else { to_words(&overview, moment::now()) };
    stdio::stdout(text.as_bytes())
}

fn ask(client: &Client) -> Result<Overview, Failure> {
    let answer = match client.ask(&Request::Overview) {
        // An agent from before there was such a request.
        Err(failure) if failure.fault.kind == FaultKind::Unsupported => client.ask(&Request::Status),
        other => other,
    };
    match answer? {
        Response::Overview(overview) => Ok(overview),
        Response::Status(status) => {
            let holdings = vec![Holding::default(); status.accounts.len()];
            Ok(Overview { status, hold_for: None, hold_idle: None, holdings })
        }
        other => Err(unexpected(&other)),
    }
}

/// The accounts, and how each is held.
fn accounts(overview: &Overview) -> impl Iterator<Item = (&AccountStatus, &Holding)> {
    overview.status.accounts.iter().zip(&overview.holdings)
}

fn to_words(overview: &Overview, now: i64) -> String {
    let status = &overview.status;
    let mut text = format!(
        "agent {} (pid {}), started {}, vault {} ({})\nsocket {}, configuration {}\n",
        printable(&status.version),
        status.pid,
        moment::relative(status.started_at, now),
        printable(&status.vault),
        printable(&status.vault_reason),
        printable(&status.socket),
        printable(&status.config),
    );
    for warning in &status.warnings {
        writeln!(text, "warning: {}", printable(warning)).expect("a string takes every write");
    }
    if status.warnings.first().is_some_and(|warning| warning.starts_with(LOCKED)) {
        return text;
    }
    if status.accounts.is_empty() {
        text.push_str(
            "\nno accounts yet: `cloud-token login ACCOUNT --cloud CLOUD`; `cloud-token clouds` lists the clouds\n",
        );
        return text;
    }
    text.push('\n');
    table(&accounts(overview).map(|(account, holding)| row(account, holding, now)).collect::<Vec<_>>(), &mut text);
    text
}

fn row(account: &AccountStatus, holding: &Holding, now: i64) -> [String; COLUMNS] {
    let dash = || "-".to_owned();
    [
        printable(&account.name),
        printable(&account.cloud),
        printable(&account.state),
        account.expires_at.map_or_else(dash, |at| moment::relative(at, now)),
        holding.until.map_or_else(dash, |at| moment::relative(at, now)),
        if account.holds.is_empty() { dash() } else { printable(&account.holds.join(", ")) },
        account.fault.as_ref().map_or_else(dash, |fault| printable(&fault.to_string())),
    ]
}

/// Columns as wide as their widest cell; nothing behind the last.
fn table(rows: &[[String; COLUMNS]], text: &mut String) {
    let headings = HEADINGS.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let mut widths = [0; COLUMNS];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in lines() {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}

fn to_json(overview: &Overview) -> String {
    let status = &overview.status;
    let mut text = String::new();
    json::Writer::new(&mut text).object(|o| {
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
            accounts(overview).for_each(|(account, holding)| a.object(|o| account_json(account, holding, o)));
        });
    });
    text.push('\n');
    text
}

fn account_json(account: &AccountStatus, holding: &Holding, o: &mut json::Writer<'_>) {
    o.key("name").string(&account.name);
    o.key("cloud").string(&account.cloud);
    o.key("method").string(&account.method);
    o.key("origin").string(&account.origin);
    o.key("state").string(&account.state);
    o.key("expires_at").number_or_null(account.expires_at);
    o.key("expiry_source").string(&account.expiry_source);
    o.key("renews_at").number_or_null(account.renews_at);
    o.key("holds").array(|a| account.holds.iter().for_each(|name| a.string(name)));
    o.key("held_in").string_or_null(Some(holding.place.as_str()).filter(|place| !place.is_empty()));
    o.key("held_since").number_or_null(holding.since);
    o.key("held_until").number_or_null(holding.until);
    o.key("held_by").string_or_null(Some(holding.by.as_str()).filter(|by| !by.is_empty()));
    o.key("fingerprint").string_or_null(account.fingerprint.as_deref());
    match &account.fault {
        Some(fault) => o.key("fault").object(|o| fault_json(fault, o)),
        None => o.key("fault").string_or_null(None),
    }
}

fn fault_json(fault: &Fault, o: &mut json::Writer<'_>) {
    o.key("kind").string(fault.kind.word());
    o.key("message").string(&fault.message);
    o.key("causes").array(|a| fault.causes.iter().for_each(|cause| a.string(cause)));
    o.key("hint").string_or_null(fault.hint.as_deref());
    o.key("retry_at").number_or_null(fault.retry_at);
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::Status;

    use super::*;

    fn overview() -> Overview {
        let status = status();
        let limited = Holding { place: "memory".into(), since: Some(400), until: Some(4600), by: "hold-for".into() };
        Overview { status, hold_for: Some(4200), hold_idle: None, holdings: vec![limited, Holding::default()] }
    }

    fn status() -> Status {
        let account = AccountStatus {
            name: "work".into(),
            cloud: "acme".into(),
            method: "password".into(),
            origin: "https://a.example".into(),
            state: "valid".into(),
            expires_at: Some(1600),
            expiry_source: "jwt".into(),
            renews_at: Some(1500),
            holds: vec!["refresh".into(), "password".into()],
            fingerprint: Some("ab12".into()),
            fault: None,
        };
        let broken = AccountStatus {
            name: "longer-name".into(),
            state: "failing".into(),
            expires_at: None,
            holds: vec![],
            fault: Some(Fault::new(FaultKind::Unreachable, "no \x1b[2Jroute").because("timeout").retry_at(1010)),
            ..account.clone()
        };
        Status {
            version: "0.1.0".into(),
            pid: 7,
            started_at: 400,
            socket: "/s".into(),
            config: "/c".into(),
            vault: "memory".into(),
            vault_reason: "no keyring answered".into(),
            warnings: vec!["nothing is kept".into()],
            accounts: vec![account, broken],
        }
    }

    #[test]
    fn the_table_is_aligned_and_cannot_steer_the_terminal() {
        assert_eq!(
            to_words(&overview(), 1000),
            "agent 0.1.0 (pid 7), started 10 min ago, vault memory (no keyring answered)\n\
             socket /s, configuration /c\n\
             warning: nothing is kept\n\
             \n\
             ACCOUNT      CLOUD  STATE    EXPIRES    HELD UNTIL  HOLDS              LAST FAULT\n\
             work         acme   valid    in 10 min  in 60 min   refresh, password  -\n\
             longer-name  acme   failing  -          -           -                  no \u{fffd}[2Jroute: timeout\n"
        );
    }

    #[test]
    fn no_accounts_say_how_to_get_one() {
        let status = Status { accounts: vec![], ..status() };
        let text = to_words(&Overview { status, holdings: vec![], ..overview() }, 1000);
        assert!(text.contains("cloud-token login ACCOUNT"), "{text}");
    }

    #[test]
    fn json_carries_everything_that_the_protocol_does() {
        let text = to_json(&overview());
        for part in [
            r#""pid":7,"started_at":400"#,
            r#""warnings":["nothing is kept"]"#,
            r#""hold_for":4200,"hold_idle":null,"#,
            r#""holds":["refresh","password"],"held_in":"memory","held_since":400,"held_until":4600,"held_by":"hold-for","#,
            r#""fingerprint":"ab12","fault":null}"#,
            r#""held_in":null,"held_since":null,"held_until":null,"held_by":null"#,
            r#""fault":{"kind":"unreachable","message":"no \u001b[2Jroute","causes":["timeout"],"hint":null,"retry_at":1010}"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
