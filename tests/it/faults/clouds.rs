//! The clouds, and how an account at each renews by itself. A further one is a row, and how its fake is started.

use std::ops::Deref;

use cloud_agent_tests::fake::Server;
use cloud_agent_tests::fake::cleura::{self, Cleura, Second};
use cloud_agent_tests::fake::echome::{self, EcHome};
use cloud_agent_tests::fake::greencloud::{self, GreenCloud};
use cloud_agent_tests::fake::keystone::{self, Keystone};
use cloud_agent_tests::fake::openvcloud::{self, OpenvCloud};
use cloud_agent_tests::fake::webitel::{self, Webitel};

/// A cloud, and the method that is played there.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    /// What gets the next token, in words.
    pub(super) renewed_by: &'static str,
    /// That is a refresh, with a token that the cloud replaces.
    pub(super) refreshes: bool,
    /// What is held to renew with can be used once: with a reply that is lost, the session is.
    pub(super) works_once: bool,
    /// What a login is given besides the address and the secret.
    pub(super) arguments: &'static [&'static str],
    /// The secret's name.
    pub(super) secret: &'static str,
    /// The name of the origin that renews, if it is not the cloud's first.
    pub(super) origin: Option<&'static str>,
    /// A call of the API proper, which answers 200 to a good token.
    pub(super) call: (&'static str, &'static str),
    pub(super) start: fn() -> Site,
}

/// A cloud that runs, with a user.
pub(super) struct Site {
    fake: Box<dyn Fake>,
    pub(super) secret: String,
    /// What only the cloud could name, as `--set` takes it.
    pub(super) set: Option<String>,
}

impl Site {
    fn of(fake: impl Fake + 'static, secret: String) -> Self {
        Self { fake: Box::new(fake), secret, set: None }
    }

    /// Who is asked for a new token.
    pub(super) fn renews(&self) -> &Server {
        self.fake.renews()
    }

    /// Who takes the tokens.
    pub(super) fn api(&self) -> &Server {
        self.fake.api()
    }
}

trait Fake: Send + Sync {
    fn renews(&self) -> &Server;
    fn api(&self) -> &Server;
}

impl<T: Deref<Target = Server> + Send + Sync> Fake for T {
    fn renews(&self) -> &Server {
        self
    }

    fn api(&self) -> &Server {
        self
    }
}

/// Two servers: what one issues the other takes.
struct Portal(OpenvCloud);

impl Fake for Portal {
    fn renews(&self) -> &Server {
        &self.0.iam
    }

    fn api(&self) -> &Server {
        &self.0.portal
    }
}

/// Every cloud with a fake.
pub(super) const CLOUDS: &[Row] = &[
    Row {
        name: "cleura",
        method: "password",
        renewed_by: "a login, with `--remember`",
        refreshes: false,
        works_once: false,
        arguments: &["--set", "username=alice@example.com", "--remember"],
        secret: "password",
        origin: None,
        call: ("GET", cleura::DOMAINS),
        start: || {
            let fake = Cleura::start();
            let password = fake.add("alice@example.com", Second::None);
            Site::of(fake, password)
        },
    },
    Row {
        name: "echome",
        method: "access-key",
        renewed_by: "a refresh",
        refreshes: true,
        works_once: false,
        arguments: &["--set", "access-id=AKIA1"],
        secret: "secret",
        origin: None,
        call: ("GET", echome::MACHINES),
        start: || {
            let fake = EcHome::start();
            let secret = fake.add_key("AKIA1");
            Site::of(fake, secret)
        },
    },
    Row {
        name: "greencloud",
        method: "password",
        renewed_by: "a refresh, with a token that works once",
        refreshes: true,
        works_once: true,
        arguments: &["--set", "email=alice@example.com"],
        secret: "password",
        origin: None,
        call: ("GET", greencloud::USER),
        start: || {
            let fake = GreenCloud::start();
            let password = fake.add_user("alice@example.com");
            Site::of(fake, password)
        },
    },
    Row {
        name: "keystone",
        method: "application-credential",
        renewed_by: "a login with what is held",
        refreshes: false,
        works_once: false,
        arguments: &[],
        secret: "secret",
        origin: None,
        call: ("GET", keystone::PROJECTS),
        start: || {
            let (fake, secret) = (Keystone::start(), "s3cr3t-of-the-application-0123456789");
            fake.add_user("alice", "pw-of-alice-0123456789", "demo");
            let set = format!("id={}", fake.add_credential("alice", secret));
            Site { set: Some(set), ..Site::of(fake, secret.to_owned()) }
        },
    },
    Row {
        name: "openvcloud",
        method: "client-credentials",
        renewed_by: "a login with what is held",
        refreshes: false,
        works_once: false,
        arguments: &["--set", "client-id=client-1"],
        secret: "client-secret",
        origin: Some("iam"),
        call: ("POST", openvcloud::CLOUDSPACES),
        start: || {
            let fake = OpenvCloud::start();
            let secret = fake.add_key("client-1", "alice");
            Site::of(Portal(fake), secret)
        },
    },
    Row {
        name: "webitel",
        method: "password",
        renewed_by: "a login, with `--remember`",
        refreshes: false,
        works_once: false,
        arguments: &["--set", "username=100@mydomain.com", "--remember"],
        secret: "password",
        origin: None,
        call: ("GET", webitel::WHOAMI),
        start: || {
            let fake = Webitel::start();
            let password = fake.add_user("100@mydomain.com");
            Site::of(fake, password)
        },
    },
];
