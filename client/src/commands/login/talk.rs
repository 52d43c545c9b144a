//! A login as it was given and answered, so that it can be said again: by whoever types it once more, and by a script. It keeps
//! no secret.

use std::time::Duration;

use cloud_agent_protocol::v1::{AccountStatus, CloudInfo, ListClouds, Login, MethodInfo, Question, Request, Response};
use cloud_agent_protocol::{AccountName, Secret};

use crate::client::Client;
use crate::commands::given;
use crate::dialogue::Memory;

/// How long the agent may take to say where a login goes: whoever waits for what came of it has waited already.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
pub(super) struct Talk {
    pub(super) account: String,
    cloud: Option<String>,
    method: Option<String>,
    remember: bool,
    ephemeral: bool,
    /// `--url`, `--set` and `--secret` as they were given.
    given: Vec<Given>,
    heard: Vec<Heard>,
    /// Where it goes, once that was looked up.
    place: Option<Place>,
    /// Counts the tries.
    attempt: u8,
    /// They gave up.
    over: bool,
}

/// An option and its value.
pub(super) type Given = (&'static str, String);

/// A question that was answered.
struct Heard {
    question: Question,
    /// The answer, if it is no secret.
    said: Option<String>,
    /// In which try, and how often in that.
    attempt: u8,
    times: u8,
}

/// Where a login goes, as far as the agent knows.
pub(super) struct Place {
    /// The account, if there is one of that name.
    pub(super) account: Option<AccountStatus>,
    pub(super) cloud: CloudInfo,
}

impl Talk {
    /// `sources` is where secrets are read from.
    pub(super) fn new(login: &Login, sources: &[String]) -> Self {
        let named =
            |name: &str, value: &str| if name.is_empty() { value.to_owned() } else { format!("{name}={value}") };
        let origins = login.origins.iter().map(|it| ("--url", named(&it.name, &it.value)));
        let settings = login.settings.iter().map(|it| ("--set", named(&it.name, &it.value)));
        let secrets = sources.iter().map(|source| ("--secret", source.clone()));
        Self {
            account: login.account.clone(),
            cloud: login.cloud.clone(),
            method: login.method.clone(),
            remember: login.remember,
            ephemeral: login.ephemeral,
            given: origins.chain(settings).chain(secrets).collect(),
            heard: Vec::new(),
            place: None,
            attempt: 0,
            over: false,
        }
    }

    /// One whose place is known.
    #[cfg(test)]
    pub(super) fn at(place: Place, login: &Login, sources: &[String]) -> Self {
        Self { place: Some(place), ..Self::new(login, sources) }
    }

    /// Begins anew: what was answered so far is proposed.
    pub(super) fn begin_anew(&mut self) {
        self.attempt += 1;
    }

    /// Whether anything was asked.
    pub(super) fn is_silent(&self) -> bool {
        self.heard.is_empty()
    }

    /// The cloud that was named, on the command line or as an answer.
    pub(super) fn cloud(&self) -> Option<&str> {
        let heard = self.heard.iter().find(|heard| heard.is_of_the_cloud()).and_then(|heard| heard.said.as_deref());
        self.cloud.as_deref().or(heard)
    }

    /// The way in that was named.
    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The secrets that were typed in this try, as they were asked for.
    pub(super) fn secrets(&self) -> Vec<Question> {
        let typed = self.typed().filter(|heard| heard.question.secret && !self.is_code(&heard.question.name));
        typed.map(|heard| heard.question.clone()).collect()
    }

    /// Whether something was typed in this try that may be typed otherwise in the next. A code that was refused as often as the
    /// agent asks for one is not: clouds lock logins after a few more.
    pub(super) fn may_be_otherwise(&self) -> bool {
        let exhausted = self.typed().any(|heard| heard.times > 1 && self.is_code(&heard.question.name));
        let typed = self.typed().any(|heard| !heard.is_of_the_cloud());
        typed && !exhausted && !self.over && self.place.is_some()
    }

    fn typed(&self) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(|heard| heard.attempt == self.attempt)
    }

    /// Looks up where it goes. What goes wrong with that is not worth a word.
    pub(super) fn look(&mut self) -> Option<&Place> {
        if self.is_silent() && self.given.is_empty() {
            return None;
        }
        let ask = |request: &Request| Client::new(PATIENCE).ok()?.without_autostart().ask(request).ok();
        let Response::Status(status) = ask(&Request::Status)? else { return None };
        let Response::Clouds(clouds) = ask(&Request::Clouds(ListClouds { name: None }))? else { return None };
        let account = status.accounts.into_iter().find(|it| it.name.eq_ignore_ascii_case(&self.account));
        let names = match (self.cloud(), &account) {
            (Some(named), _) => vec![named],
            (None, Some(account)) => vec![account.cloud.as_str()],
            (None, None) => vec![self.account.as_str(), AccountName::stem(&self.account)],
        };
        let find = |name: &str| clouds.clouds.iter().find(|cloud| cloud.name.eq_ignore_ascii_case(name)).cloned();
        let cloud = names.into_iter().find_map(find)?;
        self.place = Some(Place { account, cloud });
        self.place.as_ref()
    }

    /// Where it goes, if that was looked up.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The account and its cloud, as a fault names them.
    pub(super) fn names(&self) -> Vec<String> {
        let cloud = self.place.as_ref().map(|place| format!("the cloud {} ", place.cloud.title));
        [format!("`{}`", self.account)].into_iter().chain(cloud).collect()
    }

    /// What was given, less what is good only once.
    pub(super) fn given(&self) -> impl Iterator<Item = Given> {
        let is_code = |value: &str| value.split_once('=').is_some_and(|(name, _)| self.is_code(name));
        self.given.iter().filter(move |(option, value)| *option == "--url" || !is_code(value)).cloned()
    }

    /// What was answered, in the form in which it can be given. A secret that was typed is to be read from the environment. Codes
    /// are not in it, the next login has others; and neither is the cloud.
    pub(super) fn answers(&self) -> Vec<Given> {
        let Some(place) = &self.place else { return Vec::new() };
        let option = |heard: &Heard| {
            let name = &heard.question.name;
            let asked = self.method_of(place).is_some_and(|method| method.asks.iter().any(|ask| ask.name == *name));
            match &heard.said {
                _ if self.is_code(name) => None,
                Some(said) if said.is_empty() => None,
                Some(said) if asked => Some(("--set", format!("{name}={said}"))),
                None => Some(("--secret", format!("{name}=env:{}", variable(name)))),
                Some(said) if name == "url" => Some(("--url", said.clone())),
                Some(said) => {
                    let is_origin = place.cloud.origins.iter().any(|origin| origin.name == *name);
                    is_origin.then(|| ("--url", format!("{name}={said}")))
                }
            }
        };
        self.heard.iter().filter_map(option).collect()
    }

    /// The flags that were given.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static str> {
        let flags = [("--remember", self.remember), ("--ephemeral", self.ephemeral)];
        flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag)
    }

    fn is_code(&self, name: &str) -> bool {
        let method = self.place.as_ref().and_then(|place| self.method_of(place));
        method.is_some_and(|method| method.asks.iter().any(|ask| ask.name == name && ask.at_login))
    }

    /// The way in: the one that was named, else the account's own, else the cloud's first.
    fn method_of<'a>(&self, place: &'a Place) -> Option<&'a MethodInfo> {
        let own = place.account.as_ref().filter(|account| account.cloud.eq_ignore_ascii_case(&place.cloud.name));
        match self.method.as_deref().or(own.map(|account| account.method.as_str())) {
            Some(name) => place.cloud.methods.iter().find(|method| method.name == name),
            None => place.cloud.methods.first(),
        }
    }
}

impl Memory for Talk {
    fn hear(&mut self, question: &Question, said: Option<&Secret>) {
        let Some(said) = said else {
            self.over = true;
            // What is asked for again in one try was no answer, and may be what nobody is to see: a password in an address.
            self.heard.retain(|heard| heard.question.name != question.name || heard.attempt < self.attempt);
            return;
        };
        let value = (!question.secret).then(|| said.expose().trim().to_owned());
        let attempt = self.attempt;
        let new = |times| Heard { question: question.clone(), said: value, attempt, times };
        match self.heard.iter_mut().find(|heard| heard.question.name == question.name) {
            Some(heard) if heard.attempt == attempt => *heard = new(heard.times.saturating_add(1)),
            Some(heard) => *heard = new(1),
            None => self.heard.push(new(1)),
        }
    }

    fn proposal(&self, question: &Question) -> Option<String> {
        let heard = self.heard.iter().find(|heard| heard.question.name == question.name)?;
        // What was said in this try was no answer, or it would not be asked for again.
        let is_earlier = heard.attempt < self.attempt && !self.is_code(&question.name);
        heard.said.clone().filter(|said| is_earlier && !question.secret && !said.is_empty())
    }
}

impl Heard {
    fn is_of_the_cloud(&self) -> bool {
        self.question.name == "cloud" && !self.question.choices.is_empty()
    }
}

/// Whether `url`, as it is given, is the main one.
pub(super) fn is_main(url: &str) -> bool {
    given::origin(url).name.is_empty()
}

/// The variable that a script has the secret `name` in.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
