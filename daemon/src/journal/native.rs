//! systemd's journal, in its native protocol: a datagram for each entry, a field in each line
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::path::Path;

use super::entry::Entry;

/// Tells the journal that listens at `socket`. Nothing waits for it: where nobody listens, or the queue is full, the entry is
/// in the agent's own journal all the same.
pub(super) fn tell(socket: &Path, entries: &[Entry], hashes: &[String]) {
    #[cfg(unix)]
    {
        let send = || {
            let out = std::os::unix::net::UnixDatagram::unbound()?;
            out.set_nonblocking(true)?;
            out.connect(socket)?;
            entries.iter().zip(hashes).try_for_each(|(entry, hash)| out.send(&datagram(entry, hash)).map(drop))
        };
        if let Err(why) = send() {
            tracing::debug!("systemd's journal at `{}` was not told: {why}", socket.display());
        }
    }
    #[cfg(not(unix))]
    let _ = (socket, entries, hashes);
}

#[cfg(unix)]
fn datagram(entry: &Entry, hash: &str) -> Vec<u8> {
    let caller = entry.caller.first();
    let label = |step: &super::Step| step.program.clone().unwrap_or_else(|| step.name.clone());
    let chain =
        entry.caller.iter().map(|step| format!("{} ({})", label(step), step.pid)).collect::<Vec<_>>().join(" < ");
    let message = match entry.outcome.as_str() {
        "given" => format!("a token of `{}` was handed out to {chain}", entry.account),
        outcome => format!("a token of `{}` was not handed out ({outcome}) to {chain}", entry.account),
    };
    let numbers = [entry.n.to_string(), entry.times.to_string(), caller.map_or(0, |step| step.pid).to_string()];
    let fields = [
        ("MESSAGE", Some(message.as_str())),
        ("PRIORITY", Some(if entry.outcome == "given" { "6" } else { "5" })),
        ("SYSLOG_IDENTIFIER", Some("cloud-agent")),
        ("CLOUD_AGENT_ENTRY", Some(&numbers[0])),
        ("CLOUD_AGENT_HASH", Some(hash)),
        ("CLOUD_AGENT_ACCOUNT", Some(&entry.account)),
        ("CLOUD_AGENT_TOKEN", entry.token.as_deref()),
        ("CLOUD_AGENT_OUTCOME", Some(&entry.outcome)),
        ("CLOUD_AGENT_TIMES", Some(&numbers[1])),
        ("CLOUD_AGENT_ORIGIN", entry.origin.as_deref()),
        ("CLOUD_AGENT_CALLER_PID", Some(&numbers[2])),
        ("CLOUD_AGENT_CALLER_UNIT", entry.unit.as_deref()),
    ];
    let mut datagram = Vec::new();
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        field(&mut datagram, name, value);
    }
    datagram
}

/// A value with a line end is preceded by its length, so that no name of a process can make a field of its own.
#[cfg(unix)]
fn field(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    #[test]
    fn a_name_with_a_line_end_makes_no_field_of_its_own() {
        let mut entry = entry(3, "x");
        entry.caller[0].name = "a\nPRIORITY=0".into();
        let datagram = datagram(&entry, "abc");
        let text = String::from_utf8_lossy(&datagram);
        let message = "a token of `work` was handed out to a\nPRIORITY=0 (7)";
        let expected =
            [b"MESSAGE\n".as_slice(), &(message.len() as u64).to_le_bytes(), message.as_bytes(), b"\nPRIORITY=6\n"];
        assert!(datagram.starts_with(&expected.concat()), "{text}");
        assert!(
            text.contains("\nCLOUD_AGENT_TOKEN=ba7816bf8f01\n") && text.contains("\nCLOUD_AGENT_HASH=abc\n"),
            "{text}"
        );
    }
}
