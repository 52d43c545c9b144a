//! One connection: TLS to the agent, plain to the server, byte for byte as it comes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustls::{ServerConfig, ServerConnection};

/// What a server without TLS says to a hello that it cannot read.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The first byte of a record of TLS: an alert, or of a handshake.
const RECORDS: [u8; 2] = [0x15, 0x16];

/// How a connection is served.
#[derive(Clone)]
pub(super) enum Way {
    /// With this certificate, and on to that server.
    Tls(Arc<ServerConfig>, SocketAddr),
    /// In plain HTTP, and not on.
    Plain,
    /// Not at all.
    Silence,
}

/// Serves one connection to its end; counts in `heard` what is not TLS's own.
pub(super) fn serve(stream: TcpStream, way: &Way, heard: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match way {
        Way::Plain => listen(stream, NO_TLS, heard),
        Way::Silence => listen(stream, b"", heard),
        Way::Tls(config, upstream) => pass(stream, config, *upstream, heard),
    }
}

/// Hears everything, and says `answer` to what comes first.
fn listen(mut stream: TcpStream, mut answer: &[u8], heard: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        if !RECORDS.contains(&buffer[0]) {
            heard.fetch_add(count as u64, Ordering::SeqCst);
        }
        if !answer.is_empty() {
            stream.write_all(answer)?;
            stream.shutdown(Shutdown::Write)?;
            answer = b"";
        }
    }
}

fn pass(mut agent: TcpStream, config: &Arc<ServerConfig>, upstream: SocketAddr, heard: &AtomicU64) -> io::Result<()> {
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut agent)?;
    }
    let mut server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    let mut buffer = [0; 16 * 1024];
    loop {
        loop {
            match tls.reader().read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    heard.fetch_add(count as u64, Ordering::SeqCst);
                    server.write_all(&buffer[..count])?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        flush(&mut tls, &mut agent)?;
        let mut ends = [PollFd::new(&agent, PollFlags::IN), PollFd::new(&server, PollFlags::IN)];
        poll(&mut ends, None)?;
        let [of_agent, of_server] = ends.map(|end| !end.revents().is_empty());
        if of_server {
            match server.read(&mut buffer) {
                Ok(0) => {
                    tls.send_close_notify();
                    return flush(&mut tls, &mut agent);
                }
                Ok(count) => tls.writer().write_all(&buffer[..count])?,
                Err(error) => {
                    // A reset is passed on as one.
                    rustix::net::sockopt::set_socket_linger(&agent, Some(Duration::ZERO))?;
                    return Err(error);
                }
            }
            flush(&mut tls, &mut agent)?;
        }
        if of_agent {
            if tls.read_tls(&mut agent)? == 0 {
                return Ok(());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

fn flush(tls: &mut ServerConnection, agent: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(agent)?;
    }
    Ok(())
}
