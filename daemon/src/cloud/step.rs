//! What a step sends, takes, and makes of the reply. Only data: the engine that acts on it is in `provider::recipe`.

use cloud_agent_protocol::FaultKind;

use super::template::Template;

/// One request and what its reply means.
#[derive(Debug)]
pub struct Step {
    /// Its name, by which a reply leads to it and errors speak of it.
    pub name: String,
    /// The optional value without which it is left out, as a field would be.
    pub needs: Option<String>,
    /// `GET`, `POST` …
    pub verb: String,
    /// Which origin it goes to; empty for the main one.
    pub origin: String,
    /// The path below the origin; values in it are percent-encoded.
    pub path: Template,
    /// Query parameters; one whose value is absent is left out.
    pub query: Vec<(String, Template)>,
    /// Headers; one whose value is absent is left out.
    pub headers: Vec<HeaderTemplate>,
    /// Whether the credential's own headers are sent too.
    pub present: bool,
    /// The body.
    pub body: StepBody,
    /// Which statuses are good; empty for every 2xx.
    pub accepted: Vec<u16>,
    /// What to take from a good reply.
    pub takes: Vec<Take>,
    /// What a reply means, the first that matches; empty for "go on".
    pub replies: Vec<Reply>,
    /// Where the default judgement of a bad reply is wrong; before the cloud's own.
    pub faults: Vec<FaultRule>,
    /// A seed to show to the human once; in actions only.
    pub enrol: Option<Enrol>,
    /// What to list of the reply; in actions only.
    pub list: Option<List>,
}

/// A TOTP seed that the human puts into an authenticator.
#[derive(Debug)]
pub struct Enrol {
    /// The value that is the seed, in base32.
    pub seed: String,
    /// What the authenticator calls the cloud.
    pub issuer: String,
    /// What it calls the login; the account's name if a value is absent.
    pub label: Option<Template>,
}

/// Rows of a reply.
#[derive(Debug)]
pub struct List {
    /// The pointer to the array; `None` if the whole body is it.
    pub at: Option<String>,
    /// Pointers into each element, one per column; `-` in one stands for every element of an array.
    pub show: Vec<String>,
}

/// A header to send or to present.
#[derive(Debug, Clone)]
pub struct HeaderTemplate {
    /// In the case that the cloud expects.
    pub name: String,
    /// Its value.
    pub value: Template,
}

/// A step's body.
#[derive(Debug)]
pub enum StepBody {
    /// None at all.
    Empty,
    /// `application/json`.
    Json(JsonTemplate),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
}

/// JSON whose texts are templates. A member or element whose value is absent disappears; so does an object or array that
/// is emptied by that.
#[derive(Debug)]
pub enum JsonTemplate {
    /// A text, or a number if the template is one `{name:int}`.
    Text(Template),
    /// A literal number, `true` or `false`.
    Literal(serde_json::Value),
    /// An array.
    Array(Vec<JsonTemplate>),
    /// An object.
    Object(Vec<(String, JsonTemplate)>),
}

/// Something to take from a reply.
#[derive(Debug)]
pub struct Take {
    /// What it is called from then on.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// Its absence is no error.
    pub optional: bool,
}

/// Where in a reply something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// The whole body, white space around it and one pair of JSON quotes removed.
    Text,
    /// A JSON pointer into a body that is a JSON object, else the whole body as with [`Self::Text`].
    PointerOrText(String),
    /// A header, its name in lower case.
    Header(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pointer(pointer) => write!(f, "`{pointer}`"),
            Self::Text => f.write_str("the body"),
            Self::PointerOrText(pointer) => write!(f, "`{pointer}` or the body"),
            Self::Header(name) => write!(f, "the header `{name}`"),
        }
    }
}

/// What a reply means, if `when` holds.
#[derive(Debug)]
pub struct Reply {
    /// All of it must hold.
    pub when: Vec<Condition>,
    /// What then.
    pub then: Outcome,
}

/// What follows from a reply.
#[derive(Debug)]
pub enum Outcome {
    /// The credential is there.
    Grant,
    /// Go on with the step of this index, which is later than this one.
    Step(usize),
    /// It failed.
    Fault(Verdict),
}

/// An equality.
#[derive(Debug)]
pub struct Condition {
    /// What is compared.
    pub subject: Subject,
    /// With what; numbers and truth values in their JSON spelling.
    pub equals: String,
}

/// What a condition compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The HTTP status.
    Status,
    /// A value that was taken.
    Taken(String),
    /// A JSON pointer into the body.
    Pointer(String),
}

/// Which fault a bad reply is.
#[derive(Debug)]
pub struct FaultRule {
    /// One of these statuses; empty for any that is not accepted.
    pub statuses: Vec<u16>,
    /// All of it must hold.
    pub when: Vec<Condition>,
    /// The fault.
    pub verdict: Verdict,
}

/// A fault, as a cloud file words it.
#[derive(Debug)]
pub struct Verdict {
    /// What the caller should do.
    pub kind: FaultKind,
    /// What happened; a default by its kind if left out.
    pub message: Option<String>,
    /// What mends it; only `{account}` may stand in it.
    pub hint: Option<Template>,
}

/// Where an expiry is learnt from.
#[derive(Debug)]
pub enum Expiry {
    /// The `exp` claim of the JWT of this name.
    Jwt(String),
    /// A number of seconds from when the request was sent.
    Seconds(String),
    /// A moment, in seconds or milliseconds since the Unix epoch.
    Epoch(String),
    /// A moment as RFC 3339 writes it.
    Date(String),
    /// A lifetime in seconds, if nothing else tells one.
    Assume(u64),
}

impl JsonTemplate {
    /// Whether the value `name` stands in it.
    pub(crate) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Text(template) => template.names().any(|other| other == name),
            Self::Literal(_) => false,
            Self::Array(elements) => elements.iter().any(|element| element.uses(name)),
            Self::Object(members) => members.iter().any(|(_, member)| member.uses(name)),
        }
    }
}
