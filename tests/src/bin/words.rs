//! Prints every text that people read, for whoever wants to read them all: `cargo run -p cloud-agent-tests --bin words`.

use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace");
    for words in cloud_agent_tests::words::all(root) {
        println!("{words}");
    }
}
