//! What may be shown of somebody's configuration: its keys, and the values that are ours. Tokens and passwords stand there in
//! plain sight, and a terminal is logged, shared and looked at over shoulders.

/// In the place of a value.
const HIDDEN: &str = "\u{2026}";

/// Keys of a kubeconfig whose values are no secrets.
const PLAIN: [&str; 12] = [
    "apiVersion",
    "kind",
    "name",
    "server",
    "cluster",
    "user",
    "namespace",
    "current-context",
    "command",
    "interactiveMode",
    "provideClusterInfo",
    "installHint",
];

/// A line of JSON: of its strings, names and what is ours.
pub(super) fn json(line: &str) -> String {
    let (mut text, mut rest) = (String::new(), line);
    while let Some(from) = rest.find('"') {
        let inner = &rest[from + 1..];
        let mut escaped = false;
        let end = inner.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        // A string without an end is nothing that a line may hold.
        let Some(end) = end else { return format!("{text}{}\"{HIDDEN}", &rest[..from]) };
        let (value, behind) = (&inner[..end], &inner[end + 1..]);
        let shown = if behind.trim_start().starts_with(':') || value == "cloud-token" { value } else { HIDDEN };
        text.extend([&rest[..=from], shown, "\""]);
        rest = behind;
    }
    text + rest
}

/// A line of a kubeconfig.
pub(super) fn yaml(line: &str) -> String {
    let bare = line.trim_start();
    let bare = bare.strip_prefix("- ").unwrap_or(bare);
    let indent = &line[..line.len() - bare.len()];
    match bare.split_once(':') {
        Some((_, "")) => line.to_owned(),
        Some((_, value)) if matches!(value.trim(), "null" | "[]" | "{}") => line.to_owned(),
        // What is in braces is more than one value.
        Some((key, value)) if PLAIN.contains(&key) && !value.contains(['{', '[']) => line.to_owned(),
        Some((key, _)) if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            format!("{indent}{key}: {HIDDEN}")
        }
        // An argument of ours, or the middle of something longer.
        _ if matches!(bare, "" | "helper" | "kubectl") => line.to_owned(),
        _ => format!("{indent}{HIDDEN}"),
    }
}

/// A line of git's configuration.
pub(super) fn ini(line: &str) -> String {
    let bare = line.trim();
    if bare.is_empty() || bare.starts_with("# >>> cloud-agent") || bare.starts_with("# <<< cloud-agent") {
        return line.to_owned();
    }
    if let Some(section) = bare.strip_prefix('[') {
        // What is in quotes there may be an address with a password.
        return if section.contains('"') {
            format!("[{} \"{HIDDEN}\"]", section.split(' ').next().unwrap_or(""))
        } else {
            line.to_owned()
        };
    }
    let is_ours = bare.starts_with("helper = ") && bare.trim_end_matches('"').ends_with(" helper git");
    if is_ours { line.to_owned() } else { behind_the_sign(line) }
}

/// A line of a shell's.
pub(super) fn sh(line: &str) -> String {
    if line.contains("cloud_env") || line.contains("cloud-token") { line.to_owned() } else { behind_the_sign(line) }
}

fn behind_the_sign(line: &str) -> String {
    line.split_once('=').map_or_else(|| line.to_owned(), |(name, _)| format!("{name}={HIDDEN}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_ours_are_shown_and_nothing_else() {
        for (mask, line, shown) in [
            (json as fn(&str) -> String, "\t\t\"x.example\": {", "\t\t\"x.example\": {"),
            (json, "\t\"auth\": \"c2VjcmV0\",", "\t\"auth\": \"\u{2026}\","),
            (
                json,
                "{\"auths\":{\"x\":{\"auth\":\"a\\\"b\"}},\"n\":1}",
                "{\"auths\":{\"x\":{\"auth\":\"\u{2026}\"}},\"n\":1}",
            ),
            (json, "\"r\": \"cloud-token\"", "\"r\": \"cloud-token\""),
            (json, "\"half of it", "\"\u{2026}"),
            (yaml, "- name: me", "- name: me"),
            (yaml, "    token: c2VjcmV0", "    token: \u{2026}"),
            (yaml, "    client-key-data: LS0t", "    client-key-data: \u{2026}"),
            (yaml, "  user: {token: x}", "  user: \u{2026}"),
            (yaml, "    exec:", "    exec:"),
            (yaml, "      - helper", "      - helper"),
            (yaml, "      - --password=x", "      - \u{2026}"),
            (yaml, "      c2VjcmV0", "      \u{2026}"),
            (yaml, "      env: null", "      env: null"),
            (ini, "\thelper = /usr/bin/cloud-token helper git", "\thelper = /usr/bin/cloud-token helper git"),
            (ini, "\textraheader = Authorization: x", "\textraheader =\u{2026}"),
            (ini, "[url \"https://me:pw@x/\"]", "[url \"\u{2026}\"]"),
            (ini, "[credential]", "[credential]"),
            (sh, "export TOKEN=x", "export TOKEN=\u{2026}"),
            (
                sh,
                "    _cloud_env=$(cloud-token \"$@\" -o env) || return",
                "    _cloud_env=$(cloud-token \"$@\" -o env) || return",
            ),
        ] {
            assert_eq!(mask(line), shown);
        }
    }
}
