//! The agent, for the tests: cargo builds the programs of the package under test, not those of its dependencies.

#[global_allocator]
static ALLOCATOR: cloud_agent_daemon::hardening::ZeroOnFree = cloud_agent_daemon::hardening::ZeroOnFree;

fn main() -> std::process::ExitCode {
    cloud_agent_daemon::main()
}
