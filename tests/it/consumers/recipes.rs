//! Every recipe of docs/consumers.md, as it is written there, while another process looks at all arguments.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cloud_agent_tests::fake::{Reply, Request, Server};
use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::Outcome;
use cloud_agent_tests::{lab, skip};
use serde_json::{Value, json};

use super::{Stage, git, is_authorised, kubectl, own, processes, registries, site};
use crate::support::sandbox;

/// The part of the page that is marked so, with the addresses of its examples replaced.
fn recipe(name: &str, places: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/consumers.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) =
        text.split_once(&format!("<!-- test: {name} -->\n```")).unwrap_or_else(|| panic!("no recipe `{name}`"));
    let block = rest.split_once('\n').unwrap().1.split_once("\n```\n").expect("a block ends").0;
    places.iter().fold(format!("{block}\n"), |block, (from, to)| block.replace(from, to))
}

/// Looks at the arguments of every process, again and again.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: thread::JoinHandle<Vec<String>>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let seen = thread::spawn(move || {
            let mut seen: Vec<String> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                for arguments in process::all().into_iter().map(process::arguments) {
                    let line = arguments.join(" ");
                    if !line.is_empty() && !seen.contains(&line) {
                        seen.push(line);
                    }
                }
            }
            seen
        });
        Self { stop, seen }
    }

    /// That programs were seen, and no secret.
    #[track_caller]
    fn saw_no(self, secrets: impl IntoIterator<Item = String>) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.seen.join().unwrap();
        assert!(seen.iter().any(|line| line.contains("cloud-token")), "nothing was seen: {seen:#?}");
        for secret in secrets {
            let hit = seen.iter().find(|line| line.contains(&secret));
            assert!(hit.is_none(), "an argument holds a secret: {}…", &hit.unwrap()[..40]);
        }
    }
}

/// An API at `https://api.example.org`, and the account `work`.
struct Api {
    stage: Stage,
    server: Server,
}

impl Api {
    fn new() -> Self {
        let stage = Stage::new();
        let cloud = Arc::clone(&stage.cloud);
        let server = site(false, move |request: &Request| {
            if !is_authorised(&cloud, request) {
                return Reply::typed(401, "text/plain", "no\n");
            }
            let body = String::from_utf8_lossy(&request.body);
            Reply::typed(200, "text/plain", format!("{} {} {}\n", request.method, request.path, body.trim()))
        });
        stage.account("work", &server.url());
        fs::write(stage.sandbox.path("home/thing.json"), "{}").unwrap();
        Self { stage, server }
    }

    fn text(&self, name: &str) -> String {
        recipe(name, &[("https://api.example.org", &self.server.url())])
    }

    fn run(&self, program: &str, name: &str) -> Outcome {
        self.stage.sandbox.command(program).args(["-c", &self.text(name)]).finish()
    }
}

#[test]
fn what_is_typed_into_a_shell_works_and_shows_no_token() {
    let what = "what_is_typed_into_a_shell_works_and_shows_no_token";
    if ["curl", "bash", "fish"].iter().any(|tool| skip::unless_tool(what, tool).is_none()) {
        return;
    }
    let it = Api::new();
    let watch = Watch::start();
    let things = "GET /things ";
    assert_eq!(it.run("sh", "curl").ok(), format!("{things}\nPUT /things/7 {{}}\nPOST /things {{\"name\":\"new\"}}"));
    assert_eq!(it.run("sh", "pipe").ok(), format!("{things}\n{things}"));
    assert_eq!(it.run("bash", "bash").ok(), "POST /things {\"name\":\"new\"}");
    it.stage.cloud.revoke_access_tokens();
    assert_eq!(it.run("sh", "script").ok(), things);
    assert_eq!(it.stage.cloud.refreshes(), 1);
    for (program, name) in [("sh", "exec"), ("sh", "eval"), ("fish", "fish")] {
        assert_eq!(it.run(program, name).ok(), it.stage.cloud.url(), "{name}");
    }
    watch.saw_no(it.stage.cloud.secrets());
}

#[test]
fn what_is_pasted_into_a_program_works_and_shows_no_token() {
    let what = "what_is_pasted_into_a_program_works_and_shows_no_token";
    if ["python3", "node"].iter().any(|tool| skip::unless_tool(what, tool).is_none()) {
        return;
    }
    let it = Api::new();
    let watch = Watch::start();
    let file = it.stage.sandbox.path("home/recipe.py");
    fs::write(&file, it.text("python")).unwrap();
    let python = || it.stage.sandbox.command("python3").arg(&file).finish();
    assert_eq!(python().ok(), "GET /things ");
    it.stage.cloud.revoke_access_tokens();
    assert_eq!(python().ok(), "GET /things ", "a refused token is given back, and the next one used");
    assert_eq!(it.stage.cloud.refreshes(), 1);
    fs::write(it.stage.sandbox.path("home/recipe.cjs"), it.text("node")).unwrap();
    assert_eq!(it.stage.sandbox.command("node").arg("recipe.cjs").finish().ok(), "GET /things ");
    watch.saw_no(it.stage.cloud.secrets());
    it.stage.sandbox.token(["logout", "work"]).ok();
    let needed = python();
    assert_eq!(needed.code(), 4);
    assert!(needed.stderr.contains("cloud-token login work"), "{}", needed.stderr);
}

#[test]
fn serves_is_a_line_of_the_accounts_file() {
    let stage = Stage::serving("");
    let file = stage.sandbox.config().join("accounts.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{}", recipe("serves", &[]))).unwrap();
    for (host, served) in [
        ("git.example.org", true),
        ("k8s.example.org:6443", true),
        ("k8s.example.org", false),
        ("registry.example.org", true),
        ("packages.example.org", false),
    ] {
        let outcome = stage.helper("git get").stdin(format!("protocol=https\nhost={host}\n\n")).finish();
        assert_eq!(outcome.ok().contains(&stage.token()), served, "{host}");
    }
    let with_path = "protocol=https\nhost=packages.example.org\npath=team/x\n\n";
    assert!(stage.helper("git get").stdin(with_path).finish().ok().contains(&stage.token()));
}

#[test]
fn gits_recipe_clones() {
    let Some(it) = git::Repository::new("gits_recipe_clones") else { return };
    let watch = Watch::start();
    let script = recipe("git", &[("https://git.example.org", &it.server.url())]);
    let run = it.stage.sandbox.command("sh").args(["-ec", &script]);
    run.env("GIT_SSL_CAINFO", it.server.ca()).env("GIT_TERMINAL_PROMPT", "0").finish().ok();
    assert!(it.stage.sandbox.path("home/repo/file").is_file());
    watch.saw_no(it.stage.cloud.secrets());
}

#[test]
fn kubectls_recipe_lists() {
    let Some(it) = kubectl::Cluster::new("kubectls_recipe_lists") else { return };
    let watch = Watch::start();
    let config = format!(
        "{}apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster:\n    server: {}\n    \
         certificate-authority: {}\ncontexts:\n- name: c\n  context:\n    cluster: c\n    user: cloud-token\n",
        recipe("kubectl", &[]),
        it.server.url(),
        it.server.ca().display(),
    );
    fs::write(it.stage.sandbox.path("home/kubeconfig"), config).unwrap();
    let run = it.stage.sandbox.command(&it.kubectl).args(["--kubeconfig", "kubeconfig", "get", "pods", "-o", "name"]);
    assert_eq!(run.finish().ok(), "pod/one");
    watch.saw_no(it.stage.cloud.secrets());
}

#[test]
fn kubectls_shorter_recipe_lists_too() {
    let Some(it) = kubectl::Cluster::new("kubectls_shorter_recipe_lists_too") else { return };
    symlink(&it.kubectl, it.stage.sandbox.program("kubectl")).unwrap();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster:\n    server: {}\n    \
         certificate-authority: {}\ncontexts:\n- name: c\n  context:\n    cluster: c\n",
        it.server.url(),
        it.server.ca().display(),
    );
    fs::write(it.stage.sandbox.path("home/kubeconfig"), config).unwrap();
    it.stage.sandbox.set("KUBECONFIG", it.stage.sandbox.path("home/kubeconfig"));
    let watch = Watch::start();
    let script = recipe("setup-kubectl", &[]) + "kubectl get pods -o name >pods\n";
    it.stage.sandbox.command("sh").args(["-ec", &script]).finish().ok();
    assert_eq!(fs::read_to_string(it.stage.sandbox.path("home/pods")).unwrap(), "pod/one\n");
    watch.saw_no(it.stage.cloud.secrets());
}

#[test]
fn the_links_that_consumers_look_for_are_made_and_work() {
    let stage = Stage::serving("https://registry.example.org,https://app.example.org");
    let names = ["git-credential", "docker-credential", "cargo-credential", "bazel-credential"];
    for name in names.iter().chain(&["terraform-credentials"]) {
        fs::remove_file(stage.sandbox.program(&format!("{name}-cloud-token"))).unwrap();
    }
    let watch = Watch::start();
    let path = std::env::var("PATH").unwrap_or_default();
    let home = stage.sandbox.path("home");
    stage.sandbox.set("PATH", format!("{}/.local/bin:{}:{path}", home.display(), stage.sandbox.path("bin").display()));
    stage.sandbox.command("sh").args(["-ec", &recipe("links", &[])]).finish().ok();
    // Twice is once.
    stage.sandbox.command("sh").args(["-ec", &recipe("links", &[])]).finish().ok();
    for name in names {
        assert!(home.join(format!(".local/bin/{name}-cloud-token")).is_file(), "{name}");
    }
    let ask = |program: &str, arguments: &[&str], text: &str| {
        stage
            .sandbox
            .command("sh")
            .args(["-c", "exec \"$0\" \"$@\"", program])
            .args(arguments.iter().copied())
            .stdin(text)
            .finish()
    };
    let docker = ask("docker-credential-cloud-token", &["get"], "registry.example.org");
    let terraform = home.join(".terraform.d/plugins/terraform-credentials-cloud-token");
    let terraform = ask(terraform.to_str().unwrap(), &["get", "app.example.org"], "");
    for outcome in [docker, terraform] {
        assert!(outcome.ok().contains(&stage.token()), "{outcome:?}");
    }
    watch.saw_no(stage.cloud.secrets());
}

#[test]
fn the_recipes_that_set_up_docker_and_a_shell_work_and_show_no_token() {
    let what = "the_recipes_that_set_up_docker_and_a_shell_work_and_show_no_token";
    if ["docker", "bash"].iter().any(|tool| skip::unless_tool(what, tool).is_none()) {
        return;
    }
    let stage = Stage::new();
    let registry = registries::image_registry(&stage);
    stage.serve(&registry.url());
    stage.account("work", "none");
    let watch = Watch::start();
    stage.sandbox.command("sh").args(["-ec", &recipe("setup-docker", &[])]).finish().ok();
    let image = format!("{}/thing:latest", registry.address());
    stage.sandbox.command("docker").args(["manifest", "inspect", "--insecure", &image]).finish().ok();
    stage.sandbox.set("SHELL", "/bin/bash");
    stage.sandbox.command("sh").args(["-ec", &recipe("setup-shell", &[])]).finish().ok();
    let shell = stage.sandbox.command("bash").args(["-c", ". ~/.bashrc; cloud_env work && printf %s \"$ECHOME_URL\""]);
    assert_eq!(shell.finish().ok(), stage.cloud.url());
    watch.saw_no(stage.cloud.secrets());
}

#[test]
fn the_recipes_of_registries_read_from_them() {
    let what = "the_recipes_of_registries_read_from_them";
    let stage = Stage::new();
    let watch = Watch::start();
    if skip::unless_tool(what, "docker").is_some() {
        let registry = registries::image_registry(&stage);
        stage.serve(&registry.url());
        let host = registry.address().to_string();
        let config = stage.sandbox.path("home/.docker");
        fs::create_dir(&config).unwrap();
        fs::write(config.join("config.json"), recipe("docker", &[("registry.example.org", &host)])).unwrap();
        let run = stage.sandbox.command("docker").args([
            "manifest",
            "inspect",
            "--insecure",
            &format!("{host}/thing:latest"),
        ]);
        run.finish().ok();
    }
    if skip::unless_tool(what, "cargo").is_some() {
        let registry = registries::crate_registry(&stage);
        stage.serve(&registry.url());
        let config = recipe("cargo", &[("https://registry.example.org", &registry.url())]);
        registries::generate_lockfile(&stage, &config).ok();
    }
    if skip::unless_optional_tool(what, "terraform").is_some() {
        let registry = registries::module_registry(&stage);
        stage.serve(&registry.url());
        let outcome = registries::terraform_init(&stage, &registry, &recipe("terraform", &[]));
        assert!(registries::was_authorised(&stage, &registry), "{outcome:?}");
    }
    watch.saw_no(stage.cloud.secrets());
}

#[test]
fn the_recipes_of_processes_answer() {
    let what = "the_recipes_of_processes_answer";
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), "");
    own::serve(&stage.sandbox, "https://cache.example.org");
    let watch = Watch::start();
    let answer: Value =
        serde_json::from_str(stage.sandbox.command("sh").args(["-c", &recipe("bazel", &[])]).finish().ok()).unwrap();
    assert_eq!(answer["headers"]["X-Keyed-Token"], json!([own::SESSION]));
    if let Some(aws) = lab::program(what, "consumers", "aws") {
        let config = recipe("aws", &[("aws work", "aws keyed")]);
        assert!(processes::caller_identity(&stage, &aws, &config).ok().contains("user/me"));
    }
    watch.saw_no([own::ACCESS, own::SESSION].map(str::to_owned));
}

#[test]
fn every_marked_recipe_is_run_here_and_every_other_block_says_that_it_is_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/consumers.md")).unwrap();
    let own = fs::read_to_string(root.join("it/consumers/recipes.rs")).unwrap();
    let marks: Vec<&str> = page.split("<!-- test: ").skip(1).filter_map(|rest| rest.split(" -->").next()).collect();
    assert_eq!(marks.len(), 21, "{marks:?}");
    for mark in &marks {
        assert!(own.contains(&format!("\"{mark}\"")), "nobody runs `{mark}`");
    }
    // Bazel's own line, and Go.
    assert_eq!(page.matches("\n```\n").count(), marks.len() + 2);
    assert!(page.contains("The Go one is not run") && page.contains("Bazel itself they do not run"));
}
