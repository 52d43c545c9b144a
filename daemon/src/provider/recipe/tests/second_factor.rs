//! Codes: by the agent from a held seed, by the human, and again if they were wrong.

use super::*;

/// RFC 6238's key.
const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A password and perhaps a code in one request; or first a text message.
const ENROLLED: &str = r#"
[[method]]
name    = "password"
title   = "Password"
headers = ["Authorization: {access}"]
ask     = [
    { name = "password", prompt = "Password", secret = true },
    { name = "code", prompt = "Code", detail = "in your app", secret = true, at-login = true, digits = true, optional = true, totp = "seed" },
]
[[method.login]]
request = "POST /login"
json    = { password = "{password}", twofa = "{code}" }
take    = { access = "/access" }
"#;

fn enrolled() -> World {
    World::new(&format!("{HEAD}{ENROLLED}"), "password")
}

/// Answers in turn, and remembers what they were told.
struct Teller {
    answers: Mutex<VecDeque<&'static str>>,
    details: Mutex<Vec<String>>,
}

impl Teller {
    fn saying(answers: &[&'static str]) -> Self {
        Self { answers: Mutex::new(answers.iter().copied().collect()), details: Mutex::default() }
    }

    fn details(&self) -> Vec<String> {
        self.details.lock().unwrap().clone()
    }
}

impl Ask for Teller {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        self.details.lock().unwrap().push(question.detail.unwrap_or_default());
        let answer = self.answers.lock().unwrap().pop_front().map(Secret::from);
        Box::pin(std::future::ready(answer.ok_or(Fault::new(FaultKind::NeedsHuman, "they gave up"))))
    }

    fn is_anyone_there(&self) -> bool {
        true
    }

    fn show(&self, _: Show) -> Boxed<'_, ()> {
        unreachable!("a login shows nothing")
    }
}

async fn login(world: &World, secrets: &[(&str, &str)], teller: &Teller) -> Result<Grant, Fault> {
    Provider::login(&world.recipe, &world.account, &held(secrets), false, teller).await
}

fn bodies(world: &World) -> Vec<String> {
    world.sent().iter().map(|sent| sent.rsplit(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_held_seed_answers_and_is_held_on() {
    let world = enrolled();
    world.clock.set(Timestamp::from_seconds(59));
    world.replies(200, r#"{"access":"a"}"#);
    let teller = Teller::saying(&[]);
    let grant = login(&world, &[("password", "pw"), ("seed", SEED)], &teller).await.unwrap();
    assert_eq!(bodies(&world), [r#"{"password":"pw","twofa":"287082"}"#]);
    assert_eq!(shown(&grant.held), format!("seed={SEED}"), "and the password is not, for nobody said --remember");
    assert!(teller.details().is_empty(), "nobody is asked");
}

#[tokio::test]
async fn a_renewal_may_use_the_seed_and_never_the_same_code_twice() {
    let world = enrolled();
    world.clock.set(Timestamp::from_seconds(59));
    let secrets = [("password", "pw"), ("seed", SEED)];
    world.replies(200, r#"{"access":"a"}"#).replies(200, r#"{"access":"b"}"#);
    world.renew(&secrets).await.unwrap();
    let grant = world.renew(&secrets).await.unwrap();
    assert_eq!(
        bodies(&world),
        [r#"{"password":"pw","twofa":"287082"}"#, r#"{"password":"pw","twofa":"359152"}"#],
        "the second waits for the next step"
    );
    assert_eq!(world.clock.now().seconds(), 60);
    assert_eq!(shown(&grant.held), format!("password=pw seed={SEED}"));
}

#[tokio::test]
async fn a_code_that_was_given_is_not_replaced_by_the_agents() {
    let world = enrolled();
    world.replies(200, r#"{"access":"a"}"#);
    login(&world, &[("password", "pw"), ("seed", SEED), ("code", "000 111")], &Teller::saying(&[])).await.unwrap();
    assert_eq!(bodies(&world), [r#"{"password":"pw","twofa":"000111"}"#]);
}

#[tokio::test]
async fn a_code_that_was_given_is_not_sent_again_within_its_step() {
    let world = enrolled();
    world.clock.set(Timestamp::from_seconds(59));
    world.replies(200, r#"{"access":"a"}"#);
    world.replies(200, r#"{"access":"b"}"#);
    let teller = Teller::saying(&[]);
    login(&world, &[("password", "pw"), ("seed", SEED), ("code", "287082")], &teller).await.unwrap();
    login(&world, &[("password", "pw"), ("seed", SEED)], &teller).await.unwrap();
    assert_eq!(bodies(&world)[1], r#"{"password":"pw","twofa":"359152"}"#);
}

#[tokio::test]
async fn the_agents_code_is_tried_once_more_in_the_next_step_and_then_no_more() {
    let world = enrolled();
    world.clock.set(Timestamp::from_seconds(59));
    world.replies(401, r#"{"detail":"wrong code"}"#).replies(401, r#"{"detail":"wrong code"}"#);
    let fault = login(&world, &[("password", "pw"), ("seed", SEED)], &Teller::saying(&["1"])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(bodies(&world), [r#"{"password":"pw","twofa":"287082"}"#, r#"{"password":"pw","twofa":"359152"}"#]);
}

#[tokio::test]
async fn a_seed_that_is_none_is_a_fault_that_does_not_quote_it() {
    let world = enrolled();
    let fault = login(&world, &[("password", "pw"), ("seed", "sésame")], &Teller::saying(&[])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Config);
    assert!(!format!("{fault:?}").contains("sésame"));
}

#[tokio::test]
async fn a_wrong_code_is_asked_again_without_a_new_text_message() {
    let world = two_factor();
    world
        .replies(200, r#"{"result":"2fa","type":"sms","verification":"v"}"#)
        .replies(204, "")
        .replies(401, r#"{"detail":"the code is wrong"}"#)
        .replies(200, r#"{"token":"t0k"}"#);
    let teller = Teller::saying(&["111111", "222222"]);
    login(&world, &[("password", "pw")], &teller).await.unwrap();
    let sent = world.sent();
    assert_eq!(sent.iter().filter(|sent| sent.contains("request-code")).count(), 1);
    assert!(sent[2].contains("111111") && sent[3].contains("222222"), "{sent:?}");
    assert_eq!(teller.details()[0], "");
    assert!(teller.details()[1].starts_with("not accepted: ") && teller.details()[1].contains("the code is wrong"));
}

#[tokio::test]
async fn a_code_is_asked_three_times_at_most_whatever_was_wrong_with_it() {
    let world = two_factor();
    world
        .replies(200, r#"{"result":"2fa","type":"sms","verification":"v"}"#)
        .replies(204, "")
        .replies(401, "")
        .replies(401, "");
    let teller = Teller::saying(&["12a456", "111111", "222222", "333333"]);
    let fault = login(&world, &[("password", "pw")], &teller).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(world.sent().len(), 4);
    let details = teller.details();
    assert_eq!(details.len(), 3);
    assert!(details[1].contains("has to be digits") && details[2].contains("not accepted"), "{details:?}");
}

#[tokio::test]
async fn who_gives_up_is_told_why_they_were_asked_again() {
    let world = two_factor();
    world
        .replies(200, r#"{"result":"2fa","type":"sms","verification":"v"}"#)
        .replies(204, "")
        .replies(401, r#"{"detail":"the code is wrong"}"#);
    let fault = login(&world, &[("password", "pw")], &Teller::saying(&["111111"])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.to_string().contains("the code is wrong"));
}

#[tokio::test]
async fn a_refusal_of_anything_else_asks_nothing() {
    let world = two_factor();
    world.replies(401, "");
    let teller = Teller::saying(&["111111"]);
    login(&world, &[("password", "pw")], &teller).await.unwrap_err();
    assert!(teller.details().is_empty());
    let world = enrolled();
    world.replies(401, "");
    let teller = Teller::saying(&["", "111111"]);
    login(&world, &[("password", "pw")], &teller).await.unwrap_err();
    assert_eq!(teller.details(), ["in your app"], "no code was sent, so none was wrong");
}

#[tokio::test]
async fn without_anybody_a_given_code_is_sent_once() {
    let world = two_factor();
    world.replies(200, r#"{"result":"2fa","type":"sms","verification":"v"}"#).replies(204, "").replies(401, "");
    let fault = world.login(&[("password", "pw"), ("sms-code", "111111")], &[]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(world.sent().len(), 3);
}
