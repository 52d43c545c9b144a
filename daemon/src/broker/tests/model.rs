//! The broker against a cloud that is as strict as clouds come, in whatever order things happen.
//!
//! The cloud takes each refresh token once; one that comes a second time ends the session for good. Callers come and go,
//! clocks jump, replies are lost, and the agent is started anew. Whatever the order:
//!
//! 1. nothing that has ended is handed out;
//! 2. the cloud is never asked twice at once for one account;
//! 3. a refresh token whose reply arrived is never lost: the vault has the one that the cloud takes next;
//! 4. whoever waits is answered;
//! 5. what was refused for good is not asked again by the same agent until somebody logs in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud_agent_protocol::v1::Logout;
use cloud_agent_protocol::{Credential, ExpirySource, Fault, FaultKind, Secret};
use proptest::prelude::*;

use super::scripted::{Human, Scene};
use crate::accounts::Accounts;
use crate::broker::{Broker, Need};
use crate::clock::{Clock as _, ManualClock, Timestamp};
use crate::cloud::Clouds;
use crate::provider::{Account, Ask, Boxed, Grant, Held, Keep, Provider, Revocation};

const LIFE: Duration = Duration::from_mins(10);

/// Longer than anybody may wait, in time that passes only while everybody waits.
const FOR_EVER: Duration = Duration::from_hours(24);

#[derive(Debug, Clone)]
enum Op {
    Get {
        fresh: bool,
    },
    /// The API refuses the token that is this many back from the last.
    Reject {
        back: usize,
    },
    Login,
    Logout,
    Pass(u64),
    Suspend(u64),
    SetClock(i64),
    Down(bool),
    LoseReply,
    /// Somebody ends the session at the cloud.
    Revoke,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => any::<bool>().prop_map(|fresh| Op::Get { fresh }),
        2 => (0..3_usize).prop_map(|back| Op::Reject { back }),
        2 => Just(Op::Login),
        1 => Just(Op::Logout),
        8 => (0..700_u64).prop_map(Op::Pass),
        2 => (0..7200_u64).prop_map(Op::Suspend),
        2 => (-200_000..200_000_i64).prop_map(Op::SetClock),
        2 => any::<bool>().prop_map(Op::Down),
        2 => Just(Op::LoseReply),
        1 => Just(Op::Revoke),
        1 => Just(Op::Restart),
    ]
}

/// The cloud.
struct Strict {
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which refresh token it takes next; tokens are numbered on through all sessions.
    next: u64,
    /// The session was ended: by a token that came twice, or by somebody.
    dead: bool,
    down: bool,
    lose: bool,
    busy: bool,
    /// A reply was lost since the last that arrived.
    lost: bool,
    /// It has refused for good, and nobody has logged in since.
    refused: bool,
    /// The uptime at which the machine last woke up: a refusal right after that is asked about once more.
    awoke: Duration,
    asked_again: u32,
    /// The uptime at which each access token ends, by its number.
    ends: Vec<Duration>,
}

impl Strict {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn grant(&self, state: &mut State, account: &Account, began: (Timestamp, Duration)) -> Grant {
        state.next += 1;
        state.ends.push(began.1 + LIFE);
        let expires_at = began.0.after(LIFE);
        let secret = |what: &str, number: u64| Secret::new(format!("{what}-{number}"));
        Grant {
            credential: Credential {
                account: account.name.as_str().into(),
                cloud: account.cloud.name.clone(),
                token: Some(secret("token", state.ends.len() as u64 - 1)),
                headers: Vec::new(),
                environment: Vec::new(),
                expires_at: Some(expires_at.seconds()),
                expiry_source: ExpirySource::Relative,
            },
            obtained_at: began.0,
            expires_at: Some(expires_at),
            held: Held(BTreeMap::from([("refresh".to_owned(), secret("refresh", state.next))])),
            idle_life: None,
        }
    }

    fn begin(&self) -> (Timestamp, Duration) {
        let mut state = self.state();
        assert!(!std::mem::replace(&mut state.busy, true), "two requests at once for one account");
        (self.clock.now(), self.clock.uptime())
    }
}

impl Provider for Strict {
    fn login<'a>(&'a self, account: &'a Account, _: &'a Held, _: bool, _: &'a dyn Ask) -> Boxed<'a, Grant> {
        Box::pin(async move {
            let began = self.begin();
            // What a login takes, on a clock that is moved: the others go on meanwhile.
            tokio::time::sleep(Duration::from_millis(700)).await;
            let mut state = self.state();
            state.busy = false;
            if state.down {
                return Err(Fault::new(FaultKind::Unreachable, "down"));
            }
            (state.dead, state.refused, state.lost) = (false, false, false);
            Ok(self.grant(&mut state, account, began))
        })
    }

    fn renew<'a>(&'a self, account: &'a Account, held: &'a Held, keep: &'a dyn Keep) -> Boxed<'a, Grant> {
        Box::pin(async move {
            keep.spend().await?;
            let began = self.begin();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut state = self.state();
            state.busy = false;
            if state.refused {
                state.asked_again += 1;
            }
            if state.down {
                // It never arrived.
                return Err(Fault::new(FaultKind::Unreachable, "down"));
            }
            let presented = held.0.get("refresh").map_or("", Secret::expose);
            if state.dead || presented != format!("refresh-{}", state.next) {
                state.dead = true;
                state.refused = self.clock.uptime().saturating_sub(state.awoke) >= Duration::from_secs(10);
                return Err(Fault::new(FaultKind::Refused, "this refresh token is not valid"));
            }
            let grant = self.grant(&mut state, account, began);
            if std::mem::take(&mut state.lose) {
                state.lost = true;
                keep.lost();
                return Err(Fault::new(FaultKind::Unreachable, "the reply is lost"));
            }
            Ok(grant)
        })
    }

    fn revoke<'a>(&'a self, _: &'a Account, _: &'a Held, _: Option<&'a Credential>) -> Boxed<'a, Revocation> {
        self.state().dead = true;
        Box::pin(std::future::ready(Ok(Revocation::Revoked)))
    }
}

struct World {
    scene: Scene,
    cloud: Arc<Strict>,
    broker: Arc<Broker>,
    ahead: tokio::task::JoinHandle<()>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl World {
    async fn new() -> Self {
        let scene = Scene::new();
        let cloud = Arc::new(Strict { clock: scene.clock.clone(), state: Mutex::default() });
        let (broker, ahead) = Self::start(&scene, &cloud);
        let world = Self { scene, cloud, broker, ahead, callers: Vec::new() };
        world.login().await.unwrap();
        world
    }

    fn start(scene: &Scene, cloud: &Arc<Strict>) -> (Arc<Broker>, tokio::task::JoinHandle<()>) {
        let broker = Broker::new(
            scene.clock.clone(),
            Accounts::open(scene.dir.path().join("accounts.toml")),
            Clouds::load(Some(&scene.dir.path().join("clouds"))),
            cloud.clone(),
            scene.vault.clone(),
        );
        let ahead = tokio::spawn(broker.clone().keep_fresh());
        (broker, ahead)
    }

    async fn login(&self) -> Result<Vec<String>, Fault> {
        self.broker.login(Scene::login_request("work"), Arc::new(Human::default())).await
    }

    async fn play(&mut self, op: Op) {
        match op {
            Op::Get { fresh } => self.call(fresh),
            Op::Reject { back } => {
                let number = self.cloud.state().ends.len().checked_sub(1 + back);
                if let Some(number) = number {
                    let token = Secret::new(format!("token-{number}"));
                    let _ = self.broker.reject("work", Some(&token));
                }
            }
            Op::Login => _ = self.login().await,
            Op::Logout => {
                let logout = Logout { accounts: vec!["work".into()], all: false, forget: false };
                self.broker.logout(&logout).await.unwrap();
            }
            Op::Pass(seconds) => {
                for _ in 0..10 {
                    let step = Duration::from_secs(seconds) / 10;
                    self.scene.clock.advance(step);
                    tokio::time::sleep(step).await;
                }
            }
            Op::Suspend(seconds) => {
                self.scene.clock.suspend(Duration::from_secs(seconds));
                self.cloud.state().awoke = self.scene.clock.uptime();
                // The kernel tells at once.
                self.scene.settled().await;
            }
            Op::SetClock(by) => {
                let clock = &self.scene.clock;
                clock.set(Timestamp::from_seconds((clock.now().seconds() + by).max(1_000_000)));
            }
            Op::Down(down) => self.cloud.state().down = down,
            Op::LoseReply => self.cloud.state().lose = true,
            Op::Revoke => self.cloud.state().dead = true,
            Op::Restart => {
                self.quiet().await;
                self.ahead.abort();
                // Another one has to find out for itself.
                self.cloud.state().refused = false;
                (self.broker, self.ahead) = Self::start(&self.scene, &self.cloud);
            }
        }
    }

    /// Somebody asks, and may be answered much later.
    fn call(&mut self, fresh: bool) {
        let (broker, cloud) = (self.broker.clone(), self.cloud.clone());
        let need = Need { min_valid: None, fresh };
        self.callers.push(tokio::spawn(async move {
            let answer = match broker.warm("work", need) {
                Some(cached) => Ok(cached),
                None => tokio::time::timeout(FOR_EVER, broker.get("work", need, Duration::from_secs(30)))
                    .await
                    .expect("whoever waits is answered"),
            };
            if let Ok(cached) = answer {
                let token = cached.credential().token.unwrap();
                let number: usize = token.expose().strip_prefix("token-").unwrap().parse().unwrap();
                let end = cloud.state().ends[number];
                assert!(end > cloud.clock.uptime(), "{token:?} ended {:?} ago", cloud.clock.uptime().checked_sub(end));
            }
        }));
    }

    /// Waits until nobody waits, and looks whether all is well.
    async fn quiet(&mut self) {
        for caller in self.callers.drain(..) {
            caller.await.expect("no caller was failed");
        }
        assert!(self.broker.settle(FOR_EVER).await);
        let held = crate::vault::Vault::load(&*self.scene.vault, "work").await.unwrap();
        let state = self.cloud.state();
        assert_eq!(state.asked_again, 0, "what was refused for good was asked again");
        if let Some(record) = held.filter(|_| !state.lost && !state.dead) {
            assert_eq!(record.held.0["refresh"].expose(), format!("refresh-{}", state.next), "a rotated token is lost");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_in_whatever_order_the_promises_hold(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for op in ops {
                world.play(op).await;
            }
            world.quiet().await;
        });
    }
}
