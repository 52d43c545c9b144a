//! Questions on a real socket: whose they are, and for how long.

use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc as threads};
use std::thread;

use cloud_agent_protocol::v1::{Answer, Login, NamedSecret, Request, Response, Setting};
use cloud_agent_protocol::{Fault, FaultKind, Frame, Secret, frame, hello};
use zeroize::Zeroizing;

use super::*;
use crate::accounts::Accounts;
use crate::clock::{Clock, SystemClock};
use crate::cloud::Clouds;
use crate::http::{Replied, Reply, Transport};
use crate::provider::Recipe;
use crate::vault::Memory;

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cloud that has a code sent before it takes one.
const ACME: &str = r#"
title = "Acme"
docs = "https://acme.example/docs"
[[origin]]
default = "https://acme.example"
[[method]]
name = "code"
title = "Code"
headers = ["X-Token: {token}"]
token = "token"
ask = [
    { name = "password", prompt = "Password", secret = true },
    { name = "code", prompt = "Code", at-login = true },
]
[[method.login]]
request = "POST /send"
json = { password = "{password}" }
[[method.login]]
request = "POST /take"
json = { code = "{code}" }
take = { token = "/token" }
"#;

/// Takes whatever comes, and keeps where it went.
#[derive(Default)]
struct Net(Mutex<Vec<String>>);

impl Transport for Net {
    fn send(&self, request: crate::http::Request) -> Replied<'_> {
        self.0.lock().unwrap().push(request.url);
        let body = Zeroizing::new(br#"{"token":"t0k"}"#.to_vec());
        Box::pin(std::future::ready(Ok(Reply { status: 200, headers: Vec::new(), body })))
    }
}

fn login() -> Login {
    Login {
        account: "acme".into(),
        cloud: None,
        method: None,
        origins: Vec::new(),
        settings: Vec::<Setting>::new(),
        secrets: vec![NamedSecret { name: "password".into(), value: "pw".into() }],
        remember: false,
        ephemeral: true,
        interactive: true,
        deadline_ms: 20_000,
    }
}

/// A server on a thread of its own.
struct Scene {
    dir: tempfile::TempDir,
    net: Arc<Net>,
    shutdown: Shutdown,
    control: mpsc::Sender<Control>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Scene {
    fn new(question: Duration) -> Self {
        Self::with(Limits { question, ..Limits::for_files(64) })
    }

    fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("clouds")).unwrap();
        std::fs::write(dir.path().join("clouds/acme.toml"), ACME).unwrap();
        let (net, shutdown) = (Arc::new(Net::default()), Shutdown::default());
        let (path, transport, told) = (dir.path().to_owned(), net.clone(), shutdown.clone());
        let (ready, listening) = threads::channel();
        let (control, told_what) = mpsc::channel(1);
        let thread = thread::spawn(move || {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let surroundings = Surroundings::nowhere(clock.now());
            let broker = Broker::new(
                clock.clone(),
                Accounts::open(path.join("accounts.toml")),
                Clouds::load(Some(&path.join("clouds"))),
                Arc::new(Recipe::new(transport, clock)),
                Arc::new(Memory::new("test")),
            );
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let Ok(socket::Claim::Taken(_place, listener)) = socket::claim(&path.join("run/agent.sock")).await
                else {
                    panic!("the place is free");
                };
                ready.send(()).unwrap();
                let access = Access::new(Arc::new(SystemClock), &path.join("state"), path.join("accounts.toml"));
                let reins = Reins { control: told_what, gate: Arc::default(), renewals: mpsc::channel(1).0 };
                run(listener, reins, broker, access, limits, surroundings, told).await.unwrap();
            });
        });
        listening.recv_timeout(PATIENCE).unwrap();
        Self { dir, net, shutdown, control, thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.dir.path().join("run/agent.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, greeted: false }
    }

    /// A client whose login has come to its question.
    fn asked(&self) -> Client {
        let mut client = self.connect();
        let said = client.say(&Request::Login(login())).unwrap();
        assert!(matches!(&said, Response::Question(question) if question.name == "code"), "{said:?}");
        client
    }

    /// A client whose login has joined that of another one.
    fn joined(&self) -> Client {
        let mut client = self.connect();
        let plain = Login { secrets: Vec::new(), ephemeral: false, ..login() };
        let Some(Response::Question(question)) = client.say(&Request::Login(plain)) else { panic!("it is not asked") };
        assert_eq!(question.name, "code");
        assert!(question.detail.unwrap().contains("another login of `acme` waits for it"));
        client
    }

    fn sent(&self) -> Vec<String> {
        let sent = self.net.0.lock().unwrap();
        sent.iter().map(|url| url.trim_start_matches("https://acme.example").to_owned()).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.shutdown.request();
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

struct Client {
    stream: UnixStream,
    greeted: bool,
}

impl Client {
    /// The answer to `request`; `None` if the connection is closed instead.
    fn say(&mut self, request: &Request) -> Option<Response> {
        use std::io::Write as _;

        let frame = request.encode().unwrap();
        let bytes = if self.greeted { frame.encode() } else { frame.encode_after(&hello::encode(hello::VERSIONS)) };
        self.greeted = true;
        self.stream.write_all(&bytes).ok()?;
        self.listen()
    }

    fn listen(&mut self) -> Option<Response> {
        Some(Response::decode(&Frame::read(&mut self.stream, frame::MAX_RESPONSE).ok()?).unwrap())
    }

    /// Waits until the agent says something or closes, and tells whether it closed.
    fn is_closed(&mut self) -> bool {
        use std::io::Read as _;

        self.stream.read(&mut [0]).expect("it does not stay open") == 0
    }

    fn answer(&mut self) -> Option<Response> {
        self.say(&Request::Answer(Answer { value: Some(Secret::from("123456")) }))
    }
}

#[test]
fn a_question_that_nobody_answers_ends_in_its_time_and_frees_the_account() {
    let scene = Scene::new(Duration::from_millis(300));
    let mut silent = scene.asked();
    assert!(silent.is_closed(), "and nothing else is said");
    // It waits for its turn, which the silent one had.
    let mut next = scene.asked();
    let done = next.answer();
    assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
    assert_eq!(scene.sent(), ["/send", "/send", "/take"], "nothing more was sent for the one who was silent");
}

#[test]
fn a_question_belongs_to_the_connection_that_asked() {
    let scene = Scene::new(PATIENCE);
    let mut asked = scene.asked();
    let mut stranger = scene.connect();
    let Some(Response::Fault(Fault { kind, message, .. })) = stranger.answer() else { panic!("nobody asked it") };
    assert_eq!((kind, message.as_str()), (FaultKind::Usage, "nothing was asked"));
    assert_eq!(scene.sent(), ["/send"], "what a stranger says is no answer");
    let done = asked.answer();
    assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
    assert_eq!(scene.sent(), ["/send", "/take"]);
}

#[test]
fn a_second_login_of_the_account_is_asked_the_same_question_and_one_answer_serves_both() {
    for answered_by_first in [true, false] {
        let scene = Scene::new(PATIENCE);
        let (mut first, mut second) = (scene.asked(), scene.joined());
        let (answers, waits) = if answered_by_first { (&mut first, &mut second) } else { (&mut second, &mut first) };
        let done = answers.answer();
        assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
        // The question is on a screen, where nobody can take it back; whatever is typed there now makes no difference.
        let done = waits.say(&Request::Answer(Answer { value: Some(Secret::from("999999")) }));
        assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
        assert_eq!(scene.sent(), ["/send", "/take"], "one code was sent, and one was taken");
    }
}

#[test]
fn whoever_began_a_login_may_leave_it_to_whoever_has_joined() {
    let scene = Scene::new(PATIENCE);
    let (first, mut second) = (scene.asked(), scene.joined());
    drop(first);
    let done = second.answer();
    assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
    assert_eq!(scene.sent(), ["/send", "/take"]);
}

#[test]
fn a_login_that_both_give_up_fails_for_both_and_whoever_joined_is_told_where_it_began() {
    let scene = Scene::new(PATIENCE);
    let (mut first, mut second) = (scene.asked(), scene.joined());
    let gives_up = |client: &mut Client| client.say(&Request::Answer(Answer { value: None }));
    let Some(Response::Fault(fault)) = gives_up(&mut second) else { panic!("there is no answer") };
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    let Some(Response::Fault(fault)) = gives_up(&mut first) else { panic!("there is no answer") };
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert_eq!(scene.sent(), ["/send"]);
}

#[test]
fn another_login_of_the_account_than_the_one_that_waits_is_told_so_at_once() {
    let scene = Scene::new(PATIENCE);
    let mut first = scene.asked();
    let mut other = scene.connect();
    let secrets = vec![NamedSecret { name: "password".into(), value: "another".into() }];
    let Some(Response::Fault(fault)) = other.say(&Request::Login(Login { secrets, ..login() })) else {
        panic!("it is not told")
    };
    assert_eq!(fault.kind, FaultKind::Busy);
    assert_eq!(fault.message, "another login of `acme` waits for its `code`");
    let done = first.answer();
    assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
}

#[test]
fn whoever_has_a_question_to_answer_when_another_agent_takes_over_is_waited_for() {
    let scene = Scene::with(Limits { drain: Duration::ZERO, ..Limits::for_files(64) });
    let mut asked = scene.asked();
    scene.control.blocking_send(Control::HandOver).unwrap();
    let since = std::time::Instant::now();
    while UnixStream::connect(scene.dir.path().join("run/agent.sock")).is_ok() {
        assert!(since.elapsed() < PATIENCE, "it accepts no more");
        thread::yield_now();
    }
    let done = asked.answer();
    assert!(matches!(done, Some(Response::Done(_))), "{done:?}");
}
