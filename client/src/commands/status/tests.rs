//! What people and programs are shown.

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::Status;

use super::*;

fn overview() -> Overview {
    let account = AccountStatus {
        name: "work".into(),
        cloud: "acme".into(),
        method: "password".into(),
        origin: "https://a.example".into(),
        state: "valid".into(),
        expires_at: Some(1600),
        expiry_source: "jwt".into(),
        renews_at: Some(1500),
        holds: vec!["refresh".into(), "password".into()],
        fingerprint: Some("ab12".into()),
        fault: None,
    };
    let fault = Fault::new(FaultKind::Unreachable, "no \x1b[2Jroute").because("timeout").hint("`cloud-token x`");
    let broken = AccountStatus {
        name: "longer-name".into(),
        state: "failing".into(),
        expires_at: None,
        renews_at: None,
        holds: vec![],
        fault: Some(fault.retry_at(1010)),
        ..account.clone()
    };
    let limited = Holding { place: "memory".into(), since: Some(400), until: Some(4600), by: "hold-for".into() };
    Overview {
        status: Status {
            version: "0.1.0".into(),
            pid: 7,
            started_at: 400,
            socket: "/s".into(),
            config: "/c".into(),
            vault: "memory".into(),
            vault_reason: "no keyring answered".into(),
            warnings: vec!["nothing is kept".into()],
            accounts: vec![account, broken],
        },
        hold_for: Some(7200),
        hold_idle: None,
        holdings: vec![limited, Holding::default()],
    }
}

fn terminal(width: usize, variables: &[(&str, &str)]) -> Paint {
    Paint::of_terminal(width, |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn plain(width: usize) -> Paint {
    terminal(width, &[("TERM", "xterm"), ("NO_COLOR", "1")])
}

const TABLE: &str = "\
ACCOUNT      CLOUD  STATE    EXPIRES IN  RENEWS IN  HELD IN  HELD FOR
work         acme   valid    10 min      8 min      memory   60 min
longer-name  acme   failing  -           -          -        -
  fault: no \u{fffd}[2Jroute: timeout
  next try: in 10 s
  mend: `cloud-token x`
";

#[test]
fn the_table_is_aligned_and_cannot_steer_the_terminal() {
    let head = "agent 0.1.0 (pid 7), started 10 min ago, vault memory (no keyring answered), hold-for 2 h 0 min\n\
                socket /s, configuration /c\nwarning: nothing is kept\n\n";
    assert_eq!(glance::words(&overview(), 1000, &Paint::PLAIN), format!("{head}{TABLE}"));
    assert!(glance::words(&overview(), 1000, &plain(80)).ends_with(TABLE), "it fits");
}

#[test]
fn nothing_is_wider_than_the_screen() {
    for width in [80, 60, 40, 30] {
        let text = glance::words(&overview(), 1000, &plain(width));
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{width}: {text}");
    }
}

#[test]
fn a_narrow_screen_gets_a_block_for_each_account() {
    let text = glance::words(&overview(), 1000, &plain(40));
    let blocks = "\
work
  cloud       acme
  state       valid
  expires in  10 min
  renews in   8 min
  held in     memory
  held for    60 min

longer-name
  cloud       acme
  state       failing
  expires in  -
  renews in   -
  held in     -
  held for    -
  fault: no \u{fffd}[2Jroute: timeout
  next try: in 10 s
  mend: `cloud-token x`
";
    assert!(text.ends_with(blocks), "{text}");
}

#[test]
fn a_column_that_nobody_needs_is_not_there() {
    let mut overview = overview();
    overview.holdings[0].until = None;
    let text = glance::words(&overview, 1000, &Paint::PLAIN);
    assert!(text.contains("HELD IN\nwork") && !text.contains("HELD FOR"), "{text}");
}

#[test]
fn colours_are_for_terminals_whose_user_does_not_mind() {
    let coloured = |variables: &[(&str, &str)]| glance::words(&overview(), 1000, &terminal(80, variables));
    let text = coloured(&[("TERM", "xterm-256color")]);
    for part in ["\x1b[1mACCOUNT", "\x1b[32mvalid  \x1b[0m", "\x1b[31mfailing\x1b[0m", "\x1b[31mfault:\x1b[0m no"] {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
    let bare: String =
        ["1", "31", "32", "33", "0"].iter().fold(text, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
    assert_eq!(bare, glance::words(&overview(), 1000, &plain(80)), "nothing else is changed by them");
    assert!(coloured(&[("TERM", "xterm"), ("NO_COLOR", "")]).contains('\x1b'), "empty says nothing");
    for quiet in [&[("TERM", "xterm"), ("NO_COLOR", "0")][..], &[("TERM", "dumb")], &[]] {
        assert!(!coloured(quiet).contains('\x1b'), "{quiet:?}");
    }
}

#[test]
fn no_accounts_say_how_to_get_one() {
    let mut none = overview();
    none.status.accounts.clear();
    let text = glance::words(&none, 1000, &Paint::PLAIN);
    assert!(text.contains("`cloud-token login` sets one up"), "{text}");
}

#[test]
fn an_account_that_only_lacks_its_login_says_what_to_type() {
    let mut overview = overview();
    overview.status.accounts[1].state = "needs-login".into();
    overview.status.accounts[1].fault = None;
    let text = glance::words(&overview, 1000, &Paint::PLAIN);
    assert!(text.ends_with("\n  mend: `cloud-token login longer-name`\n"), "{text}");
}

#[test]
fn every_fault_is_told_with_something_to_type_that_is_not_what_is_being_read() {
    for kind in [FaultKind::Unreachable, FaultKind::Refused, FaultKind::Config, FaultKind::MalformedReply] {
        let mut overview = overview();
        overview.status.accounts[1].fault = Some(Fault::new(kind, "no"));
        let text = glance::words(&overview, 1000, &Paint::PLAIN);
        let (_, mend) = text.split_once("\n  mend: ").unwrap_or_else(|| panic!("{kind:?}: {text}"));
        let leads_on = mend.contains("`cloud-token ") && !mend.contains("status") && !mend.contains("ACCOUNT");
        assert!(leads_on, "{kind:?}: {mend}");
    }
}

#[test]
fn a_locked_agent_is_told_and_nothing_below_it() {
    let mut locked = overview();
    locked.status.accounts.clear();
    locked.status.warnings = vec!["the agent is locked (`cloud-token unlock`)".into()];
    assert!(glance::words(&locked, 1000, &Paint::PLAIN).ends_with("(`cloud-token unlock`)\n"));
}

#[test]
fn json_carries_everything_that_the_protocol_does() {
    let text = json::write(&overview());
    for part in [
        r#"{"schema":1,"version":"0.1.0","pid":7,"started_at":400"#,
        r#""warnings":["nothing is kept"]"#,
        r#""hold_for":7200,"hold_idle":null,"#,
        r#""holds":["refresh","password"],"held_in":"memory","held_since":400,"held_until":4600,"held_by":"hold-for","#,
        r#""fingerprint":"ab12","fault":null}"#,
        r#""held_in":null,"held_since":null,"held_until":null,"held_by":null"#,
        r#""causes":["timeout"],"hint":"`cloud-token x`","retry_at":1010}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
