//! `clouds`: what is known, and what each asks.

use std::fmt::Write;
use std::time::Duration;

use cloud_agent_protocol::v1::{CloudInfo, ListClouds, Request, Response};

use crate::client::{Client, unexpected};
use crate::report::{Failure, printable};
use crate::stdio;

/// Lists the clouds, or describes one.
#[cold]
pub(crate) fn run(name: Option<String>, timeout: Duration) -> Result<(), Failure> {
    let one = name.is_some();
    let clouds = match Client::new(timeout)?.ask(&Request::Clouds(ListClouds { name }))? {
        Response::Clouds(clouds) => clouds.clouds,
        other => return Err(unexpected(&other)),
    };
    let text = if one { clouds.iter().map(describe).collect() } else { list(&clouds) };
    stdio::stdout(text.as_bytes())
}

fn list(clouds: &[CloudInfo]) -> String {
    let width = clouds.iter().map(|cloud| cloud.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for cloud in clouds {
        let methods = cloud.methods.iter().map(|method| printable(&method.name)).collect::<Vec<_>>().join(", ");
        let own = if cloud.built_in { "" } else { " (your own file)" };
        let (name, title) = (printable(&cloud.name), printable(&cloud.title));
        writeln!(text, "{name:width$}  {title}{own}: {methods}").expect("a string takes every write");
    }
    text
}

fn describe(cloud: &CloudInfo) -> String {
    let name = printable(&cloud.name);
    let own = if cloud.built_in { "built in" } else { "your own file" };
    let mut text = format!("{name}: {} ({own})\n{}\n", printable(&cloud.title), printable(&cloud.docs));
    for origin in &cloud.origins {
        let option = if origin.name.is_empty() { "URL".to_owned() } else { format!("{}=URL", printable(&origin.name)) };
        let default =
            origin.default.as_deref().map_or("must be given".to_owned(), |url| format!("default {}", printable(url)));
        writeln!(text, "\n--url {option}  {} ({default})", printable(&origin.prompt))
            .expect("a string takes every write");
    }
    for (i, method) in cloud.methods.iter().enumerate() {
        let default = if i == 0 { " (default)" } else { "" };
        writeln!(text, "\n--method {}{default}  {}", printable(&method.name), printable(&method.title))
            .expect("a string takes every write");
        for ask in &method.asks {
            let option = match (ask.at_login, ask.secret) {
                (true, _) => format!("asked at login: {}", printable(&ask.name)),
                (false, true) => format!("--secret {}=SOURCE", printable(&ask.name)),
                (false, false) => format!("--set {}=VALUE", printable(&ask.name)),
            };
            let optional = if ask.optional { " (optional)" } else { "" };
            writeln!(text, "  {option}  {}{optional}", printable(&ask.prompt)).expect("a string takes every write");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::{AskInfo, MethodInfo, OriginInfo};

    use super::*;

    fn cloud() -> CloudInfo {
        let ask = |name: &str, secret, at_login| AskInfo {
            name: name.into(),
            prompt: format!("the {name}"),
            secret,
            optional: at_login,
            at_login,
        };
        CloudInfo {
            name: "acme".into(),
            title: "Acme".into(),
            docs: "https://acme.example/docs".into(),
            built_in: true,
            origins: vec![
                OriginInfo { name: String::new(), default: None, prompt: "portal".into() },
                OriginInfo { name: "iam".into(), default: Some("https://iam.example".into()), prompt: "logins".into() },
            ],
            methods: vec![MethodInfo {
                name: "password".into(),
                title: "user and password".into(),
                asks: vec![ask("username", false, false), ask("password", true, false), ask("code", true, true)],
            }],
        }
    }

    #[test]
    fn a_list_has_one_aligned_line_per_cloud() {
        let own = CloudInfo { name: "longer".into(), built_in: false, ..cloud() };
        assert_eq!(list(&[cloud(), own]), "acme    Acme: password\nlonger  Acme (your own file): password\n");
    }

    #[test]
    fn a_description_shows_the_options_that_a_login_takes() {
        assert_eq!(
            describe(&cloud()),
            "acme: Acme (built in)\nhttps://acme.example/docs\n\
             \n--url URL  portal (must be given)\n\
             \n--url iam=URL  logins (default https://iam.example)\n\
             \n--method password (default)  user and password\n\
             \x20 --set username=VALUE  the username\n\
             \x20 --secret password=SOURCE  the password\n\
             \x20 asked at login: code  the code (optional)\n"
        );
    }
}
