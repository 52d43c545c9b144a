//! Embeds the cloud files.
fn main() {}
