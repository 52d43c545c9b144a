//! Debuggers and crash dumps of the same user. Root may do all of that, so these run as somebody else, and prove on an
//! ordinary process first that the same user could.

use std::fs;
use std::path::Path;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::TOKEN as LOGIN;
use cloud_agent_tests::sandbox::{AGENT, Run, Sandbox};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::{ALICE, Scene, as_user, sandbox};

/// What Alice can pry out of a process of hers, by name.
fn pried(sandbox: &Sandbox, pid: u32) -> Vec<&'static str> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).is_ok_and(|bytes| !bytes.is_empty());
    let opened = |name: &str| fs::File::open(format!("/proc/{pid}/{name}")).is_ok();
    let looks: [(&'static str, &(dyn Fn() -> bool + Sync)); 6] = [
        ("mem", &|| opened("mem")),
        ("environ", &|| read("environ")),
        ("maps", &|| read("maps")),
        ("auxv", &|| read("auxv")),
        ("fd", &|| fs::read_dir(format!("/proc/{pid}/fd")).is_ok()),
        ("exe", &|| fs::read_link(format!("/proc/{pid}/exe")).is_ok()),
    ];
    let mut got: Vec<_> = looks.into_iter().filter(|(_, look)| as_user(ALICE, look)).map(|(name, _)| name).collect();
    let core = sandbox.path("home/core");
    let gcore = sandbox.command("gcore").arg("-o").arg(&core).arg(pid.to_string()).as_user(ALICE).finish();
    if gcore.status.success() || Path::new(&format!("{}.{pid}", core.display())).exists() {
        got.push("gcore");
    }
    let mut strace = sandbox.command("strace").args(["-p", &pid.to_string()]).as_user(ALICE).spawn();
    let attached =
        || fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| !text.contains("TracerPid:\t0"));
    let mut seen = false;
    assert!(until(PATIENCE, || {
        seen |= attached();
        seen || !strace.runs()
    }));
    if seen {
        got.push("strace");
    }
    got
}

/// Whether this test can tell anything here.
fn can_pry(what: &str) -> bool {
    skip::unless_root(what) && ["gcore", "strace", "setpriv"].iter().all(|tool| skip::unless_tool(what, tool).is_some())
}

/// T6
#[test]
fn another_program_of_the_user_can_read_neither_the_agent_nor_a_waiting_client() {
    if !can_pry("prying as the same user") {
        return;
    }
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    sandbox.give_to(ALICE);
    let ordinary = sandbox.command("sleep").arg("60").as_user(ALICE).spawn();
    let own = || fs::read_to_string(format!("/proc/{}/comm", ordinary.pid())).is_ok_and(|name| name == "sleep\n");
    assert!(until(PATIENCE, own));
    let open = pried(sandbox, ordinary.pid());
    assert_eq!(open, ["mem", "environ", "maps", "auxv", "fd", "exe", "gcore", "strace"], "an ordinary process is open");

    let agent = sandbox.agent_from(sandbox.command(AGENT).args(["--vault", "memory"]).as_user(ALICE));
    scene.cloud.break_always(LOGIN, Fault::Hang);
    let mut client = scene.login().as_user(ALICE).spawn();
    scene.cloud.wait_for(PATIENCE, |requests| !requests.is_empty());
    for (name, pid) in [("the agent", agent.pid()), ("the client", client.pid())] {
        assert_eq!(pried(sandbox, pid), [""; 0], "{name}");
    }
    assert!(agent.runs() && client.runs());
    drop(scene.cloud);
    assert_eq!(client.finish().code(), 5, "it was as alive as it looked");
}

/// A program of Alice's in a directory where she may write, with core dumps as large as they come.
fn dumping<'a>(sandbox: &'a Sandbox, program: &Path) -> Run<'a> {
    let script = format!("cd '{}' && ulimit -c unlimited && exec \"$@\"", sandbox.path("cores").display());
    sandbox.command("sh").args(["-c", &script, "sh"]).arg(program).as_user(ALICE)
}

/// T7
#[test]
fn a_crash_leaves_no_core_file_even_where_they_are_switched_on() {
    let what = "a core dump";
    if !skip::unless_root(what) || skip::unless_tool(what, "setpriv").is_none() {
        return;
    }
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("cores")).unwrap();
    sandbox.give_to(ALICE);
    let cores = || fs::read_dir(sandbox.path("cores")).unwrap().count();
    let dump = |name: &str, run: Run<'_>| {
        let running = run.spawn();
        let started =
            || fs::read_to_string(format!("/proc/{}/comm", running.pid())).is_ok_and(|comm| comm.trim() == name);
        assert!(until(PATIENCE, started));
        running
    };
    let sleep = skip::find("sleep").expect("every system has it");
    let ordinary = dump("sleep", dumping(&sandbox, &sleep).arg("60"));
    ordinary.signal(Signal::SEGV);
    let _ = ordinary.finish();
    if cores() == 0 {
        skip::skip(what, "this system writes none into the working directory");
        return;
    }
    fs::read_dir(sandbox.path("cores")).unwrap().flatten().for_each(|entry| fs::remove_file(entry.path()).unwrap());

    let mut agent = dump("cloud-agent", dumping(&sandbox, &sandbox.program(AGENT)).args(["--vault", "memory"]));
    assert!(until(PATIENCE, || sandbox.socket().exists()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
    // The first one that nothing in the program caused is taken for a stray by the runtime, which stands aside for the next.
    let ended = || {
        agent.signal(Signal::SEGV);
        !agent.runs()
    };
    assert!(until(PATIENCE, ended));
    assert_eq!(agent.finish().code(), -1, "the signal ended it");
    assert_eq!(cores(), 0);
}
