//! One message of each kind, with every field filled; the values never change, because golden files hold their bytes.

use cloud_agent_protocol::v1::{
    AccountStatus, Acted, ActionInfo, Actions, Answer, AskInfo, AwaitHuman, Check, CloudInfo, Clouds, Do, Done,
    Examine, Examined, Finding, Forward, Forwarded, Forwarding, Get, GetFor, Holding, ListClouds, Lock, Log, LogEntry,
    LogProcess, Login, Logout, MethodInfo, Metrics, NamedSecret, OriginInfo, Overview, Place, Question, ReadLog,
    Reject, RejectFor, Request, Response, Restart, Served, Setting, Show, Status, Unlock, Vault, VaultStatus, Verified,
    Withheld,
};
use cloud_agent_protocol::{Credential, ExpirySource, Fault, FaultKind, Header};

fn setting(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: value.into() }
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.into(), value: value.into() }
}

#[allow(clippy::too_many_lines, reason = "a list")]
pub(crate) fn requests() -> Vec<(&'static str, Request)> {
    let get = Get { account: "ecHome".into(), min_valid: None, fresh: false, environment: false, deadline_ms: 30_000 };
    let login = Login {
        account: "ecHome".into(),
        cloud: Some("echome".into()),
        method: Some("access-key".into()),
        origins: vec![setting("", "https://echome.example"), setting("iam", "https://iam.example")],
        settings: vec![setting("access-id", "AKIA0123")],
        secrets: vec![NamedSecret { name: "secret".into(), value: "s3cr3t".into() }],
        remember: true,
        ephemeral: false,
        interactive: true,
        deadline_ms: 30_000,
    };
    let act = Do {
        account: "ecHome".into(),
        action: Some("2fa-disable".into()),
        cloud: Some("echome".into()),
        origins: vec![setting("", "https://echome.example")],
        settings: vec![setting("id", "7")],
        secrets: vec![NamedSecret { name: "code".into(), value: "012345".into() }],
        interactive: true,
        deadline_ms: 30_000,
    };
    let get_for = GetFor {
        url: "https://git.example:8443/team".into(),
        account: None,
        consumer: "kubectl".into(),
        min_valid: None,
        repeat_rejects: true,
        environment: false,
        deadline_ms: 10_000,
    };
    vec![
        ("request-get", Request::Get(get.clone())),
        ("request-get-fresh", Request::Get(Get { min_valid: Some(900), fresh: true, environment: true, ..get })),
        ("request-login", Request::Login(login)),
        ("request-answer", Request::Answer(Answer { value: Some("012345".into()) })),
        ("request-answer-none", Request::Answer(Answer { value: None })),
        (
            "request-logout",
            Request::Logout(Logout { accounts: vec!["a".into(), "b".into()], all: false, forget: true }),
        ),
        ("request-status", Request::Status),
        ("request-clouds", Request::Clouds(ListClouds { name: Some("echome".into()) })),
        ("request-reject", Request::Reject(Reject { account: "ecHome".into(), token: Some("dead".into()) })),
        ("request-stop", Request::Stop),
        ("request-check", Request::Check(Check { account: "ecHome".into(), deadline_ms: 30_000 })),
        ("request-do", Request::Do(act.clone())),
        (
            "request-vault",
            Request::Vault(Vault { move_to: None, passphrase: None, interactive: false, deadline_ms: 30_000 }),
        ),
        (
            "request-vault-move",
            Request::Vault(Vault {
                move_to: Some("passphrase".into()),
                passphrase: Some("open sesame".into()),
                interactive: true,
                deadline_ms: 30_000,
            }),
        ),
        (
            "request-unlock",
            Request::Unlock(Unlock { passphrase: Some("open sesame".into()), interactive: true, deadline_ms: 30_000 }),
        ),
        ("request-do-list", Request::Do(Do { action: None, settings: vec![], secrets: vec![], ..act })),
        ("request-get-for", Request::GetFor(get_for.clone())),
        (
            "request-get-for-account",
            Request::GetFor(GetFor {
                url: String::new(),
                account: Some("ecHome".into()),
                consumer: "aws".into(),
                min_valid: Some(900),
                repeat_rejects: false,
                environment: true,
                ..get_for
            }),
        ),
        (
            "request-reject-for",
            Request::RejectFor(RejectFor {
                url: "https://git.example:8443/team".into(),
                account: Some("ecHome".into()),
                token: "Bearer dead".into(),
            }),
        ),
        ("request-list-served", Request::ListServed),
        ("request-restart", Request::Restart(Restart { deadline_ms: 30_000 })),
        (
            "request-await-human",
            Request::AwaitHuman(AwaitHuman { account: "ecHome".into(), wait_ms: 600_000, deadline_ms: 30_000 }),
        ),
        (
            "request-lock",
            Request::Lock(Lock { passphrase: Some("open sesame".into()), interactive: false, deadline_ms: 30_000 }),
        ),
        ("request-drop", Request::Drop),
        ("request-read-log", Request::ReadLog(ReadLog { after: 17, token: Some("eyJhbGciOi.J9.x".into()) })),
        ("request-verify-log", Request::VerifyLog),
        (
            "request-forward",
            Request::Forward(Forward {
                accounts: vec!["ecHome".into(), "work".into()],
                lifetime: Some(3600),
                confirm: true,
                name: "/run/user/1000/forward.sock".into(),
            }),
        ),
        ("request-forwarded", Request::Forwarded(Forwarded { id: "00112233445566778899aabbccddeeff".into() })),
        ("request-overview", Request::Overview),
        ("request-metrics", Request::Metrics),
        ("request-examine", Request::Examine(Examine { prove: true, deadline_ms: 30_000 })),
    ]
}

fn vault_status() -> VaultStatus {
    VaultStatus {
        kind: "passphrase".into(),
        reason: "chosen".into(),
        place: "/home/u/.local/state/cloud-agent/vault/passphrase".into(),
        open: false,
        accounts: vec!["echome".into()],
        warnings: vec!["a warning".into()],
    }
}

fn log() -> Log {
    let shell = LogProcess { pid: 4711, started: 98_765, name: "sh".into(), program: Some("/usr/bin/dash".into()) };
    let client = LogProcess { pid: 4712, started: 98_766, name: "cloud-token".into(), program: None };
    let entry = LogEntry {
        n: 18,
        at: 1_700_000_000,
        account: "ecHome".into(),
        fingerprint: Some("ba7816bf8f01".into()),
        outcome: "given".into(),
        times: 2,
        origin: Some("/run/user/1000/forward.sock".into()),
        caller: vec![client, shell],
        unit: Some("backup.service".into()),
        terminal: Some("/dev/pts/1".into()),
        session: 4700,
        lost: 1,
    };
    Log { entries: vec![entry], more: true }
}

fn of_the_journal() -> Vec<(&'static str, Response)> {
    vec![
        ("response-log", Response::Log(log())),
        (
            "response-forwarding",
            Response::Forwarding(Forwarding {
                id: "00112233445566778899aabbccddeeff".into(),
                accounts: vec!["ecHome".into(), "Work".into()],
                until: Some(1_700_003_600),
            }),
        ),
        (
            "response-verified",
            Response::Verified(Verified {
                sound: 17,
                faults: vec!["entry 18 was changed (`handouts`, line 18)".into()],
            }),
        ),
    ]
}

fn fault() -> Fault {
    Fault::new(FaultKind::Unreachable, "`ecHome` did not answer")
        .because("connection refused")
        .hint("try again later")
        .retry_at(1_700_000_060)
}

fn status() -> Status {
    let account = AccountStatus {
        name: "ecHome".into(),
        cloud: "echome".into(),
        method: "access-key".into(),
        origin: "https://echome.example".into(),
        state: "valid".into(),
        expires_at: Some(1_700_000_000),
        expiry_source: "jwt".into(),
        renews_at: Some(1_699_999_700),
        holds: vec!["refresh".into()],
        fingerprint: Some("ba7816bf8f01".into()),
        fault: Some(fault()),
    };
    Status {
        version: "0.1.0".into(),
        pid: 4711,
        started_at: 1_699_990_000,
        socket: "/run/user/1000/cloud-agent/agent.sock".into(),
        config: "/home/u/.config/cloud-agent".into(),
        vault: "memory".into(),
        vault_reason: "chosen".into(),
        warnings: vec!["a warning".into()],
        accounts: vec![account],
    }
}

pub(crate) fn responses() -> Vec<(&'static str, Response)> {
    let credential = Credential {
        account: "ecHome".into(),
        cloud: "echome".into(),
        token: Some("eyJhbGciOi.J9.x".into()),
        headers: vec![header("Authorization", "Bearer eyJhbGciOi.J9.x"), header("X-Key", "k")],
        environment: vec![header("ECHOME_TOKEN", "eyJhbGciOi.J9.x")],
        expires_at: Some(1_700_000_000),
        expiry_source: ExpirySource::Jwt,
    };
    let ask =
        AskInfo { name: "secret".into(), prompt: "Secret".into(), secret: true, optional: false, at_login: false };
    let action = ActionInfo {
        name: "2fa-disable".into(),
        title: "switch the second factor off".into(),
        needs_login: true,
        asks: vec![AskInfo {
            name: "code".into(),
            prompt: "Code".into(),
            secret: true,
            optional: false,
            at_login: true,
        }],
    };
    let cloud = CloudInfo {
        name: "echome".into(),
        title: "ecHome".into(),
        docs: "https://docs.example".into(),
        built_in: true,
        origins: vec![OriginInfo { name: String::new(), default: None, prompt: "Address".into() }],
        methods: vec![MethodInfo { name: "access-key".into(), title: "access key".into(), asks: vec![ask] }],
    };
    let question = Question {
        name: "sms-code".into(),
        prompt: "Code from the SMS".into(),
        detail: Some("sent to +46…".into()),
        secret: false,
        optional: false,
        choices: vec!["a".into()],
    };
    let mut all = vec![
        ("response-credential", Response::Credential(credential)),
        ("response-done", Response::Done(Done { notes: vec!["logged in".into()] })),
        ("response-status", Response::Status(status())),
        (
            "response-overview",
            Response::Overview(Overview {
                status: status(),
                hold_for: Some(43_200),
                hold_idle: None,
                holdings: vec![Holding {
                    place: "keyring".into(),
                    since: Some(1_699_990_000),
                    until: Some(1_700_033_200),
                    by: "hold-for".into(),
                }],
            }),
        ),
        ("response-clouds", Response::Clouds(Clouds { clouds: vec![cloud] })),
        ("response-question", Response::Question(question)),
        ("response-fault", Response::Fault(fault())),
        (
            "response-show",
            Response::Show(Show {
                title: "Scan this".into(), text: "otpauth://totp/a:b?secret=GEZDGNBV\n▀▄█".into()
            }),
        ),
        ("response-actions", Response::Actions(Actions { cloud: "echome".into(), actions: vec![action] })),
        ("response-vault", Response::Vault(vault_status())),
        (
            "response-acted",
            Response::Acted(Acted {
                notes: vec!["done".into()],
                rows: vec![vec!["a".into(), "b".into()], vec!["c".into(), String::new()]],
            }),
        ),
        ("response-withheld", withheld()),
        ("response-examined", Response::Examined(examined())),
        ("response-metrics", Response::Metrics(Metrics { text: "# TYPE cloud_agent_locked gauge\n# EOF\n".into() })),
        (
            "response-served",
            Response::Served(Served {
                places: vec![Place { account: "ecHome".into(), url: "https://git.example:8443/team".into() }],
            }),
        ),
    ];
    all.extend(of_the_journal());
    all
}

fn examined() -> Examined {
    let locked = Finding {
        id: "vault.locked".into(),
        subject: "keyring".into(),
        level: "error".into(),
        what: "the vault is locked".into(),
        evidence: vec!["the keyring does not answer".into()],
        mend: Some("`cloud-token unlock`".into()),
        kind: Some(FaultKind::NeedsHuman),
    };
    let trusted = Finding {
        id: "tls.roots".into(),
        subject: String::new(),
        level: "ok".into(),
        what: "145 certificate authorities are trusted".into(),
        evidence: vec![],
        mend: None,
        kind: None,
    };
    Examined {
        config: "/home/u/.config/cloud-agent".into(),
        state: "/home/u/.local/state/cloud-agent".into(),
        environment: vec![setting("HTTPS_PROXY", "http://proxy.example:3128")],
        accounts: vec!["ecHome".into()],
        findings: vec![locked, trusted],
    }
}

fn withheld() -> Response {
    let fault = Fault::new(FaultKind::Unreachable, "connections are refused").retry_at(1_795_319_040);
    Response::Withheld(Withheld { account: "ecHome".into(), fault })
}
