//! Claims that make of a token more than callers may have: a JWT that carries a refresh token is a session, not a credential.

use cloud_agent_protocol::{Credential, Fault, FaultKind, Secret};

use super::json::Json;
use super::run::Conversation;
use super::take::decode_base64url;

impl Conversation<'_> {
    /// No credential leaves whose token, headers or variables are JWTs with a claim that must not.
    pub(super) fn refuse_claims(&self, credential: &Credential) -> Result<(), Fault> {
        let fields = credential.headers.iter().chain(&credential.environment).map(|field| &field.value);
        for value in fields.chain(&credential.token) {
            let Some(claim) = self.method.never_claims.iter().find(|claim| has_claim(value, claim)) else { continue };
            let title = &self.account.cloud.title;
            // Not `Refused`: a renewal would take that for a reason to log in again, and lose the hint.
            let fault = Fault::new(FaultKind::Config, format!("the token of `{title}` may not be handed out"))
                .because(format!("it carries the claim `{claim}`, with which it is worth more than a token"));
            let account = Secret::from(self.account.name.as_str());
            let hint = self.method.never_claims_hint.as_ref().and_then(|hint| hint.render(|_| Some(&account)).ok()?);
            return Err(match hint {
                Some(hint) => fault.hint(hint.expose()),
                None => fault,
            });
        }
        Ok(())
    }
}

/// Whether a word of `value` is a JWT that claims `claim`, whatever is claimed.
fn has_claim(value: &Secret, claim: &str) -> bool {
    value.expose().split([' ', ',', ';', '=']).any(|word| {
        let mut parts = word.split('.');
        let (Some(_), Some(claims), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return false };
        let Some(claims) = decode_base64url(claims) else { return false };
        match Json::read(&claims) {
            Ok(json) => json.member(claim).is_some(),
            // What this parser refuses, such as a name that is there twice, another may accept.
            Err(_) => String::from_utf8_lossy(&claims).contains(claim),
        }
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_claim_is_found_wherever_the_jwt_stands_and_whatever_it_is() {
        let jwt = |claims: &str| format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let refresh = jwt(r#"{"refresh_token":null}"#);
        let twice = jwt(r#"{"refresh_token":"a","refresh_token":"b"}"#);
        for value in [refresh.clone(), format!("bearer {refresh}"), format!("jwt={refresh}"), twice] {
            assert!(has_claim(&Secret::new(value), "refresh_token"));
        }
        for value in [
            jwt(r#"{"sub":"refresh_token"}"#),
            jwt(r#"{"x":{"refresh_token":1}}"#),
            "opaque".into(),
            "a.!.c".into(),
            String::new(),
        ] {
            assert!(!has_claim(&Secret::new(value), "refresh_token"));
        }
    }
}
