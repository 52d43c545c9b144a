//! `cloud-token`, the program; see the library.

fn main() -> std::process::ExitCode {
    cloud_token::main()
}
