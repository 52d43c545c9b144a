//! Consumers that speak a protocol of their own: one file each, with a pure reader and a pure writer.
//!
//! A front end knows what its consumer sends and expects, and nothing of clouds. Whose credential it takes is found by the
//! agent from the address that the consumer names. Two things are the same for all: an address that is nobody's is answered
//! with "nothing here", so that the consumer goes on as if we were not there; and stdout carries the answer and not one
//! byte more.
//!
//! | module | consumer |
//! |---|---|
//! | `git` | git's credential helpers |
//! | `kubectl` | client-go's exec credentials |
//! | `docker` | docker's credential helpers |
//! | `cargo` | cargo's credential providers |
//! | `terraform` | Terraform's and `OpenTofu`'s credentials helpers |
//! | `bazel` | Bazel's credential helpers |
//! | `aws` | AWS's `credential_process` |
//! | `call` | the arguments that they share, and the question to the agent |
//! | `carry` | what of a credential fits where only one string does |

mod aws;
mod bazel;
mod call;
mod cargo;
mod carry;
mod docker;
mod git;
mod kubectl;
mod terraform;

use std::ffi::{OsStr, OsString};

use crate::report::Failure;
use call::Call;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumer {
    Git,
    Kubectl,
    Docker,
    Cargo,
    Terraform,
    Bazel,
    Aws,
}

/// What the names of programs end in that consumers look for.
const OWN: &[u8] = b"-cloud-token";

impl Consumer {
    /// All of them, as `cloud-token helper` names them.
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("git", Self::Git),
        ("kubectl", Self::Kubectl),
        ("docker", Self::Docker),
        ("cargo", Self::Cargo),
        ("terraform", Self::Terraform),
        ("bazel", Self::Bazel),
        ("aws", Self::Aws),
    ];

    /// The one that calls programs by this name: `git-credential-cloud-token`. Whoever starts us under our own name is
    /// told so by the last few bytes, and pays no more for it.
    pub(crate) fn of_program(name: &OsStr) -> Option<Self> {
        if name.as_encoded_bytes().ends_with(OWN) { of_longer_name(name) } else { None }
    }

    /// The one that `cloud-token helper` calls so.
    pub(crate) fn of_word(word: &OsStr) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, consumer)| *consumer)
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, consumer)| *consumer == self).map_or("", |(word, _)| word)
    }
}

#[cold]
fn of_longer_name(name: &OsStr) -> Option<Consumer> {
    let name = std::path::Path::new(name).file_name()?.to_str()?.strip_suffix("-cloud-token")?;
    // Terraform has its own spelling.
    let word = name.strip_suffix("-credential").or_else(|| name.strip_suffix("-credentials"))?;
    Consumer::of_word(OsStr::new(word))
}

/// Answers a consumer. `args` are what it gave.
///
/// # Errors
/// What is to be told on stderr, and the exit code.
#[cold]
pub(crate) fn run(consumer: Consumer, args: Vec<OsString>) -> Result<(), Failure> {
    let call = Call::parse(consumer, args)?;
    let done = match consumer {
        Consumer::Git => git::run(&call),
        Consumer::Kubectl => kubectl::run(&call),
        Consumer::Docker => docker::run(&call),
        Consumer::Cargo => cargo::run(&call),
        Consumer::Terraform => terraform::run(&call),
        Consumer::Bazel => bazel::run(&call),
        Consumer::Aws => aws::run(&call),
    };
    done.map_err(Failure::in_one_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_find_us_by_their_own_names_for_us() {
        for (name, consumer) in [
            ("git-credential-cloud-token", Some(Consumer::Git)),
            ("/usr/local/bin/docker-credential-cloud-token", Some(Consumer::Docker)),
            ("terraform-credentials-cloud-token", Some(Consumer::Terraform)),
            ("cargo-credential-cloud-token", Some(Consumer::Cargo)),
            ("bazel-credential-cloud-token", Some(Consumer::Bazel)),
            ("cloud-token", None),
            ("my-cloud-token", None),
            ("git-credential-cloud-token.old", None),
            ("", None),
        ] {
            assert_eq!(Consumer::of_program(OsStr::new(name)), consumer, "{name}");
        }
    }

    #[test]
    fn every_consumer_is_told_from_the_others_by_its_word() {
        for (word, consumer) in Consumer::ALL {
            assert_eq!(Consumer::of_word(OsStr::new(word)), Some(consumer));
            assert_eq!(consumer.word(), word);
        }
    }
}
