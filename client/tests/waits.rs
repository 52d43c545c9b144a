//! `--wait`: where only a human can help, the caller is parked at the agent instead of turned away.
#![cfg(unix)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloud_agent_protocol::v1::{AwaitHuman, Done, Request, Response, Withheld};
use cloud_agent_protocol::{Fault, FaultKind};
use common::{Requests, Sandbox, credential, outcome, until};

fn needs_login() -> Fault {
    Fault::new(FaultKind::NeedsHuman, "`work` needs a login").hint("`cloud-token login work`")
}

/// An agent whose human has done it once somebody waits.
fn mended_by_waiting(sandbox: &Sandbox) -> Requests {
    let waited = AtomicUsize::new(0);
    sandbox.answer(move |request| match request {
        Request::AwaitHuman(_) => {
            waited.fetch_add(1, Ordering::SeqCst);
            Response::Done(Done { notes: Vec::new() })
        }
        Request::GetFor(_) if waited.load(Ordering::SeqCst) == 0 => {
            Response::Withheld(Withheld { account: "work".into(), fault: needs_login() })
        }
        _ if waited.load(Ordering::SeqCst) == 0 => Response::Fault(needs_login()),
        _ => Response::Credential(credential("t0k")),
    })
}

fn waits(requests: &Requests) -> Vec<AwaitHuman> {
    let waits = requests.all().into_iter().filter_map(|request| match request {
        Request::AwaitHuman(wait) => Some(wait),
        _ => None,
    });
    waits.collect()
}

#[test]
fn a_get_that_waits_asks_again_once_the_human_is_done_and_says_what_it_waits_for() {
    let sandbox = Sandbox::new();
    let requests = mended_by_waiting(&sandbox);
    let out = sandbox.run(&["work", "--wait", "10m", "--fresh", "--timeout", "5s"]);
    assert_eq!((out.code, out.stdout.as_str()), (Some(0), "t0k\n"));
    let said = "cloud-token: `work` needs a login; waiting for up to 10 min (`cloud-token login work`)\n";
    assert_eq!(out.stderr, said);
    let [Request::Get(first), Request::AwaitHuman(wait), Request::Get(again)] = &requests.all()[..] else {
        panic!("{:?}", requests.all())
    };
    assert_eq!((wait.account.as_str(), wait.deadline_ms), ("work", 5_000));
    assert!((599_000..=600_000).contains(&wait.wait_ms), "{}", wait.wait_ms);
    assert!(first.fresh && !again.fresh, "what was just mended is fresh");
}

#[test]
fn the_environment_says_it_for_whoever_takes_no_options_and_an_option_wins() {
    let sandbox = Sandbox::new();
    let requests = mended_by_waiting(&sandbox);
    let out = outcome(sandbox.client(&["helper", "kubectl", "work"]).env("CLOUD_AGENT_WAIT", "2m").output().unwrap());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!((119_000..=120_000).contains(&waits(&requests)[0].wait_ms), "{:?}", waits(&requests));

    let sandbox = Sandbox::new();
    let requests = mended_by_waiting(&sandbox);
    let exec = ["exec", "work", "--wait", "1m", "--", "true"];
    let out = outcome(sandbox.client(&exec).env("CLOUD_AGENT_WAIT", "2m").output().unwrap());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!((59_000..=60_000).contains(&waits(&requests)[0].wait_ms), "{:?}", waits(&requests));
}

#[test]
fn a_helper_waits_for_the_account_that_answers_for_its_address() {
    let sandbox = Sandbox::new();
    let requests = mended_by_waiting(&sandbox);
    let mut git = sandbox.client(&["helper", "git", "--wait", "1m", "get"]);
    let input = sandbox.path("input");
    std::fs::write(&input, "capability[]=authtype\nprotocol=https\nhost=git.example\n\n").unwrap();
    let out = outcome(git.stdin(std::fs::File::open(&input).unwrap()).output().unwrap());
    assert!(out.code == Some(0) && out.stdout.contains("t0k"), "{}{}", out.stdout, out.stderr);
    assert_eq!(waits(&requests)[0].account, "work");
}

#[test]
fn a_warm_get_does_not_even_look_at_how_long_it_would_wait() {
    let sandbox = Sandbox::new();
    sandbox.answer(|_| Response::Credential(credential("t0k")));
    let get = |soon: &str| outcome(sandbox.client(&["work"]).env("CLOUD_AGENT_WAIT", soon).output().unwrap());
    assert_eq!(get("soon").code, Some(0));

    let sandbox = Sandbox::new();
    sandbox.answer(|_| Response::Fault(needs_login()));
    let out = outcome(sandbox.client(&["work"]).env("CLOUD_AGENT_WAIT", "soon").output().unwrap());
    assert!(out.code == Some(2) && out.stderr.contains("CLOUD_AGENT_WAIT"), "{}", out.stderr);
}

#[test]
fn a_wait_in_vain_ends_with_the_fault_and_the_exit_code_of_one_that_did_not_wait() {
    for (said, code) in [
        (needs_login(), 4),
        (Fault::new(FaultKind::Refused, "no").hint("`cloud-token login work`"), 1),
        // Of an agent that is older than its client.
        (Fault::new(FaultKind::Unsupported, "the agent does not know request 0x0013"), 4),
    ] {
        let sandbox = Sandbox::new();
        let requests = sandbox.answer(move |request| match request {
            Request::AwaitHuman(_) => Response::Fault(said.clone()),
            _ => Response::Fault(needs_login()),
        });
        let out = sandbox.run(&["work", "--wait", "1m"]);
        assert_eq!((out.code, out.stdout.as_str()), (Some(code), ""), "{}", out.stderr);
        assert!(!out.stderr.contains("0x0013"), "{}", out.stderr);
        assert_eq!(requests.all().len(), 2);
    }
}

#[test]
fn what_no_human_mends_is_not_waited_for() {
    for kind in [FaultKind::Unreachable, FaultKind::UnknownAccount, FaultKind::Config] {
        let sandbox = Sandbox::new();
        let requests = sandbox.answer(move |_| Response::Fault(Fault::new(kind, "no")));
        assert_ne!(sandbox.run(&["work", "--wait", "1m"]).code, Some(0));
        assert_eq!(requests.all().len(), 1, "{kind:?}");
    }
}

#[test]
fn an_agent_that_dies_meanwhile_is_asked_once_more_for_the_rest_of_the_time() {
    let sandbox = Sandbox::new();
    let waited = AtomicUsize::new(0);
    let requests = Requests::default();
    let seen = requests.clone();
    sandbox.serve(move |conversation| {
        while let Some(request) = conversation.request() {
            let waits = matches!(request, Request::AwaitHuman(_));
            seen.add(request);
            let before = if waits { waited.fetch_add(1, Ordering::SeqCst) } else { waited.load(Ordering::SeqCst) };
            match (waits, before) {
                (true, 0) => {
                    // What is told is milliseconds: one has to have passed for the rest of the time to be less than the whole.
                    let since = Instant::now();
                    until("a millisecond has passed", || since.elapsed() > Duration::from_millis(1));
                    return;
                }
                (true, _) => conversation.respond(&Response::Done(Done { notes: Vec::new() })),
                (false, 0) => conversation.respond(&Response::Fault(needs_login())),
                (false, _) => conversation.respond(&Response::Credential(credential("t0k"))),
            }
        }
    });
    assert_eq!(sandbox.run(&["work", "--wait", "1m"]).code, Some(0));
    let [first, second] = &waits(&requests)[..] else { panic!("{:?}", requests.all()) };
    assert!(second.wait_ms < first.wait_ms, "{first:?} {second:?}");
}
