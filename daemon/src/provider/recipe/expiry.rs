//! When a credential ends, from whatever tells it. Hints all of them, never verified, never a reason to refuse a token.

use std::time::Duration;

use cloud_agent_protocol::ExpirySource;

use super::json::Json;
use super::skew::{NO_SKEW, Skew};
use super::take::decode_base64url;
use super::values::Values;
use crate::clock::Timestamp;
use crate::cloud::{Expiry, Method};

/// From here on a number of a moment is milliseconds: 1e11 s is the year 5138, 1e11 ms was 1973.
const FIRST_MILLIS: f64 = 1e11;

/// 9999-12-31: a moment beyond it is no moment.
const LAST_MILLIS: f64 = 253_402_300_799_000.0;

/// The longest lifetime in seconds that is believed: a century.
const LONGEST_SECONDS: f64 = 3_155_760_000.0;

/// The earliest end that any of the method's sources tells; an assumed lifetime only if none does, and the account's own
/// rather than the method's.
pub(super) fn of_grant(
    method: &Method,
    lifetime: Option<Duration>,
    values: &Values,
    obtained_at: Timestamp,
) -> (Option<Timestamp>, ExpirySource) {
    let told = earliest(&method.expiry, values, obtained_at);
    let assumed = || {
        let lifetime = lifetime.or_else(|| assumed(&method.expiry))?;
        Some((obtained_at.after(lifetime), ExpirySource::Assumed))
    };
    match told.or_else(assumed) {
        Some((end, source)) => (Some(end), source),
        None => (None, ExpirySource::Unknown),
    }
}

/// How long what is held lives on from `obtained_at` if nobody uses it.
pub(super) fn idle_life(method: &Method, values: &Values, obtained_at: Timestamp) -> Option<Duration> {
    let told = earliest(&method.idle, values, obtained_at).map(|(end, _)| end.since(obtained_at));
    told.or_else(|| assumed(&method.idle)).filter(|life| !life.is_zero())
}

fn earliest(sources: &[Expiry], values: &Values, obtained_at: Timestamp) -> Option<(Timestamp, ExpirySource)> {
    sources.iter().filter_map(|source| told(source, values, obtained_at)).min_by_key(|(end, _)| *end)
}

fn assumed(sources: &[Expiry]) -> Option<Duration> {
    sources.iter().find_map(|source| match source {
        Expiry::Assume(seconds) => Some(Duration::from_secs(*seconds)),
        _ => None,
    })
}

fn told(source: &Expiry, values: &Values, obtained_at: Timestamp) -> Option<(Timestamp, ExpirySource)> {
    // What the cloud's clock says, in the time of ours.
    let local = |name: &str, end: Timestamp| values.skew(name).unwrap_or_default().local(end);
    match source {
        Expiry::Jwt(name) => Some((jwt(name, values)?, ExpirySource::Jwt)),
        Expiry::Epoch(name) => Some((local(name, epoch(values.get(name)?.expose())?), ExpirySource::Epoch)),
        Expiry::Date(name) => {
            let date: jiff::Timestamp = values.get(name)?.expose().parse().ok()?;
            Some((local(name, Timestamp::from_millis(date.as_millisecond())), ExpirySource::Epoch))
        }
        Expiry::Seconds(name) => {
            let seconds = number(values.get(name)?.expose())?;
            // Counted from when the request was sent: the cloud may have begun to count then.
            let start = values.taken_at(name).unwrap_or(obtained_at);
            (seconds <= LONGEST_SECONDS)
                .then(|| (start.after(Duration::from_secs_f64(seconds)), ExpirySource::Relative))
        }
        Expiry::Assume(_) => None,
    }
}

/// The end of the JWT `name`, in the time of our clock.
///
/// Where the reply did not tell the cloud's time, the token may: one that was issued in our future, or has ended before it
/// was asked for, was issued by another clock, and its `iat` says by which.
fn jwt(name: &str, values: &Values) -> Option<Timestamp> {
    let Claims { end, issued } = claims(values.get(name)?.expose())?;
    let (skew, asked_at, issued) = match (values.skew(name), values.taken_at(name), issued) {
        (Some(skew), ..) => return Some(skew.local(end)),
        (None, Some(asked_at), Some(issued)) if issued < end => (Skew::between(asked_at, issued), asked_at, issued),
        _ => return Some(end),
    };
    let impossible = issued.since(asked_at) > NO_SKEW || end <= asked_at;
    Some(if impossible { skew.local(end) } else { end })
}

/// What a JWT claims about its life.
struct Claims {
    end: Timestamp,
    issued: Option<Timestamp>,
}

/// The `exp` and `iat` of a JWT's claims; `None` if it is no JWT or has no `exp` that makes sense.
fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let claims = Json::read(&decode_base64url(claims)?).ok()?;
    let moment = |claim: &str| match claims.pointer(claim)? {
        Json::Number(number) => epoch(number),
        Json::Text(text) => epoch(text.expose()),
        _ => None,
    };
    Some(Claims { end: moment("/exp")?, issued: moment("/iat") })
}

/// A moment in seconds or milliseconds since the Unix epoch.
#[expect(clippy::cast_possible_truncation, reason = "bounded by LAST_MILLIS")]
fn epoch(text: &str) -> Option<Timestamp> {
    let value = number(text)?;
    let millis = if value >= FIRST_MILLIS { value } else { value * 1000.0 };
    (millis <= LAST_MILLIS).then(|| Timestamp::from_millis(millis as i64))
}

/// A positive, finite number.
fn number(text: &str) -> Option<f64> {
    let value: f64 = text.trim().parse().ok()?;
    (value.is_finite() && value > 0.0).then_some(value)
}

#[cfg(test)]
pub(super) fn end_of(token: &str) -> Option<Timestamp> {
    claims(token).map(|claims| claims.end)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    use super::end_of as jwt;

    fn token(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn exp_is_read_in_seconds_and_in_milliseconds() {
        assert_eq!(jwt(&token(r#"{"exp":1677925864}"#)), Some(Timestamp::from_seconds(1_677_925_864)));
        assert_eq!(jwt(&token(r#"{"exp":1464587176910}"#)), Some(Timestamp::from_millis(1_464_587_176_910)));
        assert_eq!(jwt(&token(r#"{"exp":1677925864.5}"#)), Some(Timestamp::from_millis(1_677_925_864_500)));
        assert_eq!(jwt(&token(r#"{"exp":"1677925864"}"#)), Some(Timestamp::from_seconds(1_677_925_864)));
    }

    #[test]
    fn an_exp_that_makes_no_sense_is_unknown_and_no_error() {
        for claims in [
            "{}",
            "[]",
            r#"{"exp":-1}"#,
            r#"{"exp":0}"#,
            r#"{"exp":null}"#,
            r#"{"exp":"NaN"}"#,
            r#"{"exp":"inf"}"#,
            r#"{"exp":"soon"}"#,
            r#"{"exp":1e300}"#,
            r#"{"exp":[1]}"#,
            r#"{"exp":true}"#,
            r#"{"exp":1,"exp":2}"#,
        ] {
            assert_eq!(jwt(&token(claims)), None, "{claims}");
        }
        for token in ["", "opaque", "a.b", "a.b.c", "a.!!.c", "a.b.c.d", "..", "a.eyJleHAiOjF.c"] {
            assert_eq!(jwt(token), None, "{token}");
        }
    }
}
