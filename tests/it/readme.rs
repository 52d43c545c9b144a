//! README's table of clouds says what the cloud files say. `README=write` in the environment writes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cloud_agent_protocol::v1::{ActionInfo, AskInfo, CloudInfo, Do, ListClouds, MethodInfo, Request, Response};
use cloud_agent_tests::dialogue;
use cloud_agent_tests::sandbox::Sandbox;

use crate::support::sandbox;

const BEGIN: &str = "<!-- clouds -->\n";
const END: &str = "<!-- /clouds -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace").to_owned()
}

#[test]
fn the_table_of_clouds_is_what_the_files_say() {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("README.md has a place for the clouds");
    let (block, after) = rest.split_once(END).expect("and it ends");
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let wanted = table(&sandbox);
    if std::env::var("README").is_ok_and(|value| value == "write") {
        fs::write(&path, [before, BEGIN, &wanted, END, after].concat()).unwrap();
    } else {
        assert_eq!(block, wanted, "`README=write cargo test -p cloud-agent-tests --test it readme` writes it");
    }
}

fn table(sandbox: &Sandbox) -> String {
    let Response::Clouds(known) = sandbox.raw().answer(&Request::Clouds(ListClouds { name: None })) else {
        panic!("the agent lists its clouds")
    };
    let files = fs::read_dir(root().join("daemon/clouds")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert_eq!(known.clouds.len(), files.count(), "every file is a cloud");
    let mut table = String::from(
        "| cloud | `--method` | `--url` | `--set` | `--secret` | renewed by |\n|---|---|---|---|---|---|\n",
    );
    for cloud in &known.clouds {
        let text = fs::read_to_string(root().join(format!("daemon/clouds/{}.toml", cloud.name))).unwrap();
        for (index, method) in cloud.methods.iter().enumerate() {
            let (name, origins) = if index == 0 { (name(cloud), origins(cloud)) } else { <_>::default() };
            let (settings, secrets) = (asks(method, false), asks(method, true));
            let renewal = renewal(&text, method);
            let line = format!("| {name} | `{}` | {origins} | {settings} | {secrets} | {renewal} |\n", method.name);
            table += &line.replace("|  |", "| |").replace("|  |", "| |");
        }
    }
    table += "\n| cloud | what `cloud-token do` can do there |\n|---|---|\n";
    for cloud in &known.clouds {
        // The account is not set up, and named after the cloud.
        let list = Do { action: None, ..dialogue::action(&cloud.name, "", &[], &[]) };
        let Response::Actions(known) = sandbox.raw().answer(&Request::Do(list)) else { panic!("actions are listed") };
        let action = |action: &ActionInfo| format!("`{}`", action.name);
        let actions: Vec<_> = known.actions.iter().map(action).collect();
        if !actions.is_empty() {
            let line = format!("| `{}` | {} |\n", cloud.name, actions.join(", "));
            table += &line;
        }
    }
    table
}

fn name(cloud: &CloudInfo) -> String {
    format!("`{}` ([{}]({}))", cloud.name, cloud.title, cloud.docs)
}

fn origins(cloud: &CloudInfo) -> String {
    let origins = cloud.origins.iter().map(|origin| {
        let name = if origin.name.is_empty() { String::new() } else { format!("`{}`: ", origin.name) };
        name + &origin.default.as_ref().map_or("needed".to_owned(), |default| format!("`{default}`"))
    });
    origins.collect::<Vec<_>>().join("; ")
}

fn asks(method: &MethodInfo, secret: bool) -> String {
    let word = |ask: &AskInfo| match (ask.at_login, ask.optional) {
        (true, _) => format!("*`{}`*", ask.name),
        (false, true) => format!("[`{}`]", ask.name),
        (false, false) => format!("`{}`", ask.name),
    };
    method.asks.iter().filter(|ask| ask.secret == secret).map(word).collect::<Vec<_>>().join(", ")
}

/// What gets the next token when one ends, in a word. The agent does not tell, so the file itself is looked at.
fn renewal(file: &str, method: &MethodInfo) -> &'static str {
    let own = |section: &&str| {
        let mut names = section.lines().filter_map(|line| line.strip_prefix("name").map(str::trim_start));
        names.next().is_some_and(|rest| rest.trim_start_matches('=').trim() == format!("\"{}\"", method.name))
    };
    let section = file.split("\n[[method]]\n").skip(1).find(own).expect("the file has this method");
    let section = section.split("\n[[action]]\n").next().unwrap_or_default();
    let section = section.split("\n[[example]]\n").next().unwrap_or_default();
    let value = |key: &str| {
        let line = section
            .lines()
            .take_while(|line| !line.starts_with('['))
            .find(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')));
        line.into_iter().flat_map(|line| line.split('"').skip(1).step_by(2)).collect::<BTreeSet<_>>()
    };
    let secrets: BTreeSet<_> =
        method.asks.iter().filter(|ask| ask.secret && !ask.at_login).map(|ask| ask.name.as_str()).collect();
    if section.contains("\n[[method.refresh]]\n") {
        "a refresh"
    } else if !secrets.is_disjoint(&value("token")) {
        "you, with another one"
    } else if secrets.is_subset(&value("hold")) {
        "a login with what is held"
    } else {
        "a login; by itself with `--remember`"
    }
}
