//! Showing a new seed to the human, once, as an address and as a picture that an authenticator can scan.

use cloud_agent_protocol::v1::Show;
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use qrcodegen::{QrCode, QrCodeEcc};
use zeroize::Zeroizing;

use super::run::Conversation;
use super::totp;
use crate::cloud::{Enrol, percent_encode};
use crate::provider::Ask;

/// Modules of nothing around the picture, without which no scanner finds it.
const QUIET: i32 = 4;

impl Conversation<'_> {
    pub(super) async fn enrol(&self, enrol: &Enrol, ask: Option<&dyn Ask>) -> Result<(), Fault> {
        let seed = self.values.get(&enrol.seed).filter(|seed| totp::decode(seed.expose()).is_some());
        let (Some(seed), Some(ask)) = (seed, ask) else {
            let message = format!("`{}` gave no seed that an authenticator takes", self.account.cloud.title);
            return Err(
                Fault::new(FaultKind::MalformedReply, message).because(format!("`{}` is no base32", enrol.seed))
            );
        };
        let label = enrol.label.as_ref().and_then(|label| label.render(|name| self.values.get(name)).ok()?);
        let label = label.unwrap_or_else(|| Secret::from(self.account.name.as_str()));
        let address = address(&enrol.issuer, label.expose(), seed);
        let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
        text.push_str(&address);
        text.push_str("\n\n");
        // An address that is too long for a picture can still be copied.
        if let Ok(code) = QrCode::encode_text(&address, QrCodeEcc::Low) {
            picture(&code, &mut text);
        }
        let title = "Scan this with your authenticator, or copy the address into it; it is shown only once";
        ask.show(Show { title: title.to_owned(), text: Secret::new(std::mem::take(&mut *text)) }).await
    }
}

fn address(issuer: &str, label: &str, seed: &Secret) -> Zeroizing<String> {
    let size = 64 + 3 * (2 * issuer.len() + label.len()) + seed.len();
    let mut address = Zeroizing::new(String::with_capacity(size));
    address.push_str("otpauth://totp/");
    percent_encode(&mut address, issuer);
    address.push(':');
    percent_encode(&mut address, label);
    address.push_str("?secret=");
    address.extend(seed.expose().chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()));
    address.push_str("&issuer=");
    percent_encode(&mut address, issuer);
    address
}

/// Two rows of modules a line, a block where it is dark.
fn picture(code: &QrCode, text: &mut String) {
    let end = code.size() + QUIET;
    for y in (-QUIET..end).step_by(2) {
        for x in -QUIET..end {
            text.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_that_authenticators_take() {
        let seed = Secret::from("gezd gnbv====");
        assert_eq!(
            address("Acme & Co", "me@acme", &seed).as_str(),
            "otpauth://totp/Acme%20%26%20Co:me%40acme?secret=GEZDGNBV&issuer=Acme%20%26%20Co"
        );
    }

    #[test]
    fn the_picture_has_its_finders_and_its_quiet_zone() {
        let mut text = String::new();
        picture(
            &QrCode::encode_text("otpauth://totp/a:b?secret=GEZDGNBV&issuer=a", QrCodeEcc::Low).unwrap(),
            &mut text,
        );
        let lines: Vec<&str> = text.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width) && (lines.len() * 2).abs_diff(width) <= 1);
        assert!(lines[0].trim().is_empty() && lines[1].trim().is_empty());
        assert!(lines[2].starts_with("    █▀▀▀▀▀█ ") && lines[2].ends_with(" █▀▀▀▀▀█    "), "{text}");
    }
}
