//! The client, for the tests: see `it-agent`.

fn main() -> std::process::ExitCode {
    cloud_token::main()
}
