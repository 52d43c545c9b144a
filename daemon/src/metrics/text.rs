//! The counts as OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus and its like
//! read.

use std::fmt::Write as _;

use super::counter::Histogram;
use super::{AccountCounts, AgentCounts, Metrics, REQUESTS};

/// The most that is told of accounts, in bytes: an answer has to fit a frame. Those that are left out are counted.
const MOST: usize = 40 * 1024;

impl Metrics {
    /// All of it. Ends with `# EOF`, so that a reader knows that it has everything.
    pub(crate) fn text(&self, agent: &AgentCounts, accounts: &[AccountCounts]) -> String {
        let mut page = Page(String::with_capacity(8 * 1024));
        page.family("build", "info", "", "which agent this is");
        page.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.family("start_time_seconds", "gauge", "seconds", "when the agent started, since the Unix epoch");
        page.sample("start_time_seconds", &[], agent.started_at);
        page.family("locked", "gauge", "", "whether nothing is handed out until somebody unlocks the agent");
        page.sample("locked", &[], u8::from(agent.locked));
        page.family("unsaved_accounts", "gauge", "", "accounts whose held secrets the vault would not take");
        page.sample("unsaved_accounts", &[], agent.unsaved);
        self.served(&mut page);
        self.renewed(&mut page);
        let left_out = page.accounts(accounts);
        page.family("accounts_left_out", "gauge", "", "accounts that are not told of, because they are too many");
        page.sample("accounts_left_out", &[], left_out);
        page.0.push_str("# EOF\n");
        page.0
    }

    fn served(&self, page: &mut Page) {
        page.family("connections", "counter", "", "connections, by whether the caller was let in");
        for (outcome, count) in ["accepted", "turned-away"].into_iter().zip(&self.connections) {
            page.sample("connections_total", &[("outcome", outcome)], count.read());
        }
        page.family(
            "requests",
            "counter",
            "",
            "requests that were answered, by kind and by how: ok, or a kind of fault",
        );
        let names = REQUESTS.iter().map(|(_, name)| *name).chain(["other"]);
        for (name, ends) in names.zip(&self.requests) {
            for (outcome, count) in ends.seen() {
                page.sample("requests_total", &[("kind", name), ("outcome", outcome)], count);
            }
        }
        page.family("lookups", "counter", "", "credentials that were asked for, by whether the cache had them");
        page.sample("lookups_total", &[("result", "hit")], self.hits.read());
        page.sample("lookups_total", &[("result", "miss")], self.misses.read());
        let about = "from a request for a credential to its answer; of cached ones, one in 64 is timed";
        page.family("answer_duration_seconds", "histogram", "seconds", about);
        page.histogram("answer_duration_seconds", &[("from", "cache")], &self.cached);
        page.histogram("answer_duration_seconds", &[("from", "wait")], &self.waited);
    }

    fn renewed(&self, page: &mut Page) {
        page.family("renewals", "counter", "", "renewals at clouds, by how they ended: ok, or a kind of fault");
        for (outcome, count) in self.renewals.seen() {
            page.sample("renewals_total", &[("outcome", outcome)], count);
        }
        page.family("renewal_duration_seconds", "histogram", "seconds", "how long renewals took");
        page.histogram("renewal_duration_seconds", &[], &self.renewed);
    }
}

/// What every name begins with.
const PREFIX: &str = "cloud_agent_";

/// Writing to a string cannot fail, so nobody looks at the results.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {PREFIX}{name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.0, "# UNIT {PREFIX}{name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {PREFIX}{name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.0, "{PREFIX}{name}");
        for (index, (label, said)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(said));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram<const N: usize>(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram<N>) {
        let mut all = 0;
        for (bound, count) in histogram.cumulated() {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
            self.sample(&format!("{name}_bucket"), &labels, count);
            all = count;
        }
        self.sample(&format!("{name}_count"), labels, all);
        self.sample(&format!("{name}_sum"), labels, histogram.sum());
    }

    /// How many of the accounts found no room.
    fn accounts(&mut self, accounts: &[AccountCounts]) -> usize {
        // A family's samples stand together, so the room has to be known first: its lines with the longest of numbers.
        let size = |account: &AccountCounts| 5 * (PREFIX.len() + account.name.len() + 80);
        let mut room = MOST;
        let fits = accounts.iter().take_while(|account| {
            let before = room;
            room = room.saturating_sub(size(account));
            before >= size(account)
        });
        let told = &accounts[..fits.count()];
        let of = |account: &AccountCounts| [("account", account.name.clone())];
        let mut family = |name: &str,
                          total: &str,
                          kind: &str,
                          unit: &str,
                          help: &str,
                          value: &dyn Fn(&AccountCounts) -> Option<i128>| {
            self.family(name, kind, unit, help);
            for account in told {
                if let Some(value) = value(account) {
                    let [(label, said)] = of(account);
                    self.sample(&format!("{name}{total}"), &[(label, &said)], value);
                }
            }
        };
        family("account_valid", "", "gauge", "", "whether there is a token that has not ended", &|a| {
            Some(a.valid.into())
        });
        family("account_expiry_seconds", "", "gauge", "seconds", "when its token ends, since the Unix epoch", &|a| {
            a.expires_at.map(Into::into)
        });
        family("account_handed_out", "_total", "counter", "", "credentials that were handed out", &|a| {
            Some(a.handed_out.into())
        });
        family("account_renewals", "_total", "counter", "", "renewals that succeeded", &|a| Some(a.renewed.into()));
        family("account_renewal_faults", "_total", "counter", "", "renewals that failed", &|a| Some(a.failed.into()));
        accounts.len() - told.len()
    }
}

/// The value of a label: backslashes, quotes and line ends are told from the syntax around it.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountCounts {
        let name = name.to_owned();
        AccountCounts { name, handed_out: 3, renewed: 1, failed: 0, valid: true, expires_at: Some(1_700_000_000) }
    }

    fn page(accounts: &[AccountCounts]) -> String {
        Metrics::default().text(&AgentCounts { started_at: 7, locked: false, unsaved: 0 }, accounts)
    }

    #[test]
    fn an_account_is_a_label_and_the_page_has_an_end() {
        let text = page(&[account("work")]);
        assert!(text.contains("cloud_agent_account_handed_out_total{account=\"work\"} 3\n"), "{text}");
        assert!(text.contains("cloud_agent_account_expiry_seconds{account=\"work\"} 1700000000\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn more_accounts_than_a_frame_holds_are_counted_and_left_out() {
        let many: Vec<_> = (0..1000).map(|n| account(&format!("account-{n:0>50}"))).collect();
        let text = page(&many);
        assert!(text.len() < cloud_agent_protocol::frame::MAX_RESPONSE - 1024, "{}", text.len());
        let left_out = text.lines().find_map(|line| line.strip_prefix("cloud_agent_accounts_left_out ")).unwrap();
        let left_out: usize = left_out.parse().unwrap();
        assert_eq!(text.matches("account_valid{").count() + left_out, 1000);
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
