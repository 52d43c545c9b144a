//! `log`: who got which account's token, and when.

use std::fmt::Write;
use std::time::Duration;

use cloud_agent_protocol::v1::{LogEntry, LogProcess, ReadLog, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};

use crate::client::{Client, unexpected};
use crate::report::{Failure, printable};
use crate::{json, moment, stdio};

/// Shows the journal; with `who`, only what handed out the token on stdin.
#[cold]
pub(crate) fn show(as_json: bool, who: bool, timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(timeout)?;
    let token = if who { Some(stdio::stdin(&client.deadline)?) } else { None };
    if token.as_ref().is_some_and(cloud_agent_protocol::Secret::is_empty) {
        let fault = Fault::new(FaultKind::Usage, "there is no token on stdin");
        return Err(fault.hint("`printf %s \"$token\" | cloud-token log --who`").into());
    }
    let (mut after, mut shown) = (0, 0);
    loop {
        let log = match client.ask(&Request::ReadLog(ReadLog { after, token: token.clone() }))? {
            Response::Log(log) => log,
            other => return Err(unexpected(&other)),
        };
        let mut text = String::new();
        for entry in &log.entries {
            if as_json { to_json(entry, &mut text) } else { to_words(entry, &mut text) }
        }
        stdio::stdout(text.as_bytes())?;
        shown += log.entries.len();
        match log.entries.last() {
            Some(last) if log.more => after = last.n,
            _ => break,
        }
    }
    if who && shown == 0 {
        let fault = Fault::new(FaultKind::Refused, "no entry of the journal handed out that token");
        return Err(fault.because("another agent gave it, or its entry has made room for newer ones").into());
    }
    Ok(())
}

/// Has it verified.
#[cold]
pub(crate) fn verify(timeout: Duration) -> Result<(), Failure> {
    let verified = match Client::new(timeout)?.ask(&Request::VerifyLog)? {
        Response::Verified(verified) => verified,
        other => return Err(unexpected(&other)),
    };
    if verified.faults.is_empty() {
        return stdio::stdout(format!("{} entries, all as they were written\n", verified.sound).as_bytes());
    }
    let fault = Fault::new(FaultKind::Refused, "the journal is not as it was written");
    Err(verified.faults.into_iter().fold(fault, Fault::because).into())
}

/// One line. What processes call themselves must not steer a terminal.
fn to_words(entry: &LogEntry, text: &mut String) {
    let chain = entry.caller.iter().map(process).collect::<Vec<_>>().join(" < ");
    let token = entry.fingerprint.as_deref().unwrap_or("-");
    let mut remarks = Vec::new();
    if entry.times > 1 {
        remarks.push(format!("{} times", entry.times));
    }
    for (name, value) in [("through", &entry.origin), ("unit", &entry.unit), ("terminal", &entry.terminal)] {
        remarks.extend(value.as_ref().map(|value| format!("{name} {value}")));
    }
    if entry.lost > 0 {
        remarks.push(format!("{} before it were not noted", entry.lost));
    }
    let remarks = if remarks.is_empty() { String::new() } else { format!("  ({})", remarks.join(", ")) };
    let line =
        format!("{}  {}  {token}  {}  {chain}{remarks}", moment::rfc3339(entry.at), entry.account, entry.outcome);
    writeln!(text, "{}", printable(&line)).expect("a string takes every write");
}

/// Quoted where it could be read as more than one: a file may be called as a chain of others is written.
fn process(process: &LogProcess) -> String {
    let label = process.program.as_deref().unwrap_or(&process.name);
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:~%=".contains(c);
    let pid = process.pid;
    if label.chars().all(is_plain) {
        format!("{label} [{pid}]")
    } else {
        format!("`{}` [{pid}]", label.replace('`', "\u{fffd}"))
    }
}

fn to_json(entry: &LogEntry, text: &mut String) {
    let number = |n: u64| i64::try_from(n).ok();
    json::Writer::new(text).object(|o| {
        o.key("n").number_or_null(number(entry.n));
        o.key("at").number_or_null(Some(entry.at));
        o.key("account").string(&entry.account);
        o.key("fingerprint").string_or_null(entry.fingerprint.as_deref());
        o.key("outcome").string(&entry.outcome);
        o.key("times").number_or_null(Some(entry.times.into()));
        o.key("origin").string_or_null(entry.origin.as_deref());
        o.key("caller").array(|a| {
            for process in &entry.caller {
                a.object(|o| {
                    o.key("pid").number_or_null(Some(process.pid.into()));
                    o.key("started").number_or_null(number(process.started));
                    o.key("name").string(&process.name);
                    o.key("program").string_or_null(process.program.as_deref());
                });
            }
        });
        o.key("unit").string_or_null(entry.unit.as_deref());
        o.key("terminal").string_or_null(entry.terminal.as_deref());
        o.key("session").number_or_null(Some(entry.session.into()));
        o.key("lost").number_or_null(number(entry.lost));
    });
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LogEntry {
        LogEntry {
            n: 3,
            at: 1_795_319_040,
            account: "work".into(),
            fingerprint: Some("ba7816bf8f01".into()),
            outcome: "given".into(),
            times: 1,
            origin: None,
            caller: vec![
                LogProcess { pid: 7, started: 1, name: "cloud-token".into(), program: None },
                LogProcess { pid: 6, started: 1, name: "x\x1b[2J\n".into(), program: Some("/bin/\x1b[2Jsh".into()) },
            ],
            unit: None,
            terminal: None,
            session: 5,
            lost: 0,
        }
    }

    #[test]
    fn an_entry_is_one_line_that_cannot_steer_the_terminal() {
        let mut text = String::new();
        to_words(&entry(), &mut text);
        let chain = "cloud-token [7] < `/bin/\u{fffd}[2Jsh` [6]";
        assert_eq!(text, format!("2026-11-22T03:44:00Z  work  ba7816bf8f01  given  {chain}\n"));
        let told = LogEntry {
            fingerprint: None,
            times: 2,
            origin: Some("/s".into()),
            unit: Some("a.service".into()),
            lost: 4,
            ..entry()
        };
        text.clear();
        to_words(&told, &mut text);
        assert!(text.ends_with("  (2 times, through /s, unit a.service, 4 before it were not noted)\n"), "{text}");
        assert!(text.contains("  work  -  given  "), "{text}");
    }

    #[test]
    fn no_file_can_be_called_so_that_it_reads_as_a_chain() {
        let program = |path: &str| LogProcess { pid: 6, started: 1, name: "x".into(), program: Some(path.into()) };
        assert_eq!(process(&program("/usr/bin/git")), "/usr/bin/git [6]");
        assert_eq!(process(&program("/tmp/x` [5] < /usr/bin/git")), "`/tmp/x\u{fffd} [5] < /usr/bin/git` [6]");
    }

    #[test]
    fn json_carries_everything_and_stays_one_line() {
        let mut text = String::new();
        to_json(&entry(), &mut text);
        assert_eq!(text.lines().count(), 1);
        for part in [
            r#"{"n":3,"at":1795319040,"account":"work","fingerprint":"ba7816bf8f01","outcome":"given","times":1,"origin":null"#,
            r#"{"pid":6,"started":1,"name":"x\u001b[2J\n","program":"/bin/\u001b[2Jsh"}"#,
            r#""unit":null,"terminal":null,"session":5,"lost":0}"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
