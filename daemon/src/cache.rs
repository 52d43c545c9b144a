//! A cached credential, and how long it is good for.

#[cfg(target_os = "linux")]
mod estate;

use std::time::Duration;

use cloud_agent_protocol::frame::MAX_RESPONSE;
use cloud_agent_protocol::v1::Response;
use cloud_agent_protocol::{AccountName, Credential, Fault, FaultKind, Frame, Header, Secret};
use sha2::{Digest, Sha256};

use crate::clock::{Clock, Timestamp};
use crate::hardening::Kept;
use crate::packed::Packed;
use crate::provider::Grant;

/// By default a token must live on for this long: time enough for a script to use it once.
const MIN_VALID: Duration = Duration::from_mins(1);
/// … or for this part of its life, whichever is less: a token of ten seconds is not renewed at every call.
const MIN_VALID_PART: u32 = 20;
/// Renewal ahead of time starts when this much is left …
const AHEAD: Duration = Duration::from_mins(5);
/// … or this part of the life, whichever is less …
const AHEAD_PART: u32 = 5;
/// … and as much as this part of that earlier or later, so that what began together does not go on together.
const AHEAD_JITTER: f64 = 0.1;
/// A caller may ask for more life than the cloud gives. Then a token that has this much of it left is the best there is,
/// and renewing again would get nothing longer.
const BEST_PART: f64 = 0.8;

/// Stands for the token in a packed environment. No variable could hold it.
const THE_TOKEN: &str = "\0";

/// A credential as it is handed out.
pub struct Cached {
    /// The answer without the environment, ready to be written. It is the only copy of the token here: whoever wants the
    /// credential as such, which is rare, decodes it.
    frame: Kept,
    /// Names and values; [`THE_TOKEN`] in the place of the token itself.
    environment: Packed,
    label: Label,
    expires_at: Option<Timestamp>,
    obtained_up: Duration,
    life: Option<Duration>,
    /// How much is left when it is time to renew, in milliseconds.
    ahead: u32,
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cached(until {:?})", self.expires_at)
    }
}

impl Cached {
    /// Takes what the cloud granted to the account `name`. `obtained_up` is the uptime at which it was asked for, `jitter` in `0.0..1.0`.
    ///
    /// # Errors
    /// `MalformedReply` if it is too long to be sent to anybody.
    pub fn new(name: &AccountName, grant: &Grant, obtained_up: Duration, jitter: f64) -> Result<Self, Fault> {
        let mut credential = grant.credential.clone();
        let variables = std::mem::take(&mut credential.environment);
        let token = credential.token.as_ref();
        let label = label_of(name, &credential);
        let environment = Packed::new(variables.iter().map(|Header { name, value }| {
            (name.as_str(), if Some(value) == token { THE_TOKEN } else { value.expose() })
        }));
        let life = grant.expires_at.map(|end| end.since(grant.obtained_at));
        let ahead = life.map_or(Duration::ZERO, |life| {
            AHEAD.min(life / AHEAD_PART).mul_f64(1.0 - AHEAD_JITTER + 2.0 * AHEAD_JITTER * jitter)
        });
        Ok(Self {
            frame: framed(credential)?,
            environment,
            label,
            expires_at: grant.expires_at,
            life,
            obtained_up,
            ahead: u32::try_from(ahead.as_millis()).unwrap_or(u32::MAX),
        })
    }

    /// The same after somebody has set the wall clock: a later end by it than by the time that has passed would be a lie
    /// to whoever is told that end. An earlier one stands, because the clock may have been wrong before.
    ///
    /// `None` if there is nothing to change.
    #[must_use]
    pub fn rejudged(&self, clock: &dyn Clock) -> Option<Self> {
        let (end, life) = (self.expires_at?, self.life?);
        let left = life.saturating_sub(clock.uptime().saturating_sub(self.obtained_up));
        let by_uptime = clock.now().after(left);
        if end.since(by_uptime) < Duration::from_secs(1) {
            return None;
        }
        let mut credential = self.credential();
        credential.environment.clear();
        credential.expires_at = Some(by_uptime.seconds());
        Some(Self {
            frame: framed(credential).ok()?,
            environment: self.environment.clone(),
            label: self.label.clone(),
            expires_at: Some(by_uptime),
            ..*self
        })
    }

    /// The credential, environment included.
    ///
    /// # Panics
    /// Never: what is decoded was encoded by [`Cached::new`].
    #[must_use]
    pub fn credential(&self) -> Credential {
        let mut credential = decoded(&self.frame).expect("only credentials are cached, in frames of our own");
        let token = credential.token.clone().unwrap_or_default();
        let value = |kept: &str| if kept == THE_TOKEN { token.clone() } else { kept.into() };
        credential.environment =
            self.environment.pairs().map(|(name, kept)| Header { name: name.into(), value: value(kept) }).collect();
        credential
    }

    /// The answer without the environment, as it is written to a socket.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The first characters of the token's SHA-256, of the first header's where there is no token.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.label.fingerprint()
    }

    /// What it is known by.
    #[must_use]
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// When it ends, if that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// How long it is still good; `None` if nobody knows when it ends.
    ///
    /// Both clocks are asked and the shorter answer wins: the wall clock may have been set back, the boot clock may have
    /// started anew.
    #[must_use]
    pub fn remaining(&self, clock: &dyn Clock) -> Option<Duration> {
        let (end, life) = (self.expires_at?, self.life?);
        let by_wall = end.since(clock.now());
        let by_uptime = life.saturating_sub(clock.uptime().saturating_sub(self.obtained_up));
        Some(by_wall.min(by_uptime))
    }

    /// Whether it has run out.
    #[must_use]
    pub fn is_expired(&self, clock: &dyn Clock) -> bool {
        self.remaining(clock) == Some(Duration::ZERO)
    }

    /// Whether it lives on for as long as the caller wants; `None` is the default of the crate.
    #[must_use]
    pub fn serves(&self, min_valid: Option<Duration>, clock: &dyn Clock) -> bool {
        self.is_enough(self.remaining(clock), min_valid)
    }

    /// Whether it serves, and it is not yet time to renew: by one look at the clocks, for whom nobody waits.
    #[must_use]
    pub fn is_warm(&self, min_valid: Option<Duration>, clock: &dyn Clock) -> bool {
        let left = self.remaining(clock);
        self.is_enough(left, min_valid) && left.is_none_or(|left| left > self.ahead())
    }

    fn is_enough(&self, left: Option<Duration>, min_valid: Option<Duration>) -> bool {
        let (Some(left), Some(life)) = (left, self.life) else { return true };
        let wanted = min_valid.unwrap_or_else(|| MIN_VALID.min(life / MIN_VALID_PART)).min(life.mul_f64(BEST_PART));
        left > wanted
    }

    /// Whether it is time to renew although it still serves.
    #[must_use]
    pub fn is_due(&self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_some_and(|left| left <= self.ahead())
    }

    /// The uptime at which it is time to renew; `None` if nobody knows when it ends.
    #[must_use]
    pub fn due_up(&self, clock: &dyn Clock) -> Option<Duration> {
        Some(clock.uptime() + self.remaining(clock)?.saturating_sub(self.ahead()))
    }

    /// How long ago it was asked for.
    #[must_use]
    pub fn age(&self, clock: &dyn Clock) -> Duration {
        clock.uptime().saturating_sub(self.obtained_up)
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.into())
    }
}

/// The credential in a frame, which is without its environment.
fn decoded(frame: &[u8]) -> Option<Credential> {
    match Response::decode(&Frame::read(&mut &frame[..], MAX_RESPONSE).ok()?) {
        Ok(Response::Credential(credential)) => Some(credential),
        _ => None,
    }
}

fn label_of(name: &AccountName, credential: &Credential) -> Label {
    let shown = credential.token.as_ref().or(credential.headers.first().map(|header| &header.value));
    Label::new(name.clone(), shown.map(mark))
}

fn framed(credential: Credential) -> Result<Kept, Fault> {
    let frame = Response::Credential(credential).encode().map_err(|e| {
        Fault::new(FaultKind::MalformedReply, "the cloud's credential is too long to be handed out")
            .because(e.to_string())
    })?;
    Ok(Kept::copy_of(&frame.encode()))
}

/// What a credential is known by where it must not be shown. Copies share the name.
#[derive(Debug, Clone)]
pub struct Label {
    account: AccountName,
    token: Option<[u8; MARK]>,
}

impl Label {
    /// That of `account`'s token with this mark.
    #[must_use]
    pub fn new(account: AccountName, token: Option<[u8; MARK]>) -> Self {
        Self { account, token }
    }

    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> &str {
        self.account.as_str()
    }

    /// Whether both are of the same token, or of none, of an account that is spelt the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.token == other.token && self.account.as_str() == other.account.as_str()
    }

    /// The token's fingerprint, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.token.map(hexadecimal)
    }
}

/// So many bytes of a token's SHA-256 are its mark: enough to tell tokens apart, of no use to anybody else.
const MARK: usize = 6;

fn mark(token: &Secret) -> [u8; MARK] {
    *Sha256::digest(token.expose().as_bytes()).first_chunk().expect("a digest is longer")
}

fn hexadecimal(mark: [u8; MARK]) -> String {
    use std::fmt::Write as _;

    mark.iter().fold(String::with_capacity(2 * MARK), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The first 12 hexadecimal characters of a token's SHA-256.
#[must_use]
pub fn fingerprint(token: &Secret) -> String {
    hexadecimal(mark(token))
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::ExpirySource;

    use super::*;
    use crate::clock::ManualClock;
    use crate::provider::Held;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn cached(clock: &ManualClock, life: Option<u64>) -> Cached {
        Cached::new(&name(), &granted(life), clock.uptime(), 0.5).unwrap()
    }

    fn name() -> AccountName {
        AccountName::parse("a").unwrap()
    }

    fn granted(life: Option<u64>) -> Grant {
        let expires_at = life.map(|s| START.after(Duration::from_secs(s)));
        let credential = Credential {
            account: "a".into(),
            cloud: "c".into(),
            token: Some("token".into()),
            headers: Vec::new(),
            environment: Vec::new(),
            expires_at: expires_at.map(Timestamp::seconds),
            expiry_source: ExpirySource::Jwt,
        };
        Grant { credential, obtained_at: START, expires_at, held: Held::default(), idle_life: None }
    }

    #[test]
    fn an_hour_serves_until_its_last_minute_and_is_renewed_in_its_last_five() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, Some(3600));
        clock.advance(Duration::from_secs(3600 - 301));
        assert!(token.serves(None, &clock) && !token.is_due(&clock));
        clock.advance(Duration::from_secs(2));
        assert!(token.serves(None, &clock) && token.is_due(&clock));
        clock.advance(Duration::from_mins(4));
        assert!(!token.serves(None, &clock) && !token.is_expired(&clock));
        clock.advance(Duration::from_mins(1));
        assert!(token.is_expired(&clock));
    }

    #[test]
    fn a_short_token_is_judged_by_its_own_life() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, Some(10));
        clock.advance(Duration::from_secs(9));
        assert!(token.serves(None, &clock));
        clock.advance(Duration::from_millis(600));
        assert!(!token.serves(None, &clock));
    }

    #[test]
    fn asking_for_more_than_the_cloud_gives_does_not_renew_at_every_call() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, Some(600));
        assert!(token.serves(Some(Duration::from_hours(1)), &clock));
        clock.advance(Duration::from_secs(130));
        assert!(!token.serves(Some(Duration::from_hours(1)), &clock));
    }

    #[test]
    fn a_wall_clock_set_back_does_not_lengthen_a_life() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, Some(600));
        clock.advance(Duration::from_secs(700));
        clock.set(START);
        assert!(token.is_expired(&clock));
    }

    #[test]
    fn after_a_wall_clock_was_set_back_nobody_is_told_an_end_that_is_too_late() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, Some(600));
        clock.advance(Duration::from_secs(100));
        assert!(token.rejudged(&clock).is_none());
        clock.set(Timestamp::from_seconds(1));
        let told = token.rejudged(&clock).unwrap();
        assert_eq!((told.credential().expires_at, told.expires_at()), (Some(501), Some(Timestamp::from_seconds(501))));
        assert_eq!(told.credential().token, token.credential().token);
        clock.advance(Duration::from_secs(501));
        assert!(told.is_expired(&clock));
    }

    #[test]
    fn after_a_wall_clock_was_set_forward_the_earlier_end_stands() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, Some(600));
        clock.set(START.after(Duration::from_hours(1)));
        assert!(token.rejudged(&clock).is_none() && token.is_expired(&clock));
    }

    #[test]
    fn jitter_moves_a_renewal_by_a_tenth_of_what_is_left() {
        let clock = ManualClock::new(START);
        let grant = granted(Some(3600));
        let due = |jitter| {
            Cached::new(&name(), &grant, clock.uptime(), jitter)
                .unwrap()
                .due_up(&clock)
                .unwrap()
                .saturating_sub(clock.uptime())
        };
        assert_eq!((due(0.0), due(0.5)), (Duration::from_secs(3600 - 270), Duration::from_mins(55)));
        assert!(due(0.999_999) > Duration::from_secs(3600 - 331) && due(0.999_999) < Duration::from_secs(3600 - 329));
    }

    #[test]
    fn without_an_expiry_it_serves_until_it_is_rejected() {
        let clock = ManualClock::new(START);
        let token = cached(&clock, None);
        clock.advance(Duration::from_hours(1000));
        assert!(token.serves(None, &clock) && !token.is_due(&clock) && !token.is_expired(&clock));
    }

    #[test]
    fn what_is_cached_comes_back_as_it_was_granted() {
        let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
        let credential = Credential {
            account: "a".into(),
            cloud: "c".into(),
            token: Some("t".into()),
            headers: vec![header("X-One", "1"), header("X-Two", "2")],
            environment: vec![header("C_TOKEN", "t")],
            expires_at: Some(7),
            expiry_source: ExpirySource::Relative,
        };
        let grant = Grant { credential, obtained_at: START, expires_at: None, held: Held::default(), idle_life: None };
        assert_eq!(Cached::new(&name(), &grant, Duration::ZERO, 0.5).unwrap().credential(), grant.credential);
    }

    #[test]
    fn a_fingerprint_is_the_start_of_the_hash() {
        assert_eq!(fingerprint(&Secret::from("abc")), "ba7816bf8f01");
    }
}
