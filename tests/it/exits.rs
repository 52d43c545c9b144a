//! Exit codes, command by command: each is provoked, and docs/exit-codes.md has the table. `EXITS=write` writes it.

use std::fs;
use std::path::Path;

use cloud_agent_tests::fake::echome::{EcHome, REFRESH, TOKEN as LOGIN};
use cloud_agent_tests::fake::{Fault, Reply};
use cloud_agent_tests::sandbox::{Agent, Sandbox, TOKEN};
use serde_json::json;

use crate::support::{KEY, login, sandbox};

const BEGIN: &str = "<!-- exits -->\n";
const END: &str = "<!-- /exits -->\n";

/// How the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    /// An agent; `work` is logged in, `out` is logged out.
    Well,
    /// The same, and the cloud answers that it is overloaded.
    Away,
    /// The same, and the cloud answers what it should not.
    Odd,
    /// The same, and the API takes the tokens no more.
    Dead,
    /// The same, locked.
    Locked,
    /// There is no agent, and none may be started.
    Nobody,
}

use World::{Away, Dead, Locked, Nobody, Odd, Well};

/// What is typed after `cloud-token`, with which code it ends, and why.
type Case = (World, &'static str, i32, &'static str);

/// By command, in the order of the table.
const CASES: &[(&str, &[Case])] = &[
    (
        "ACCOUNT",
        &[
            (Well, "work", 0, "a token"),
            (Odd, "work --fresh", 1, "an odd reply"),
            (Well, "work -o yaml", 2, "no such format"),
            (Nobody, "work", 3, "no agent"),
            (Well, "out --no-input", 4, "logged out"),
            (Locked, "work --no-input", 4, "locked"),
            (Away, "work --fresh", 5, "the cloud is away"),
            (Well, "nobody", 6, "not set up"),
        ],
    ),
    (
        "login",
        &[
            (Well, "login work --no-input --secret secret=env:SECRET", 0, "logged in"),
            (Well, "login work --no-input --secret secret=env:WRONG", 1, "refused"),
            (Well, "login work --no-input --secret secret=oops", 2, "no such source"),
            (Nobody, "login work --no-input --secret secret=env:SECRET", 3, "no agent"),
            (Well, "login new --cloud echome --no-input", 4, "something is missing"),
            (Locked, "login work --no-input --secret secret=env:SECRET", 4, "locked"),
            (Away, "login work --no-input --secret secret=env:SECRET", 5, "the cloud is away"),
            (Well, "login new --cloud nimbus --no-input", 6, "no such cloud"),
        ],
    ),
    (
        "logout",
        &[
            (Well, "logout work", 0, "logged out"),
            (Well, "logout", 2, "nobody is named"),
            (Nobody, "logout work", 3, "no agent"),
            (Locked, "logout work", 4, "locked"),
            (Well, "logout nobody", 6, "not set up"),
        ],
    ),
    (
        "status",
        &[
            (Well, "status", 0, "told"),
            (Locked, "status", 0, "told"),
            (Well, "status --bogus", 2, "no such option"),
            (Nobody, "status", 3, "no agent"),
        ],
    ),
    (
        "doctor",
        &[
            (Odd, "doctor --prove", 1, "an odd reply"),
            (Well, "doctor --bogus", 2, "no such option"),
            (Nobody, "doctor", 3, "no agent"),
            (Well, "doctor", 4, "an account is logged out"),
            (Away, "doctor --prove", 5, "the cloud is away"),
        ],
    ),
    (
        "clouds",
        &[
            (Well, "clouds echome", 0, "told"),
            (Well, "clouds a b", 2, "one at a time"),
            (Nobody, "clouds", 3, "no agent"),
            (Locked, "clouds", 4, "locked"),
            (Well, "clouds nimbus", 6, "no such cloud"),
        ],
    ),
    (
        "check",
        &[
            (Well, "check work", 0, "alive"),
            (Dead, "check work", 1, "not alive"),
            (Well, "check", 2, "nobody is named"),
            (Nobody, "check work", 3, "no agent"),
            (Well, "check out", 4, "logged out"),
            (Locked, "check work", 4, "locked"),
            (Away, "check work", 5, "the cloud is away"),
            (Well, "check nobody", 6, "not set up"),
        ],
    ),
    (
        "reject",
        &[
            (Well, "reject work", 0, "forgotten"),
            (Well, "reject", 2, "nobody is named"),
            (Nobody, "reject work", 3, "no agent"),
            (Locked, "reject work", 4, "locked"),
            (Well, "reject nobody", 6, "not set up"),
        ],
    ),
    (
        "do",
        &[
            (Well, "do cleura", 0, "listed"),
            (Well, "do cleura dance", 2, "no such action"),
            (Nobody, "do cleura", 3, "no agent"),
            (Well, "do nobody", 4, "which cloud is not said"),
            (Locked, "do work", 4, "locked"),
            (Well, "do cleura regions", 6, "not set up"),
        ],
    ),
    (
        "exec",
        &[
            (Well, "exec work -- true", 0, "the program's own"),
            (Odd, "exec work -- true", 1, "an odd reply"),
            (Well, "exec work", 2, "no program is named"),
            (Nobody, "exec work -- true", 3, "no agent"),
            (Well, "exec out --no-input -- true", 4, "logged out"),
            (Locked, "exec work --no-input -- true", 4, "locked"),
            (Away, "exec work -- true", 5, "the cloud is away"),
            (Well, "exec nobody -- true", 6, "not set up"),
        ],
    ),
    (
        "curl",
        &[
            (Well, "curl work -- -sS URL/api/v1/vm/vm/describe/all", 0, "curl's own"),
            (Well, "curl work", 2, "curl has nothing to do"),
            (Nobody, "curl work -- -sS URL/", 3, "no agent"),
            (Well, "curl out --no-input -- -sS URL/", 4, "logged out"),
            (Locked, "curl work --no-input -- -sS URL/", 4, "locked"),
            (Well, "curl nobody -- -sS URL/", 6, "not set up"),
        ],
    ),
    (
        "lock",
        &[
            (Well, "lock --passphrase env:WRONG", 0, "locked"),
            (Well, "lock --passphrase oops", 2, "no such source"),
            (Nobody, "lock --passphrase env:WRONG", 3, "no agent"),
            (Dead, "lock --no-input", 4, "no passphrase yet"),
        ],
    ),
    (
        "unlock",
        &[
            (Locked, "unlock --passphrase env:WRONG", 1, "a wrong passphrase"),
            (Locked, "unlock --passphrase oops", 2, "no such source"),
            (Nobody, "unlock --passphrase env:WRONG", 3, "no agent"),
            (Locked, "unlock --no-input", 4, "nobody is asked"),
            (Locked, "unlock --passphrase env:SECRET", 0, "open"),
        ],
    ),
    ("drop", &[(Dead, "drop", 0, "forgotten"), (Dead, "drop it", 2, "all of them"), (Nobody, "drop", 3, "no agent")]),
    (
        "vault",
        &[
            (Dead, "vault", 0, "told"),
            (Dead, "vault move cellar", 2, "no such kind"),
            (Nobody, "vault", 3, "no agent"),
            (Dead, "vault move passphrase --no-input", 4, "no passphrase is said"),
        ],
    ),
    (
        "log",
        &[
            (Dead, "log", 0, "told"),
            (Dead, "log --who", 1, "nobody was given it"),
            (Dead, "log --bogus", 2, "no such option"),
            (Nobody, "log", 3, "no agent"),
        ],
    ),
    (
        "forward",
        &[
            (Dead, "forward --only work --max-ttl 1s HOME/private/s", 0, "its time is over"),
            (Dead, "forward HOME/private/s", 2, "nobody is named"),
            (Nobody, "forward --only work HOME/private/s", 3, "no agent"),
            (Dead, "forward --only nobody HOME/private/s", 6, "not set up"),
        ],
    ),
    ("setup", &[(Well, "setup shell --print", 0, "shown"), (Well, "setup tram", 2, "no such consumer")]),
    ("completions", &[(Well, "completions bash", 0, "printed"), (Well, "completions ash", 2, "no such shell")]),
    ("man", &[(Well, "man login", 0, "printed"), (Well, "man dance", 2, "no such page")]),
    (
        "restart",
        &[
            (Dead, "restart", 0, "restarted"),
            (Dead, "restart it", 2, "there is one"),
            (Nobody, "restart", 3, "no agent"),
        ],
    ),
    ("stop", &[(Dead, "stop", 0, "ended"), (Dead, "stop it", 2, "there is one")]),
];

struct Stage {
    world: World,
    cloud: EcHome,
    sandbox: Sandbox,
    _agent: Option<Agent>,
}

impl Stage {
    fn new(world: World) -> Self {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        sandbox.set("SECRET", &secret);
        sandbox.set("WRONG", "wr0ng-0123456789");
        sandbox.set("CLOUD_AGENT_NO_AUTOSTART", "1");
        let private = sandbox.path("home/private");
        fs::create_dir(&private).unwrap();
        fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let agent = (world != Nobody).then(|| sandbox.agent());
        if agent.is_some() {
            for account in ["work", "out"] {
                login(&sandbox, account, &cloud.url(), &secret).finish().ok();
            }
            sandbox.token(["logout", "out"]).ok();
            sandbox.token(["work"]).ok();
        }
        if [Away, Odd].contains(&world) {
            sandbox.token(["drop"]).ok();
        }
        match world {
            Well | Nobody => {}
            Away => cloud.break_always("*", Fault::status(503, &json!({"detail": "overloaded"}))),
            Odd => [REFRESH, LOGIN].iter().for_each(|path| cloud.break_always(path, Fault::Answer(Reply::empty(404)))),
            Dead => cloud.revoke_access_tokens(),
            Locked => drop(sandbox.token(["lock", "--passphrase", "env:SECRET"]).ok().to_owned()),
        }
        Self { world, cloud, sandbox, _agent: agent }
    }

    /// The code that `line` ends with, and what it says on stderr.
    fn code(&self, line: &str) -> (i32, String) {
        let home = self.sandbox.path("home").display().to_string();
        let line = line.replace("URL", &self.cloud.url()).replace("HOME", &home);
        let ended = self.sandbox.command(TOKEN).args(line.split(' ')).stdin("t0ken-of-nobody\n").finish();
        (ended.code(), ended.stderr)
    }
}

#[test]
fn every_command_ends_with_the_exit_code_that_the_page_says() {
    let mut wrong = Vec::new();
    for world in [Well, Away, Odd, Dead, Locked, Nobody] {
        let stage = Stage::new(world);
        let lines = CASES.iter().flat_map(|(_, cases)| cases.iter()).filter(|(at, ..)| *at == world);
        // What ends the login of the one account comes last.
        let (last, first): (Vec<_>, Vec<_>) = lines.partition(|(_, line, ..)| ENDING.contains(line));
        for &(_, line, code, why) in first.into_iter().chain(last) {
            let (ended, said) = stage.code(line);
            if ended != code {
                wrong.push(format!("{:?}: `{line}` ({why}) ends with {ended}, not {code}: {said}", stage.world));
            }
            // What a check or a doctor finds is no error: it is on stdout.
            let finds = ["doctor", "doctor --prove"].contains(&line);
            let tells = said.contains("error: ") && (said.contains("\nhint: ") || said.contains("'--help'"));
            if code != 0 && !tells && (world, line) != (Dead, "check work") && !finds {
                wrong.push(format!("{:?}: `{line}` does not say what to type: {said}", stage.world));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exit-codes.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("there is a place for the table");
    let (table_there, after) = rest.split_once(END).expect("and it ends");
    if std::env::var("EXITS").is_ok_and(|value| value == "write") {
        fs::write(&path, [before, BEGIN, &table(), END, after].concat()).unwrap();
    } else {
        assert_eq!(table_there, table(), "`EXITS=write cargo test -p cloud-agent-tests --test it exits` writes it");
    }
}

/// After these, `work` or the agent is not as it was.
const ENDING: &[&str] = &[
    "login work --no-input --secret secret=env:WRONG",
    "logout work",
    "lock --passphrase env:WRONG",
    "unlock --passphrase env:SECRET",
    "restart",
    "stop",
];

fn table() -> String {
    let mut table = String::from("| command | 0 | 1 | 2 | 3 | 4 | 5 | 6 |\n|---|---|---|---|---|---|---|---|\n");
    for (command, cases) in CASES {
        let cell = |code: i32| {
            let mut all: Vec<&str> = Vec::new();
            for (.., why) in cases.iter().filter(|(.., is, _)| *is == code) {
                if !all.contains(why) {
                    all.push(why);
                }
            }
            if all.is_empty() { "|".to_owned() } else { format!("{} |", all.join(", ")) }
        };
        let cells: Vec<String> = (0..=6).map(cell).collect();
        table.extend(["| `", command, "` | ", &cells.join(" "), "\n"]);
    }
    table
}

#[test]
fn help_names_every_exit_code() {
    let sandbox = sandbox();
    let help = sandbox.token(["--help"]);
    for (code, words) in [
        (0, "given"),
        (1, "refused, or another fault"),
        (2, "wrong usage"),
        (3, "no agent, or none that can be trusted"),
        (4, "needs you: a login, a code, an unlock"),
        (5, "the cloud cannot be reached; try later"),
        (6, "no such account or cloud"),
    ] {
        assert!(help.ok().contains(&format!("  {code}  {words}")), "{code}");
    }
    let codes: Vec<i32> = CASES.iter().flat_map(|(_, cases)| cases.iter().map(|(_, _, code, _)| *code)).collect();
    assert!(
        (0..=6).all(|code| codes.iter().filter(|is| **is == code).count() >= 3),
        "each is provoked by several commands"
    );
}
