//! A cached credential on its way to the agent that comes after this one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::{AccountName, Secret};
use zeroize::Zeroizing;

use super::{Cached, decoded, label_of};
use crate::clock::Timestamp;
use crate::hardening::Kept;
use crate::packed::Packed;

const FRAME: &str = "frame";
const ENVIRONMENT: &str = "environment";
const EXPIRES: &str = "expires";
const OBTAINED: &str = "obtained-up";
const LIFE: &str = "life";
const AHEAD: &str = "ahead";

impl Cached {
    /// All of it, by name. Uptimes mean the same to every process since the machine was started.
    pub(crate) fn parts(&self) -> Vec<(String, Secret)> {
        let bytes = |bytes: &[u8]| Secret::new(STANDARD.encode(bytes));
        let number = |number: u128| Secret::new(number.to_string());
        let mut parts = vec![
            (FRAME.to_owned(), bytes(&self.frame)),
            (ENVIRONMENT.to_owned(), bytes(self.environment.as_bytes())),
            (OBTAINED.to_owned(), number(self.obtained_up.as_millis())),
            (AHEAD.to_owned(), number(self.ahead.into())),
        ];
        if let Some(end) = self.expires_at {
            parts.push((EXPIRES.to_owned(), Secret::new(end.millis().to_string())));
        }
        if let Some(life) = self.life {
            parts.push((LIFE.to_owned(), number(life.as_millis())));
        }
        parts
    }

    /// From those, of the account `name`; `None` if they are not whole. What is not known here is left out.
    pub(crate) fn from_parts<'a>(name: &AccountName, part: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let bytes = |name: &str| STANDARD.decode(part(name)?).ok().map(Zeroizing::new);
        let millis = |name: &str| part(name)?.parse().ok().map(Duration::from_millis);
        let frame = bytes(FRAME)?;
        Some(Self {
            label: label_of(name, &decoded(&frame)?),
            frame: Kept::copy_of(&frame),
            environment: Packed::from_bytes(&bytes(ENVIRONMENT)?),
            expires_at: part(EXPIRES).and_then(|end| end.parse().ok()).map(Timestamp::from_millis),
            obtained_up: millis(OBTAINED)?,
            life: millis(LIFE),
            ahead: part(AHEAD)?.parse().ok()?,
        })
    }
}
