//! The status for people: a table that is read in one look, or a block for each account where the screen is too narrow for one.

use cloud_agent_protocol::v1::{AccountStatus, Holding, LOCKED, Overview};
use cloud_agent_protocol::{Fault, FaultKind, v1};

use super::accounts;
use crate::moment;
use crate::paint::{Paint, Tone};
use crate::report::printable;

/// The columns of the table. The last is there only if something in it is. One text, because every call of this program pays for
/// a list of them: its addresses are set when it starts.
const HEADINGS: &str = "ACCOUNT,CLOUD,STATE,EXPIRES IN,RENEWS IN,HELD IN,HELD FOR";
const STATE: usize = 2;
/// Between two columns.
const GAP: &str = "  ";
/// What stands for nothing.
const NOTHING: &str = "-";
/// Before what is told about a row.
const INDENT: usize = 2;

/// One account, as it is shown.
struct Row {
    cells: Vec<String>,
    tone: Tone,
    /// What went wrong, and what mends it.
    notes: Vec<(&'static str, Tone, String)>,
}

/// Everything.
pub(super) fn words(overview: &Overview, now: i64, paint: &Paint) -> String {
    let status = &overview.status;
    let mut text = about(overview, now, paint);
    if status.warnings.first().is_some_and(|warning| warning.starts_with(LOCKED)) {
        return text;
    }
    text.push('\n');
    if status.accounts.is_empty() {
        let hint = "no accounts yet: `cloud-token login` sets one up; `cloud-token clouds` lists the clouds";
        text.push_str(&paint.wrapped(hint, 0));
        return text;
    }
    let limited = overview.holdings.iter().any(|holding| holding.until.is_some());
    let mut headings: Vec<String> = HEADINGS.split(',').map(str::to_owned).collect();
    if !limited {
        headings.pop();
    }
    let rows: Vec<Row> = accounts(overview).map(|(account, holding)| row(account, holding, now)).collect();
    let widths = widths(&headings, &rows);
    let whole = widths.iter().map(|width| width + GAP.len()).sum::<usize>().saturating_sub(GAP.len());
    if paint.width.is_none_or(|screen| whole <= screen) {
        table(&headings, &rows, &widths, paint, &mut text);
    } else {
        blocks(&headings, &rows, paint, &mut text);
    }
    text
}

/// What is to be known of the agent itself.
fn about(overview: &Overview, now: i64, paint: &Paint) -> String {
    let v1::Status { version, pid, started_at, socket, config, vault, vault_reason, warnings, .. } = &overview.status;
    let limits = [("hold-for", overview.hold_for), ("hold-idle", overview.hold_idle)];
    let limits: String = limits
        .into_iter()
        .filter_map(|(name, limit)| Some(format!(", {name} {}", moment::span(limit?.into()))))
        .collect();
    let agent = format!(
        "agent {} (pid {pid}), started {}, vault {} ({}){limits}",
        printable(version),
        moment::relative(*started_at, now),
        printable(vault),
        printable(vault_reason),
    );
    let places = format!("socket {}, configuration {}", printable(socket), printable(config));
    let mut text = paint.wrapped(&agent, 0) + &paint.wrapped(&places, 0);
    for warning in warnings {
        text.push_str(&labelled("warning:", Tone::Waits, &printable(warning), 0, paint));
    }
    text
}

fn row(account: &AccountStatus, holding: &Holding, now: i64) -> Row {
    let left = |at: Option<i64>| match at {
        Some(at) => moment::span(at.saturating_sub(now).try_into().unwrap_or(0)),
        None => NOTHING.to_owned(),
    };
    let cells = vec![
        printable(&account.name),
        printable(&account.cloud),
        printable(&account.state),
        left(account.expires_at),
        left(account.renews_at),
        if holding.place.is_empty() { NOTHING.to_owned() } else { printable(&holding.place) },
        left(holding.until),
    ];
    let mut notes: Vec<_> = account.fault.iter().flat_map(|fault| notes(fault, &account.name, now)).collect();
    // Nothing has failed where nobody has logged in yet, and still there is something to type.
    if notes.is_empty() && account.state == "needs-login" {
        notes.push(("mend:", Tone::Heading, format!("`cloud-token login {}`", printable(&account.name))));
    }
    Row { cells, tone: tone(&account.state), notes }
}

fn tone(state: &str) -> Tone {
    match state {
        "valid" | "renewable" => Tone::Good,
        "needs-login" | "locked" => Tone::Waits,
        _ => Tone::Bad,
    }
}

fn notes(fault: &Fault, account: &str, now: i64) -> Vec<(&'static str, Tone, String)> {
    let mut notes = vec![("fault:", Tone::Bad, printable(&fault.to_string()))];
    // A moment that has passed says no more than that nobody has asked since.
    if let Some(at) = fault.retry_at.filter(|at| *at > now) {
        notes.push(("next try:", Tone::Heading, moment::relative(at, now)));
    }
    let mend = fault.hint.clone().unwrap_or_else(|| mend(fault.kind, account));
    notes.push(("mend:", Tone::Heading, printable(&mend)));
    notes
}

/// What to type where the fault names nothing. That of its kind would often lead to what is being read.
fn mend(kind: FaultKind, account: &str) -> String {
    match kind {
        FaultKind::Refused | FaultKind::NeedsHuman => format!("`cloud-token login {account}`"),
        FaultKind::Unreachable | FaultKind::Busy => {
            "the next use tries again; `cloud-token doctor` looks for what is wrong".to_owned()
        }
        FaultKind::Config | FaultKind::Other(_) => "`cloud-token doctor` looks for what is wrong".to_owned(),
        other => other.mend().replace("ACCOUNT", account),
    }
}

/// How wide each column is: as its widest cell.
fn widths(headings: &[String], rows: &[Row]) -> Vec<usize> {
    let mut widths = vec![0; headings.len()];
    for cells in std::iter::once(headings).chain(rows.iter().map(|row| row.cells.as_slice())) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

/// Columns beside each other; nothing behind the last.
fn table(headings: &[String], rows: &[Row], widths: &[usize], paint: &Paint, text: &mut String) {
    text.push_str(&line(headings, widths, paint, |_| Some(Tone::Heading)));
    for row in rows {
        text.push_str(&line(&row.cells, widths, paint, |column| Some(row.tone).filter(|_| column == STATE)));
        noted(row, paint, text);
    }
}

fn line(cells: &[String], widths: &[usize], paint: &Paint, tone: impl Fn(usize) -> Option<Tone>) -> String {
    let cells = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        let padded = if column + 1 == widths.len() { cell.clone() } else { padded(cell, *width) };
        match tone(column) {
            Some(tone) => paint.tint(tone, &padded),
            None => padded,
        }
    });
    cells.collect::<Vec<_>>().join(GAP) + "\n"
}

/// A block for each account, a line for each column.
fn blocks(headings: &[String], rows: &[Row], paint: &Paint, text: &mut String) {
    let widest = headings.iter().map(String::len).max().unwrap_or_default() + GAP.len();
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            text.push('\n');
        }
        for (column, (heading, cell)) in headings.iter().zip(&row.cells).enumerate() {
            let line = match column {
                0 => paint.tint(Tone::Heading, cell),
                STATE => padded("", INDENT) + &padded(&heading.to_lowercase(), widest) + &paint.tint(row.tone, cell),
                _ => padded("", INDENT) + &padded(&heading.to_lowercase(), widest) + cell,
            };
            text.push_str(&(line + "\n"));
        }
        noted(row, paint, text);
    }
}

fn noted(row: &Row, paint: &Paint, text: &mut String) {
    for (label, tone, note) in &row.notes {
        text.push_str(&labelled(label, *tone, note, INDENT, paint));
    }
}

fn padded(cell: &str, width: usize) -> String {
    format!("{cell:width$}")
}

/// `words` behind a label, in lines that begin below each other.
fn labelled(label: &str, tone: Tone, words: &str, indent: usize, paint: &Paint) -> String {
    let body = paint.wrapped(words, indent + label.len() + 1);
    padded("", indent) + &paint.tint(tone, label) + " " + body.trim_start()
}
