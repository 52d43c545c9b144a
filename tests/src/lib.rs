//! Test harness.

#[cfg(target_os = "linux")]
pub mod bench;
