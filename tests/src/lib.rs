//! What the tests of the two programs are made of. Nothing here knows how the agent or the client work inside.
//!
//! | module | what it is | what it must not know |
//! |---|---|---|
//! | [`fake`] | clouds that remember, and break on demand | our cloud files: they are written from the clouds' own truth |
//! | [`lab`] | real servers from their own packages | how the fakes imitate them |
//! | [`sandbox`] | a home of its own for the two programs, removed with everything in it | clouds |
//! | [`raw`] | bytes and frames on the agent's socket | the client |
//! | [`dialogue`] | questions and answers on that socket | the client |
//! | [`http`] | a few lines of HTTP client, independent of the agent's | faults |
//! | [`terminal`] | a terminal with the test at its keys | what runs there |
//! | [`openmetrics`] | a page of counts, read strictly | who wrote it |
//! | [`picture`] | a session at a terminal, drawn | what was typed there |
//! | [`schema`] | what a document promises of some JSON | the documents |
//! | [`process`] | what `/proc` says about a process | what the process is |
//! | [`wait`] | conditions with deadlines, never blind sleeps | what is waited for |
//! | `bench` | counts and loads for the benches, blocking and without a runtime of their own | tests |
//! | [`desktop`] | a desktop that remembers what it was to show | the agent |
//! | [`keyring`] | a session bus with a keyring, or with one that never answers | the agent |
//! | [`words`] | the texts that people read, out of the sources | what they mean |
//! | [`skip`] | a test that cannot run says so, and fails where it must run | which tests there are |

#[cfg(target_os = "linux")]
pub mod bench;
#[cfg(target_os = "linux")]
pub mod desktop;
#[cfg(unix)]
pub mod dialogue;
pub mod fake;
pub mod http;
#[cfg(target_os = "linux")]
pub mod keyring;
#[cfg(unix)]
pub mod lab;
pub mod openmetrics;
pub mod picture;
#[cfg(unix)]
pub mod process;
#[cfg(unix)]
pub mod raw;
#[cfg(unix)]
pub mod sandbox;
pub mod schema;
pub mod skip;
#[cfg(unix)]
pub mod terminal;
pub mod wait;
pub mod words;
