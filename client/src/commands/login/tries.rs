//! A login that was refused, once more: whoever mistyped their password does not begin from nothing.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use cloud_agent_protocol::v1::{Done, Login, NamedSecret};
use cloud_agent_protocol::{Fault, FaultKind};

use super::talk::Talk;
use crate::client::Client;
use crate::dialogue::{self, Memory as _};
use crate::report::{Failure, printable};
use crate::tty::Human;

/// How often a cloud is asked at most. ssh and sudo give as many, and clouds lock logins after a few more.
const ATTEMPTS: u8 = 3;

/// What a cloud says to a login that it takes no more for a while. To try on would make it longer.
const SHUT: [&str; 10] =
    ["lock", "too many", "throttl", "rate limit", "later", "again in", "exceed", "suspend", "disabled", "banned"];

/// Logs in; if the cloud refuses what `human` has typed, again with what they type instead. What was given is not asked for, and
/// nothing is sent twice unasked.
pub(super) fn log_in(
    mut login: Login,
    talk: &mut Talk,
    mut human: Option<&mut dyn Human>,
    timeout: Duration,
    withheld: &[OsString],
) -> Result<Done, Failure> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        login.cloud = talk.cloud().map(str::to_owned);
        let client = Client::new(timeout)?.withhold(withheld.to_vec());
        let answerer = human.as_mut().map(|human| &mut **human as &mut dyn Human);
        let failure = match dialogue::log_in(login.clone(), answerer, client, talk) {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let Some(human) = human.as_mut().filter(|_| left > 0 && failure.fault.kind == FaultKind::Refused) else {
            return Err(failure);
        };
        talk.look();
        if !may_again(&failure.fault, &talk.names())
            || !talk.may_be_otherwise()
            || !ask_anew(&failure.fault, &mut login, talk, *human).map_err(|e| dialogue::cannot_ask(&e))?
        {
            return Err(failure);
        }
    }
}

/// Says why, and asks for the secrets that were typed; the agent asks for the rest. Whether they were said.
fn ask_anew(fault: &Fault, login: &mut Login, talk: &mut Talk, human: &mut dyn Human) -> io::Result<bool> {
    // Whoever pasted several lines has answered with the first. The others are not sent to the cloud as one try after another.
    human.forget_typed();
    human.tell(&printable(&format!("not accepted: {}; ^D gives up", reason(fault))))?;
    let secrets = talk.secrets();
    talk.begin_anew();
    for question in secrets {
        let said = dialogue::put(&question, None, human)?;
        talk.hear(&question, said.as_ref());
        let Some(value) = said else { return Ok(false) };
        login.secrets.retain(|secret| secret.name != question.name);
        login.secrets.push(NamedSecret { name: question.name, value });
    }
    Ok(true)
}

/// Whether `fault` may be about what was typed, and the cloud takes another try.
fn may_again(fault: &Fault, names: &[String]) -> bool {
    // An account may be called `locks`, and a cloud Block.
    let nameless = |said: &String| names.iter().fold(said.clone(), |said, name| said.replace(name, ""));
    let said = [&fault.message].into_iter().chain(&fault.causes).map(nameless);
    let is_shut = said.map(|said| said.to_lowercase()).any(|said| SHUT.iter().any(|word| said.contains(word)));
    fault.kind == FaultKind::Refused && fault.retry_at.is_none() && !is_shut
}

/// The cloud's own word for it, which is the last cause, if it had any.
fn reason(fault: &Fault) -> &str {
    fault.causes.last().filter(|cause| !cause.starts_with("status ")).unwrap_or(&fault.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_that_is_not_for_now_is_worth_another_try() {
        let refused = |message: &str| Fault::new(FaultKind::Refused, message).because("status 401");
        let names = ["`locks`", "the cloud Block "].map(str::to_owned);
        assert!(may_again(&refused("the cloud Block refused the credentials of account `locks`"), &names));
        assert!(may_again(&refused("no").because("secret incorrect"), &names));
        for shut in [
            "Account is locked",
            "The account is blocked",
            "Too many attempts",
            "Request was throttled.",
            "try again later",
            "Try again in 5 minutes",
            "Maximum number of attempts exceeded",
            "This user is disabled",
        ] {
            assert!(!may_again(&refused("no").because(shut), &names), "{shut}");
        }
        assert!(!may_again(&refused("the login is suspended"), &names));
        assert!(!may_again(&refused("no").retry_at(1_795_319_040), &names));
        for kind in [FaultKind::Unreachable, FaultKind::NeedsHuman, FaultKind::MalformedReply, FaultKind::Config] {
            assert!(!may_again(&Fault::new(kind, "no"), &names), "{kind:?}");
        }
    }

    #[test]
    fn the_reason_is_the_clouds_own_word_if_it_had_one() {
        let fault = Fault::new(FaultKind::Refused, "it was refused").because("status 401");
        assert_eq!(reason(&fault), "it was refused");
        assert_eq!(reason(&fault.because("secret incorrect")), "secret incorrect");
    }
}
