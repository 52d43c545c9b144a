//! What a bench needs: counts that any machine can check, and the means to compare processes within one run.
//!
//! | module | what it is |
//! |---|---|
//! | [`gates`] | system calls, page faults and instructions of one warm get, held against a budget; for tests too |
//! | [`load`] | many clients on one socket: answers per second, latency, failures |
//! | [`cloud`] | a fake cloud on loopback, http and https, that can be slow and can be counted |
//! | [`wire`] | the protocol from the caller's side, for requests that are sent as bytes |
//! | [`process`] | what `/proc` tells of an agent |
//! | [`sample`] | quantiles |
//! | [`tools`] | compilers and programs that may or may not be there |
//!
//! Wall time is printed and compared, and never asserted: on a shared machine it says more about the neighbours.

pub mod cloud;
pub mod gates;
pub mod load;
pub mod process;
pub mod sample;
pub mod tools;
pub mod wire;
