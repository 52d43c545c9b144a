//! What accounts.toml says about who may have what: `[[policy]]`, `[[limit]]`, `[confirm]` and `[journal]`.
//!
//! Beside the accounts and not in them, so that a login that writes an account anew, or one that forgets it, takes no rule away.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::{AccountName, Fault, configured};
use serde::Deserialize;
use toml::Spanned;

use super::rules::{Action, Confirm, Limit, Rule, Rules, Terminal, With};
use crate::accounts::file::{line_of, syntax, unusable};
use crate::accounts::parse_span;
use crate::accounts::place::trusted;

/// The tables that are known here, and the accounts' own.
const TABLES: [&str; 5] = ["account", "confirm", "journal", "limit", "policy"];
/// How long a human is given to say yes, if the file does not say.
const PATIENCE: Duration = Duration::from_secs(30);
/// No longer a caller is kept waiting.
const LONGEST_PATIENCE: Duration = Duration::from_mins(5);
/// How long a yes holds, if the file does not say.
const REMEMBER: Duration = Duration::from_mins(10);

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    policy: Vec<Spanned<Policy>>,
    #[serde(default)]
    limit: Vec<Spanned<WrittenLimit>>,
    #[serde(default)]
    confirm: WrittenConfirm,
    #[serde(default)]
    journal: WrittenJournal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Policy {
    action: Spanned<String>,
    account: Option<Spanned<Accounts>>,
    program: Option<Spanned<String>>,
    sha256: Option<Spanned<String>>,
    under: Option<Spanned<String>>,
    unit: Option<String>,
    terminal: Option<Spanned<String>>,
    session: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Accounts {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenLimit {
    account: Option<Spanned<Accounts>>,
    hand_outs: u32,
    within: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenConfirm {
    with: Option<Spanned<String>>,
    program: Option<Spanned<String>>,
    patience: Option<Spanned<String>>,
    remember: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenJournal {
    journald: Option<Spanned<String>>,
}

/// The rules in the file at `path`; none if there is no file.
///
/// # Errors
/// `Config`, naming file, line and key.
pub(super) fn read(path: &Path) -> Result<Rules, Fault> {
    let text = match configured::text(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Rules::default()),
        Err(e) => return Err(unusable(path, None).because(e.to_string())),
    };
    trusted(path)?;
    let reader = Reader { path, text: &text };
    reader.refuse_slips()?;
    let file: File = toml::from_str(&text).map_err(|e| syntax(path, &text, &e))?;
    Ok(Rules {
        path: path.to_owned(),
        policy: file.policy.into_iter().map(|policy| reader.rule(policy)).collect::<Result<_, _>>()?,
        limits: file.limit.into_iter().map(|limit| reader.limit(limit)).collect::<Result<_, _>>()?,
        confirm: reader.confirm(file.confirm)?,
        journald: file.journal.journald.map(|place| reader.absolute("journald", &place)).transpose()?,
    })
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn wrong<T>(&self, key: &str, at: &Spanned<T>, why: &str) -> Fault {
        unusable(self.path, Some(line_of(self.text, at.span().start))).because(format!("`{key}`: {why}"))
    }

    /// A table that nobody knows is left to whoever does. One that is nearly called as one of these is a slip, and what it
    /// would have forbidden would be allowed.
    fn refuse_slips(&self) -> Result<(), Fault> {
        let Ok(table) = self.text.parse::<toml::Table>() else { return Ok(()) };
        for key in table.keys().filter(|key| !TABLES.contains(&key.as_str())) {
            let Some(near) = nearest(key, TABLES) else { continue };
            let names = |line: &&str| line.trim_start().trim_start_matches('[').trim_start().starts_with(key.as_str());
            let line = self.text.lines().position(|line| names(&line)).map(|at| at + 1);
            return Err(unusable(self.path, line)
                .because(format!("unknown table `{key}`"))
                .hint(format!("`{key}` is not known here; did you mean `{near}`?")));
        }
        Ok(())
    }

    fn rule(&self, written: Spanned<Policy>) -> Result<Rule, Fault> {
        let line = line_of(self.text, written.span().start);
        let Policy { action, account, program, sha256, under, unit, terminal, session } = written.into_inner();
        Ok(Rule {
            line,
            action: self.one_of("action", &action, &Action::ALL)?,
            accounts: self.accounts(account)?,
            program: program.map(|path| self.absolute("program", &path).map(|path| text(&path))).transpose()?,
            sha256: sha256.map(|hash| self.hash(&hash)).transpose()?,
            under: under.map(|path| self.absolute("under", &path).map(|path| text(&path))).transpose()?,
            unit,
            terminal: terminal.map(|word| self.terminal(word)).transpose()?,
            session,
        })
    }

    fn limit(&self, written: Spanned<WrittenLimit>) -> Result<Limit, Fault> {
        let line = line_of(self.text, written.span().start);
        let WrittenLimit { account, hand_outs, within } = written.into_inner();
        let accounts = self.accounts(account)?;
        Ok(Limit { line, accounts, hand_outs, within: self.span("within", &within, Duration::MAX)? })
    }

    fn confirm(&self, written: WrittenConfirm) -> Result<Confirm, Fault> {
        let WrittenConfirm { with, program, patience, remember } = written;
        let span = |key: &str, of: Option<Spanned<String>>, most: Duration| {
            of.map(|of| if of.get_ref() == "0" { Ok(Duration::ZERO) } else { self.span(key, &of, most) }).transpose()
        };
        Ok(Confirm {
            with: with.map(|word| self.one_of("with", &word, &With::ALL)).transpose()?,
            program: program.map(|path| self.absolute("program", &path)).transpose()?,
            patience: span("patience", patience, LONGEST_PATIENCE)?.unwrap_or(PATIENCE),
            remember: span("remember", remember, Duration::MAX)?.unwrap_or(REMEMBER),
        })
    }

    fn accounts(&self, written: Option<Spanned<Accounts>>) -> Result<Option<Vec<String>>, Fault> {
        let Some(written) = written else { return Ok(None) };
        let names = match written.get_ref() {
            Accounts::One(name) => std::slice::from_ref(name),
            Accounts::Several(names) => names,
        };
        let key = |name: &String| AccountName::parse(name).map(|name| name.key());
        let keys = names.iter().map(key).collect::<Result<Vec<_>, _>>();
        keys.map(Some).map_err(|fault| self.wrong("account", &written, &fault.to_string()))
    }

    fn one_of<T: Copy>(&self, key: &str, word: &Spanned<String>, known: &[(&str, T)]) -> Result<T, Fault> {
        if let Some((_, found)) = known.iter().find(|(name, _)| name == word.get_ref()) {
            return Ok(*found);
        }
        let fault = self.wrong(key, word, &format!("`{}` is not known", word.get_ref().escape_debug()));
        let names = || known.iter().map(|(name, _)| *name);
        Err(match nearest(word.get_ref(), names()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => {
                fault.hint(format!("one of {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")))
            }
        })
    }

    fn absolute(&self, key: &str, path: &Spanned<String>) -> Result<PathBuf, Fault> {
        let found = PathBuf::from(path.get_ref());
        if found.is_absolute() { Ok(found) } else { Err(self.wrong(key, path, "it is not an absolute path")) }
    }

    fn hash(&self, hash: &Spanned<String>) -> Result<String, Fault> {
        let lower = hash.get_ref().to_ascii_lowercase();
        let is_hash = lower.len() == 64 && lower.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hash { Ok(lower) } else { Err(self.wrong("sha256", hash, "it is not 64 hexadecimal digits")) }
    }

    fn terminal(&self, word: Spanned<String>) -> Result<Terminal, Fault> {
        match word.get_ref().as_str() {
            "any" => Ok(Terminal::Any),
            "none" => Ok(Terminal::None),
            name if name.starts_with("/dev/") => Ok(Terminal::Named(word.into_inner())),
            _ => Err(self.wrong("terminal", &word, "it is neither `any`, `none` nor a terminal such as `/dev/pts/3`")),
        }
    }

    fn span(&self, key: &str, of: &Spanned<String>, most: Duration) -> Result<Duration, Fault> {
        let span = parse_span(of.get_ref()).map_err(|_| self.wrong(key, of, "it is no duration, such as `10m`"))?;
        if span <= most {
            Ok(span)
        } else {
            Err(self.wrong(key, of, &format!("it is longer than {} s", most.as_secs())))
        }
    }
}

/// Paths are compared as processes show them.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn parsed(text: &str) -> Result<Rules, Fault> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts.toml");
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        read(&path)
    }

    #[test]
    fn everything_in_it_is_read() {
        let rules = parsed(
            "[account.work]\ncloud = \"acme\"\nmethod = \"password\"\n\
             [[policy]]\naccount = [\"Work\", \"home\"]\naction = \"confirm\"\nprogram = \"/usr/bin/git\"\nunit = \"a.service\"\n\
             terminal = \"none\"\nsession = 7\nunder = \"/bin/sh\"\n\
             [[policy]]\naction = \"deny\"\n\
             [[limit]]\naccount = \"work\"\nhand-outs = 5\nwithin = \"1m\"\n\
             [confirm]\nwith = \"askpass\"\nprogram = \"/a\"\npatience = \"5s\"\nremember = \"0\"\n\
             [journal]\njournald = \"/run/systemd/journal/socket\"\n",
        )
        .unwrap();
        let [first, second] = rules.policy.as_slice() else { panic!("{rules:?}") };
        assert_eq!(first.accounts.as_deref(), Some(&["work".to_owned(), "home".to_owned()][..]));
        assert_eq!((first.line, first.action, first.program.as_deref()), (4, Action::Confirm, Some("/usr/bin/git")));
        assert_eq!((first.terminal.as_ref(), first.session), (Some(&Terminal::None), Some(7)));
        assert_eq!((second.action, &second.accounts), (Action::Deny, &None));
        assert_eq!((rules.limits[0].hand_outs, rules.limits[0].within), (5, Duration::from_mins(1)));
        assert_eq!((rules.confirm.patience, rules.confirm.remember), (Duration::from_secs(5), Duration::ZERO));
        assert!(rules.journald.is_some() && rules.confirm.with == Some(With::Askpass));
    }

    #[test]
    fn no_file_and_no_rules_allow() {
        assert!(read(Path::new("/nonexistent/accounts.toml")).unwrap().policy.is_empty());
        assert!(parsed("[account.work]\ncloud = \"a\"\nmethod = \"m\"\n[future]\nx = 1\n").unwrap().policy.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_line_key_and_what_was_meant() {
        for (text, says) in [
            ("[[policy]]\naction = \"denny\"\n", ["accounts.toml:2", "`action`", "did you mean `deny`?"]),
            ("[[policy]]\nacton = \"deny\"\n", ["accounts.toml:2", "acton", "did you mean `action`?"]),
            ("\n[[polcy]]\naction = \"deny\"\n", ["accounts.toml:2", "polcy", "did you mean `policy`?"]),
            ("[[policy]]\naction = \"deny\"\nprogram = \"git\"\n", ["accounts.toml:3", "`program`", "absolute"]),
            ("[[policy]]\naction = \"deny\"\nsha256 = \"12\"\n", ["accounts.toml:3", "`sha256`", "64"]),
            ("[[policy]]\naction = \"deny\"\nterminal = \"x\"\n", ["accounts.toml:3", "`terminal`", "`any`"]),
            ("[[policy]]\naction = \"deny\"\naccount = \"a/b\"\n", ["accounts.toml:3", "`account`", "a/b"]),
            ("[[policy]]\nunit = \"x\"\n", ["accounts.toml:1", "missing field", "action"]),
            ("[[limit]]\nhand-outs = 1\nwithin = \"soon\"\n", ["accounts.toml:3", "`within`", "10m"]),
            ("[confirm]\nwith = \"pinentri\"\n", ["accounts.toml:2", "`with`", "did you mean `pinentry`?"]),
            ("[confirm]\npatience = \"1h\"\n", ["accounts.toml:2", "`patience`", "300"]),
            ("[journal]\njournald = \"yes\"\n", ["accounts.toml:2", "`journald`", "absolute"]),
        ] {
            let fault = parsed(text).unwrap_err();
            let words = format!("{fault} {}", fault.hint.as_deref().unwrap_or_default());
            assert!(says.iter().all(|part| words.contains(part)), "{text}: {words}");
        }
    }
}
