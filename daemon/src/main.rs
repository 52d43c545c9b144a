//! The agent's program; all of it is in the library.

#[global_allocator]
static ALLOCATOR: cloud_agent_daemon::hardening::ZeroOnFree = cloud_agent_daemon::hardening::ZeroOnFree;

fn main() -> std::process::ExitCode {
    cloud_agent_daemon::main()
}
