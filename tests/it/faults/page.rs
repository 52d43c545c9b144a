//! docs/reliability.md tells what was played. `RELIABILITY=write` in the environment writes it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::clouds;
use super::play::{Mended, Seen};
use super::table;

const BEGIN: &str = "<!-- faults -->\n";
const END: &str = "<!-- /faults -->\n";

/// A fault at a cloud, and what came of it where it could be played.
pub(super) type Played<'a> = ((&'a table::Row, &'a clouds::Row), Option<Seen>);

/// That the page says what was played; or writes it.
pub(super) fn judge(played: &[Played<'_>]) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member of a workspace").join("docs/reliability.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/reliability.md has a place for the faults");
    let (block, after) = rest.split_once(END).expect("and it ends");
    let wanted = faults(played) + "\n" + &clouds();
    if std::env::var("RELIABILITY").is_ok_and(|value| value == "write") {
        assert!(played.iter().all(|(_, seen)| seen.is_some()), "what was not played is not written down");
        fs::write(&path, [before, BEGIN, &wanted, END, after].concat()).unwrap();
    } else {
        let unsaid: Vec<_> = wanted.lines().filter(|line| block.lines().all(|known| known != *line)).collect();
        assert!(
            block == wanted,
            "docs/reliability.md says otherwise:\n{}\n\
             `RELIABILITY=write cargo test -p cloud-agent-tests --test it faults` writes it",
            unsaid.join("\n")
        );
    }
}

fn faults(played: &[Played<'_>]) -> String {
    let mut text = String::from(
        "| fault | told as | exit code | answered | connections | requests | state meanwhile | when it is over |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for fault in table::FAULTS {
        let all: Vec<_> = played.iter().filter(|((row, _), _)| row.name == fault.name).collect();
        let mut groups: Vec<(Seen, Vec<&str>)> = Vec::new();
        for ((_, cloud), seen) in &all {
            // What could not be played here was played where the page was written.
            let seen = seen.clone().unwrap_or_else(|| Seen::promised(fault, cloud));
            match groups.iter_mut().find(|(known, _)| *known == seen) {
                Some((_, clouds)) => clouds.push(cloud.name),
                None => groups.push((seen, vec![cloud.name])),
            }
        }
        groups.sort_by_key(|(_, clouds)| std::cmp::Reverse(clouds.len()));
        for (at, (seen, clouds)) in groups.iter().enumerate() {
            let name = if at == 0 { fault.name.to_owned() } else { format!("– at `{}`", clouds.join("`, `")) };
            line(&mut text, &name, fault, seen);
        }
    }
    text
}

fn line(text: &mut String, name: &str, fault: &table::Row, seen: &Seen) {
    let Seen { kind, exit, connections, requests, state, mended_by } = seen;
    let then = match (mended_by, fault.patience) {
        (Mended::Itself, None) => "the next caller gets a new token",
        (Mended::Itself, Some(_)) => "the same, and nobody asks before the time that the cloud named",
        (Mended::Login, _) => "`cloud-token login`, as the hint says: the lost reply held the next refresh token",
    };
    let bound = format!("{} {} s", if fault.silent { "after" } else { "within" }, fault.bound.duration().as_secs());
    writeln!(text, "| {name} | `{kind}` | {exit} | {bound} | {connections} | {requests} | `{state}` | {then} |")
        .expect("a string takes every write");
}

fn clouds() -> String {
    let head = "| cloud | `--method` | renewed by |\n|---|---|---|\n";
    let row = |row: &clouds::Row| format!("| `{}` | `{}` | {} |\n", row.name, row.method, row.renewed_by);
    head.to_owned() + &clouds::CLOUDS.iter().map(row).collect::<String>()
}
