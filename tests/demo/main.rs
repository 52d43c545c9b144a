//! `cargo demo`: the main job on loopback, then five clouds, as a user would type and see it. No account is needed, nothing is
//! left behind.
//!
//! It is a test like the others, too: whatever does not come out as shown ends it with an error.

#![cfg(unix)]

mod clouds;
mod stage;

use std::time::Duration;

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;

use stage::Stage;

const API: &str = "/api/v1/vm/vm/describe/all";

fn main() {
    show_main_job();
    clouds::show();
}

fn show_main_job() {
    let demo = Stage::new(true);
    let cloud = EcHome::start();
    let secret = cloud.add_key("AKIADEMO");
    demo.sandbox.set("ECHOME_SECRET", &secret);
    let url = cloud.url();

    demo.say("A cloud runs on loopback. The agent is started, and logs in with a secret that is on no command line.");
    demo.show("cloud-agent &");
    let agent = demo.sandbox.agent();
    demo.works(&[
        "login",
        "ecHome",
        "--url",
        &url,
        "--set",
        "access-id=AKIADEMO",
        "--secret",
        "secret=env:ECHOME_SECRET",
    ]);

    demo.say("From now on a script has a fresh token in a millisecond.");
    let first = demo.run(&["ecHome"]).ok().trim().to_owned();
    assert!(cloud.accepts(&first), "the cloud accepts the token");
    demo.works(&["ecHome", "-o", "headers"]);
    demo.works(&["ecHome", "-o", "json"]);
    demo.works(&["ecHome", "-o", "env"]);
    if let Some(curl) = skip::find("curl") {
        demo.say("Headers go to curl through a pipe, so that no token is ever in an argument list.");
        demo.show(&format!("cloud-token ecHome -o headers | curl -s -H @- {url}{API}"));
        let headers = demo.sandbox.token(["ecHome", "-o", "headers"]);
        let reply = demo.sandbox.command(curl).args(["-s", "-H", "@-"]).arg(format!("{url}{API}"));
        demo.print(&reply.stdin(headers.ok()).finish());
        println!();
    }

    demo.say("The API answered 401? Say so; the next call renews, with a refresh token that only the agent ever sees.");
    demo.show("cloud-token ecHome | cloud-token reject ecHome");
    demo.print(&demo.sandbox.command(TOKEN).args(["reject", "ecHome"]).stdin(format!("{first}\n")).finish());
    let second = demo.run(&["ecHome"]).ok().trim().to_owned();
    assert!(second != first && cloud.accepts(&second) && cloud.refreshes() == 1, "it was renewed by one refresh");

    demo.say("How are things?");
    demo.works(&["status"]);

    demo.say("The cloud goes down. Whoever asks gets what is still good.");
    drop(cloud);
    assert_eq!(demo.run(&["ecHome"]).ok().trim(), second);

    demo.say("And good-bye.");
    demo.works(&["logout", "ecHome"]);
    let refused = demo.run(&["ecHome"]);
    assert_eq!(refused.code(), 4, "the human is needed");
    demo.remark("(exit code 4: the human is needed)");
    demo.works(&["stop"]);
    let process = format!("pid {}", agent.pid());
    assert!(agent.wait(Duration::from_secs(10)).success(), "the agent ends in good order");
    assert!(!demo.sandbox.socket().exists(), "and takes its socket with it");
    // Without curl, there is less of it.
    if skip::find("curl").is_some() {
        demo.is_pictured(&[(url, "https://echome.example.org"), (process, "pid 4711")]);
    }
}
