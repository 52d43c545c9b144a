//! The findings for programs. `docs/doctor.md` describes them, and a test holds what is printed against that.

use cloud_agent_protocol::v1::{Finding, Level};

use super::verdict;
use crate::json::Writer;

/// Counts changes that could break a reader: something taken away, or of another type or meaning. What is only added does not count.
const SCHEMA: i64 = 1;

pub(super) fn write(findings: &[Finding], proved: bool) -> String {
    let worst = findings.iter().map(Finding::level).max().unwrap_or(Level::Ok);
    let mut text = String::new();
    Writer::new(&mut text).object(|o| {
        o.key("schema").number_or_null(Some(SCHEMA));
        o.key("version").string(env!("CARGO_PKG_VERSION"));
        o.key("proved").boolean(proved);
        o.key("worst").string(worst.word());
        o.key("exit_code").number_or_null(Some(i64::from(verdict::code(findings))));
        o.key("findings").array(|a| {
            for (group, of_it) in verdict::grouped(findings) {
                for found in of_it {
                    a.object(|o| write_finding(group, found, o));
                }
            }
        });
    });
    text.push('\n');
    text
}

fn write_finding(group: &str, found: &Finding, o: &mut Writer<'_>) {
    o.key("id").string(&found.id);
    o.key("group").string(group);
    o.key("subject").string_or_null(Some(found.subject.as_str()).filter(|subject| !subject.is_empty()));
    // Of one that an agent of tomorrow invents, readers of today know the words.
    o.key("level").string(found.level().word());
    o.key("what").string(&found.what);
    o.key("evidence").array(|a| found.evidence.iter().for_each(|line| a.string(line)));
    o.key("mend").string_or_null(found.mend.as_deref());
}
