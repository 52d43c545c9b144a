//! A restricted socket over a real ssh, to a server of the test's own on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Desk;
use super::forward::FORBIDDEN;

/// A process of the test's own, which ends with it.
struct Owned(Child);

impl Owned {
    fn end(mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An ssh server with keys, configuration and port of its own.
struct Sshd {
    dir: PathBuf,
    port: u16,
    _server: Owned,
}

impl Sshd {
    fn start(dir: &Path, sshd: &Path) -> Self {
        fs::create_dir(dir).unwrap();
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
            assert!(made.unwrap().success());
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = dir.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized\nPidFile none\n\
             StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nAllowStreamLocalForwarding yes\nStreamLocalBindUnlink yes\n"
        );
        fs::write(dir.join("config"), config).unwrap();
        // Where it separates its privileges; its package makes that at boot.
        let _ = fs::create_dir("/run/sshd");
        let log = fs::File::create(dir.join("log")).unwrap();
        let mut server = Command::new(sshd);
        server.args(["-D", "-e", "-f"]).arg(dir.join("config")).stdin(Stdio::null()).stderr(log);
        let server = Owned(started(&mut server));
        let sshd = Self { dir: dir.to_owned(), port, _server: server };
        assert!(until(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok()), "{}", sshd.log());
        sshd
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// `ssh -R`, once the far socket is there.
    fn link(&self, far: &Path, near: &Path) -> Owned {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-N",
            "-o",
            "BatchMode=yes",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "IdentitiesOnly=yes",
        ]);
        ssh.args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-p",
            &self.port.to_string(),
        ]);
        ssh.arg("-i").arg(self.dir.join("user")).arg("-R").arg(format!("{}:{}", far.display(), near.display()));
        ssh.arg(format!("{}@127.0.0.1", user.trim())).stdin(Stdio::null()).stderr(Stdio::null());
        Owned(started(&mut ssh))
    }
}

fn started(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).spawn().expect("it can be started")
}

#[test]
fn tokens_go_over_a_real_ssh_connection_and_nothing_else_does() {
    let what = "tokens_go_over_a_real_ssh_connection_and_nothing_else_does";
    let Some(sshd) = skip::unless_tool(what, "sshd") else { return };
    if skip::unless_tool(what, "ssh").is_none() {
        return;
    }
    let desk = Desk::new();
    desk.login("other");
    let sshd = Sshd::start(&desk.sandbox.path("home/sshd"), &sshd);
    let (near, far) = (desk.private("near"), desk.private("far"));
    let _forward = desk.forward(&near, &["--only", "ecHome"]);
    let token = desk.token();

    let link = sshd.link(&far, &near);
    assert!(until(PATIENCE, || desk.through(&far, &["ecHome"]).code() == 0), "{}", sshd.log());
    assert_eq!(desk.through(&far, &["ecHome"]).ok(), token);
    for arguments in FORBIDDEN {
        assert!(desk.through(&far, arguments).fails(1).contains("forwarded socket"), "{arguments:?}");
    }
    let log = desk.log();
    assert!(
        log.iter().any(|entry| entry["origin"] == near.to_str().unwrap() && entry["outcome"] == "given"),
        "{log:?}"
    );

    link.end();
    assert!(until(PATIENCE, || desk.through(&far, &["ecHome"]).code() == 3), "a link that is down is no agent");
    let _link = sshd.link(&far, &near);
    assert!(until(PATIENCE, || desk.through(&far, &["ecHome"]).code() == 0), "{}", sshd.log());
    assert_eq!(desk.through(&far, &["ecHome"]).ok(), token);
}
