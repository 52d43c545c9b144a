//! A wrong cloud file is met with the file, the line, the key, and what was probably meant.

use crate::cloud::{Cloud, Outcome};
use cloud_agent_protocol::FaultKind;

const GOOD: &str = r#"title = "Acme"
docs = "https://docs.acme.example"
message = ["/detail", "text", "header X-Why"]
[[origin]]
prompt = "Address"
[[origin]]
name = "iam"
default = "https://iam.acme.example/"
[[fault]]
status = [401, 403]
when = { "/code" = "locked" }
kind = "refused"
[[method]]
name = "password"
title = "Password"
hold = ["refresh?"]
headers = ["Authorization: Bearer {access}"]
token = "access"
environment = ["ACME_TOKEN={access}"]
expiry = [{ jwt = "access" }, { assume = "20h" }]
[[method.ask]]
name = "user"
prompt = "User"
[[method.ask]]
name = "password"
prompt = "Password"
secret = true
[[method.ask]]
name = "tenant"
prompt = "Tenant"
optional = true
[[method.login]]
request = "POST /login/{user}"
origin = "iam"
json = { password = "{password}", tenant = "{tenant}" }
take = { access = "/access", refresh = "/refresh?", result = "/result?" }
[[method.login.reply]]
when = { result = "more" }
next = "second"
[[method.login.reply]]
grant = true
[[method.login]]
name = "second"
request = "POST /second"
take = { access = "/access" }
[[method.refresh]]
request = "POST /refresh"
form = { refresh = "{refresh}" }
take = { access = "/access" }
[method.check]
request = "GET /me"
[[action]]
name = "register"
title = "Register"
ask = [{ name = "mail", prompt = "Mail" }]
say = ["look into your mailbox, {mail}"]
[[action.step]]
request = "POST /register"
json = { mail = "{mail}" }
"#;

fn parse(text: &str) -> Result<Cloud, cloud_agent_protocol::Fault> {
    Cloud::parse("acme", "acme.toml", text, false)
}

#[test]
fn a_good_file_is_a_cloud() {
    let cloud = parse(GOOD).unwrap();
    assert_eq!((cloud.title.as_str(), cloud.built_in), ("Acme", false));
    assert_eq!(cloud.origins[1].default.as_deref(), Some("https://iam.acme.example"));
    let method = cloud.method("password").unwrap();
    assert_eq!(method.asks.iter().map(|ask| ask.name.as_str()).collect::<Vec<_>>(), ["user", "password", "tenant"]);
    assert!(matches!(method.login[0].replies[0].then, Outcome::Step(1)));
    assert_eq!(method.login[0].name, "login");
    assert_eq!(cloud.actions[0].name, "register");
}

#[test]
#[rustfmt::skip]
fn what_is_wrong_is_said_with_its_line_and_what_was_meant() {
    // What is replaced, by what, the line, words of the message, words of the hint.
    let cases: &[(&str, &str, usize, &str, &str)] = &[
        ("title = \"Acme\"", "titel = \"Acme\"", 1, "`titel` is not a key here", "`title`"),
        ("title = \"Acme\"", "title = 7", 1, "expected a string", ""),
        ("title = \"Acme\"\n", "", 1, "`title` is missing", ""),
        ("title = \"Acme\"", "title = \"Acme", 1, "", ""),
        ("title = \"Acme\"", "title = \"\"", 1, "`title` is empty", ""),
        ("docs = \"https://", "docs = \"http://", 2, "`docs`", ""),
        ("\"/detail\"", "\"detail\"", 3, "no place in a reply", "JSON pointer"),
        ("\"/detail\"", "\"/a~2\"", 3, "no place in a reply", ""),
        ("header X-Why", "header X Why", 3, "no header name", ""),
        ("prompt = \"Address\"\n", "", 4, "needs a `prompt`", ""),
        ("prompt = \"Address\"", "prompt = \"Address\"\ndefualt = \"x\"", 6, "`defualt` is not a key here", "`default`"),
        ("prompt = \"Address\"", "prompt = \"Address\"\nwithout = \"v3\"", 6, "`without`", ""),
        ("prompt = \"Address\"", "prompt = \"Address\"\nwithout = \"/v3/\"", 6, "`without`", ""),
        ("https://iam.acme.example/", "http://iam.acme.example/", 8, "unencrypted", ""),
        ("https://iam.acme.example/", "http://127.0.0.1/", 8, "`https://`", ""),
        ("name = \"iam\"\n", "", 6, "main one", ""),
        ("[401, 403]", "[401, 999]", 10, "`999` is no status", ""),
        ("[401, 403]", "[]", 10, "`status` is empty", ""),
        ("\"/code\" = \"locked\"", "code = \"locked\"", 11, "JSON pointers", ""),
        ("\"/code\" = \"locked\"", "\"/code\" = [1]", 11, "compares with", ""),
        ("kind = \"refused\"", "kind = \"refusd\"", 12, "no kind of fault", "`refused`"),
        ("name = \"password\"\ntitle", "name = \"Pass Word\"\ntitle", 14, "no name", ""),
        ("hold = [\"refresh?\"]", "hold = [\"refrsh?\"]", 16, "`refrsh`", "`refresh`"),
        ("hold = [\"refresh?\"]", "hold = [\"user\"]", 13, "a setting", ""),
        ("\"Authorization: Bearer {access}\"", "\"Authorization Bearer {access}\"", 17, "`Name: value`", ""),
        ("\"Authorization: Bearer {access}\"", "\"Auth orization: {access}\"", 17, "no header name", ""),
        ("\"Authorization: Bearer {access}\"", "\"Host: {access}\"", 17, "cannot be set", ""),
        ("\"Authorization: Bearer {access}\"", "\"Authorization: {acess}\"", 17, "`acess`", "`access`"),
        ("\"Authorization: Bearer {access}\"", "\"Authorization: {access\"", 17, "without `}`", ""),
        ("[\"Authorization: Bearer {access}\"]\ntoken = \"access\"", "[]", 14, "presents nothing", ""),
        ("token = \"access\"", "token = \"acces\"", 18, "`acces`", "`access`"),
        ("\"ACME_TOKEN={access}\"", "\"LD_PRELOAD={access}\"", 19, "cannot be set by a cloud file", ""),
        ("\"ACME_TOKEN={access}\"", "\"acme={access}\"", 19, "no name of a variable", ""),
        ("{ jwt = \"access\" }", "{ jwt = \"acess\" }", 20, "`acess`", "`access`"),
        ("{ jwt = \"access\" }", "{ jwt = \"access\", epoch = \"access\" }", 20, "one of", ""),
        ("{ jwt = \"access\" }", "{ jtw = \"access\" }", 20, "`jtw` is not a key here", "`jwt`"),
        ("\"20h\"", "\"20 hours\"", 20, "no duration", ""),
        ("name = \"password\"\nprompt", "name = \"user\"\nprompt", 25, "two of the ask `user`", ""),
        ("name = \"password\"\nprompt", "name = \"hold-for\"\nprompt", 25, "`hold-for` is a setting of every account", ""),
        ("name = \"password\"\nprompt", "name = \"hold-idle\"\nprompt", 25, "`hold-idle` is a setting of every account", ""),
        ("secret = true", "secrt = true", 27, "`secrt` is not a key here", "`secret`"),
        ("secret = true", "secret = \"yes\"", 27, "expected a boolean", ""),
        ("secret = true", "unasked = true", 25, "`unasked` is for what is `optional`", ""),
        ("POST /login/{user}", "POST login", 33, "begin with `/`", ""),
        ("POST /login/{user}", "POST {user}", 33, "begin with `/`", ""),
        ("POST /login/{user}", "PSOT /login", 33, "`PSOT` is no verb", "`POST`"),
        ("POST /login/{user}", "/login", 33, "no request", ""),
        ("POST /login/{user}", "POST /login?a=b", 33, "query", ""),
        ("POST /login/{user}", "POST /a/../b", 33, "`..`", ""),
        ("POST /login/{user}", "POST /login/{tenant}", 33, "may be absent", ""),
        ("POST /login/{user}", "GET /login", 33, "no body", ""),
        ("origin = \"iam\"", "needs = \"tenat\"", 34, "`needs` names `tenat`", "`tenant`"),
        ("origin = \"iam\"", "origin = \"imm\"", 34, "no origin `imm`", "`iam`"),
        ("{ password = \"{password}\", tenant", "{ password = \"{pasword}\", tenant", 35, "`json.password` names `pasword`", "`password`"),
        ("{ password = \"{password}\", tenant", "{ when = 2020-01-01, tenant", 35, "no dates", ""),
        ("json = { password", "form = {}\njson = { password", 35, "not both", ""),
        ("access = \"/access\", refresh", "access = \"access\", refresh", 36, "no place in a reply", ""),
        ("access = \"/access\", refresh", "origin = \"/x\", access = \"/access\", refresh", 36, "taken already", ""),
        ("when = { result = \"more\" }", "when = { reslt = \"more\" }", 38, "`reslt`", "`result`"),
        ("when = { result = \"more\" }\n", "", 37, "has to be the last", ""),
        ("when = { result = \"more\" }", "when = { status = 99 }", 38, "no status", ""),
        ("next = \"second\"", "next = \"secnd\"", 39, "no step `secnd`", "`second`"),
        ("next = \"second\"", "next = \"login\"", 39, "leads back", ""),
        ("next = \"second\"", "next = \"second\"\ngrant = true", 37, "one of `grant", ""),
        ("next = \"second\"", "fault = { kind = \"refused\" }", 42, "no reply leads to the step `second`", ""),
        ("when = { result = \"more\" }\nnext = \"second\"", "when = { result = \"more\" }\nnext = \"second\"\nhint = \"x\"", 40, "`hint` is not a key here", ""),
        ("refresh = \"{refresh}\"", "refresh = \"{password}\"", 48, "`form` names `password`", ""),
        ("[method.check]\nrequest = \"GET /me\"", "[method.check]\npresent = \"x\"\nrequest = \"GET /me\"", 51, "boolean", ""),
        ("request = \"POST /refresh\"", "request = \"POST /refresh\"\npresent = true", 48, "no credential yet", ""),
        ("[method.check]\n", "[[method.check]]\n", 50, "there is only one `[method.check]`", "one bracket"),
        ("[[method]]\n", "[method]\n", 13, "there may be several of `[method]`", "`[[method]]`"),
        ("[[method.login]]\nname", "[method.login]\nname", 42, "`[method.login]` is there twice", "`[[method.login]]`"),
        ("[{ jwt = \"access\" }, { assume = \"20h\" }]", "{ jwt = \"access\" }", 20, "several", "an array"),
        ("token = \"access\"\n", "token = \"access\"\ntoken = \"access\"\n", 19, "`token` is there twice", ""),
        ("{ password = \"{password}\", tenant = \"{tenant}\" }", "'{\"password\":\"{password}\"}'", 35, "`json` has to be", "{value}"),
        ("mailbox, {mail}", "mailbox, {male}", 56, "`male`", "`mail`"),
    ];
    for (from, to, line, message, hint) in cases {
        assert!(GOOD.contains(from), "{from}");
        let fault = parse(&GOOD.replacen(from, to, 1)).expect_err(to);
        assert_eq!(fault.kind, FaultKind::Config);
        assert!(fault.message.starts_with(&format!("`acme.toml`, line {line}: ")), "{to}\n{fault}");
        assert!(fault.message.contains(message), "{to}\n{fault}");
        assert!(fault.hint.as_deref().unwrap_or_default().contains(hint), "{to}\n{fault:?}");
    }
}

#[test]
fn an_ending_that_people_give_along_is_dropped_from_an_address() {
    let cloud = parse(&GOOD.replacen("prompt = \"Address\"", "prompt = \"Address\"\nwithout = \"/v3\"", 1)).unwrap();
    let (main, iam) = (&cloud.origins[0], &cloud.origins[1]);
    for (given, want) in [
        ("https://a.example/v3", "https://a.example"),
        ("https://a.example/identity/v3//", "https://a.example/identity"),
        ("https://a.example/identity", "https://a.example/identity"),
        ("https://a.example/v3/x", "https://a.example/v3/x"),
        ("https://a.example/xv3", "https://a.example/xv3"),
        ("https://v3", "https://v3"),
    ] {
        assert_eq!(main.address(given, false).unwrap(), want);
    }
    assert_eq!(iam.address("https://a.example/v3", false).unwrap(), "https://a.example/v3");
    assert!(main.address("http://a.example/v3", false).is_err());
}

#[test]
fn a_file_without_origin_or_method_is_none() {
    let head = "title = \"A\"\ndocs = \"https://a.example\"\n";
    assert!(parse(head).unwrap_err().message.contains("`[[origin]]`"));
    let origin = format!("{head}[[origin]]\nprompt = \"Address\"\n");
    assert!(parse(&origin).unwrap_err().message.contains("`[[method]]`"));
}

#[test]
fn no_text_makes_the_reader_panic() {
    // Every prefix, and every file with one line left out.
    for end in (0..GOOD.len()).filter(|end| GOOD.is_char_boundary(*end)) {
        let _ = parse(&GOOD[..end]);
    }
    let lines: Vec<&str> = GOOD.lines().collect();
    for out in 0..lines.len() {
        let text: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != out).map(|(_, line)| *line).collect();
        let _ = parse(&text.join("\n"));
    }
}

/// A second factor, its enrolment, and a list.
const ENROLS: &str = r#"title = "Acme"
docs = "https://docs.acme.example"
[[origin]]
default = "https://api.acme.example"
[[method]]
name = "password"
title = "Password"
headers = ["Authorization: {scheme?} {access}"]
never-claims = ["refresh_token"]
never-claims-hint = "see {account}"
[[method.ask]]
name = "password"
prompt = "Password"
secret = true
[[method.ask]]
name = "scheme"
prompt = "Scheme"
optional = true
[[method.ask]]
name = "code"
prompt = "Code"
at-login = true
totp = "seed"
[[method.login]]
request = "POST /login"
json = { password = "{password}", code = "{code}" }
take = { access = "/access" }
[[action]]
name = "2fa-enrol"
title = "Enrol"
hold = ["seed"]
forget = ["seed"]
say = ["enrolled {scheme}"]
[[action.step]]
request = "POST /2fa"
take = { seed = "/seed" }
enrol = { seed = "seed", issuer = "Acme", label = "{scheme}" }
list = { at = "/a", show = ["/b"] }
[[example]]
title = "enrols"
action = "2fa-enrol"
answers = { code = ["1", "2"], other = "3" }
[example.done]
says = ["enrolled"]
hold = { seed = "A" }
"#;

#[test]
fn seeds_claims_and_lists_are_read_and_a_seed_is_held_without_being_named() {
    let cloud = parse(ENROLS).unwrap();
    let method = &cloud.methods[0];
    assert_eq!(method.enrolled().collect::<Vec<_>>(), ["seed"]);
    assert!(method.holds[0].optional && method.never_claims == ["refresh_token"]);
    assert_eq!(method.asks[2].totp.as_deref(), Some("seed"));
    let step = &cloud.actions[0].steps[0];
    assert!(step.enrol.is_some() && step.list.as_ref().unwrap().show == ["/b"] && !cloud.actions[0].presents());
    assert_eq!(cloud.examples[0].answers["code"], ["1", "2"]);
    assert_eq!(cloud.examples[0].answers["other"], ["3"]);
}

#[test]
fn what_is_wrong_with_an_enrolment_is_met_with_its_line() {
    for (from, to, line, message) in [
        ("at-login = true\ntotp", "totp", 22, "needs `at-login = true`"),
        ("never-claims-hint = \"see {account}\"", "never-claims-hint = \"see {access}\"", 10, "`{account}` only"),
        ("code = \"{code}\"", "code = \"{scheme?}\"", 26, "for headers and `environment` only"),
        (
            "code = \"{code}\" }",
            "code = \"{code}\" }\nenrol = { seed = \"access\", issuer = \"A\" }",
            27,
            "steps of an action",
        ),
        ("forget = [\"seed\"]", "forget = [\"sed\"]", 32, "never held"),
        ("\"enrolled {scheme}\"", "\"enrolled {seed}\"", 33, "is a secret"),
        ("\"enrolled {scheme}\"", "\"enrolled {password}\"", 33, "not asked, held or taken"),
        ("enrol = { seed = \"seed\"", "enrol = { seed = \"sed\"", 37, "does not take"),
        ("take = { seed = \"/seed\" }", "take = { seed = \"/seed?\" }", 37, "does not take"),
        ("show = [\"/b\"]", "show = []", 38, "`show` is empty"),
        ("show = [\"/b\"]", "show = [\"b\"]", 38, "no JSON pointer"),
        // By its name, as what the method presents, and as what the action holds.
        ("show = [\"/b\"]", "show = [\"/b\", \"/user/apiKey\"]", 38, "`show` names `/user/apiKey`, which is a secret"),
        ("show = [\"/b\"]", "show = [\"/seed\"]", 38, "`show` names `/seed`, which is a secret"),
        ("action = \"2fa-enrol\"", "action = \"enroll\"", 41, "no action `enroll`"),
        ("action = \"2fa-enrol\"", "action = \"2fa-enrol\"\nrun = \"login\"", 42, "not both"),
        (
            "[example.done]\nsays = [\"enrolled\"]\nhold = { seed = \"A\" }\n",
            "result = \"alive\"",
            39,
            "`done` and `fault`",
        ),
        ("name = \"2fa-enrol\"", "name = \"2FA\"", 29, "no name"),
        ("action = \"2fa-enrol\"\n", "", 39, "one of `grant`"),
    ] {
        assert!(ENROLS.contains(from), "{from}");
        let fault = parse(&ENROLS.replacen(from, to, 1)).expect_err(to);
        assert!(fault.message.starts_with(&format!("`acme.toml`, line {line}: ")), "{to}\n{fault}");
        assert!(fault.message.contains(message), "{to}\n{fault}");
    }
}

#[test]
fn what_is_taken_from_a_place_that_names_a_secret_is_not_said() {
    let said = |source: &str| {
        let text = ENROLS.replacen("seed = \"/seed\" }", &format!("seed = \"/seed\", found = \"{source}\" }}"), 1);
        parse(&text.replacen("enrolled {scheme}", "it is {found}", 1))
    };
    assert!(said("/name").is_ok());
    for source in ["/apiKey", "/user/password?", "/seed", "header X-Api-Key"] {
        let fault = said(source).expect_err(source);
        assert!(fault.message.contains("line 33: `say` names `found`, which is a secret"), "{source}: {fault}");
    }
}
