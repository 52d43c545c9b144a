//! Many clients on one Unix socket, each asking again as soon as it is answered.
//!
//! One thread and epoll: a thread per client would measure the scheduler. Bytes in, bytes out, so that the same loop
//! drives our agent and its peers.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde_json::{Value, json};

use super::process::cpu_ns;
use super::sample::Sample;

/// How long a client waits after a full backlog or a cut connection before it tries again.
const RETRY: Duration = Duration::from_micros(200);
/// Answers before this are not counted: caches warm up and connections are made.
const WARM_UP: Duration = Duration::from_millis(200);

/// Where an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A little-endian length first, which does not count itself.
    Little,
    /// A big-endian length first, which does not count itself.
    Big,
    /// So many bytes.
    Fixed(usize),
    /// The end of the connection.
    Close,
}

/// What to ask whom, and how hard.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The socket.
    pub socket: PathBuf,
    /// What each client writes, again and again.
    pub request: Vec<u8>,
    /// Where an answer ends.
    pub framing: Framing,
    /// An answer without these bytes is a failure.
    pub expect: Vec<u8>,
    /// Write no more after the request, as some protocols want it.
    pub half_close: bool,
    /// How many clients at once.
    pub clients: usize,
    /// A connection for every request, or one for all.
    pub reconnect: bool,
    /// How long it is counted.
    pub duration: Duration,
    /// The server's processes.
    pub server: Vec<u32>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Good answers per second.
    pub rate: f64,
    /// The middle latency, in microseconds.
    pub p50: f64,
    /// The latency that one in a hundred exceeds, in microseconds.
    pub p99: f64,
    /// Answers that were wrong, refused connections, and connections cut in the middle.
    pub failed: u64,
    /// Connects that met a full backlog and were tried again.
    pub backlog_full: u64,
    /// Clients that were never answered.
    pub starved: u64,
    /// Server time for an answer, in microseconds.
    pub cpu: f64,
}

impl Plan {
    /// As text, for a load generator that is a process of its own.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (framing, size) = match self.framing {
            Framing::Little => ("little", 0),
            Framing::Big => ("big", 0),
            Framing::Fixed(size) => ("fixed", size),
            Framing::Close => ("close", 0),
        };
        json!({
            "socket": self.socket.to_str(), "request": self.request, "framing": framing, "size": size,
            "expect": self.expect, "half_close": self.half_close, "clients": self.clients,
            "reconnect": self.reconnect, "duration_ms": u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            "server": self.server,
        })
        .to_string()
    }

    /// The plan in `text`, or `None` if it is not one.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let plan: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| usize::try_from(plan[name].as_u64()?).ok();
        let octets = |name: &str| -> Option<Vec<u8>> {
            plan[name].as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
        };
        Some(Self {
            socket: plan["socket"].as_str()?.into(),
            request: octets("request")?,
            framing: match plan["framing"].as_str()? {
                "little" => Framing::Little,
                "big" => Framing::Big,
                "fixed" => Framing::Fixed(number("size")?),
                _ => Framing::Close,
            },
            expect: octets("expect")?,
            half_close: plan["half_close"].as_bool()?,
            clients: number("clients")?,
            reconnect: plan["reconnect"].as_bool()?,
            duration: Duration::from_millis(plan["duration_ms"].as_u64()?),
            server: plan["server"].as_array()?.iter().filter_map(|p| u32::try_from(p.as_u64()?).ok()).collect(),
        })
    }
}

impl Outcome {
    /// As text; see [`Plan::to_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({
            "rate": self.rate, "p50": self.p50, "p99": self.p99, "failed": self.failed,
            "backlog_full": self.backlog_full, "starved": self.starved, "cpu": self.cpu,
        })
        .to_string()
    }

    /// The outcome in `text`, or `None` if it is not one.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let outcome: Value = serde_json::from_str(text).ok()?;
        let (float, count) = (|name: &str| outcome[name].as_f64(), |name: &str| outcome[name].as_u64());
        Some(Self {
            rate: float("rate")?,
            p50: float("p50")?,
            p99: float("p99")?,
            failed: count("failed")?,
            backlog_full: count("backlog_full")?,
            starved: count("starved")?,
            cpu: float("cpu")?,
        })
    }
}

/// Does it, on this thread.
///
/// # Errors
/// If epoll is not to be had.
pub fn run(plan: &Plan) -> io::Result<Outcome> {
    let mut crowd = Crowd::new(plan)?;
    crowd.run_until(Instant::now() + WARM_UP)?;
    crowd.reset();
    let (cpu, begun) = (cpu_ns(&plan.server), Instant::now());
    crowd.run_until(begun + plan.duration)?;
    Ok(crowd.outcome(begun.elapsed(), cpu_ns(&plan.server).saturating_sub(cpu)))
}

/// One client.
struct Client {
    stream: Option<UnixStream>,
    asked_at: Instant,
    answer: Vec<u8>,
    answers: u64,
}

struct Crowd<'p> {
    plan: &'p Plan,
    epoll: OwnedFd,
    clients: Vec<Client>,
    times: Vec<u64>,
    failed: u64,
    backlog_full: u64,
    /// Clients that wait for another try, so that nobody searches a thousand clients for them.
    waiting: HashMap<usize, Instant>,
}

impl<'p> Crowd<'p> {
    fn new(plan: &'p Plan) -> io::Result<Self> {
        let client = || Client { stream: None, asked_at: Instant::now(), answer: Vec::new(), answers: 0 };
        let mut crowd = Self {
            plan,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: (0..plan.clients).map(|_| client()).collect(),
            times: Vec::with_capacity(1 << 19),
            failed: 0,
            backlog_full: 0,
            waiting: HashMap::new(),
        };
        (0..plan.clients).for_each(|index| crowd.ask(index));
        Ok(crowd)
    }

    fn reset(&mut self) {
        (self.failed, self.backlog_full) = (0, 0);
        self.times.clear();
        self.clients.iter_mut().for_each(|client| client.answers = 0);
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        let mut events = Vec::with_capacity(512);
        let tick = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        while Instant::now() < end {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&tick)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            for event in &events {
                self.receive(usize::try_from(event.data.u64()).unwrap_or_default());
            }
            if !self.waiting.is_empty() {
                let now = Instant::now();
                let due: Vec<usize> = self.waiting.iter().filter(|(_, at)| **at <= now).map(|(i, _)| *i).collect();
                for index in due {
                    self.ask(index);
                }
            }
        }
        Ok(())
    }

    /// Sends client `index`'s request, on a new connection if it has none.
    fn ask(&mut self, index: usize) {
        // A retry still counts from when the client first wanted to ask.
        if self.waiting.remove(&index).is_none() {
            self.clients[index].asked_at = Instant::now();
        }
        self.clients[index].answer.clear();
        if self.clients[index].stream.is_none() {
            match self.connect(index) {
                Ok(stream) => self.clients[index].stream = Some(stream),
                Err(Errno::AGAIN) => {
                    self.backlog_full += 1;
                    return self.again(index);
                }
                Err(_) => return self.fail(index),
            }
        }
        let Some(stream) = self.clients[index].stream.as_mut() else { return };
        let mut written = stream.write_all(&self.plan.request);
        if self.plan.half_close {
            written = written.and_then(|()| stream.shutdown(Shutdown::Write));
        }
        if written.is_err() {
            self.fail(index);
        }
    }

    fn connect(&self, index: usize) -> Result<UnixStream, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(&self.plan.socket)?)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, socket.as_fd(), data, epoll::EventFlags::IN)?;
        Ok(UnixStream::from(socket))
    }

    fn receive(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(stream) = client.stream.as_mut() else { return };
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) if self.plan.framing == Framing::Close => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Ok(0) | Err(_) => return self.fail(index),
            Ok(n) => {
                client.answer.extend_from_slice(&buffer[..n]);
                if !complete(self.plan.framing, &client.answer) {
                    return;
                }
            }
        }
        if contains(&client.answer, &self.plan.expect) {
            client.answers += 1;
            self.times.push(u64::try_from(client.asked_at.elapsed().as_nanos()).unwrap_or(u64::MAX));
        } else {
            self.failed += 1;
        }
        if self.plan.reconnect || self.plan.framing == Framing::Close {
            client.stream = None;
        }
        self.ask(index);
    }

    fn fail(&mut self, index: usize) {
        self.failed += 1;
        self.clients[index].stream = None;
        self.again(index);
    }

    fn again(&mut self, index: usize) {
        self.waiting.insert(index, Instant::now() + RETRY);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    fn outcome(self, elapsed: Duration, cpu: u64) -> Outcome {
        let answers = self.times.len() as f64;
        let sample = Sample::new(self.times);
        Outcome {
            rate: answers / elapsed.as_secs_f64(),
            p50: sample.median(),
            p99: sample.percentile(99),
            failed: self.failed,
            backlog_full: self.backlog_full,
            starved: self.clients.iter().filter(|client| client.answers == 0).count() as u64,
            cpu: if answers > 0.0 { cpu as f64 / 1e3 / answers } else { 0.0 },
        }
    }
}

fn complete(framing: Framing, answer: &[u8]) -> bool {
    let counted = |length: fn([u8; 4]) -> u32| {
        answer.first_chunk::<4>().is_some_and(|bytes| answer.len() >= 4 + length(*bytes) as usize)
    };
    match framing {
        Framing::Little => counted(u32::from_le_bytes),
        Framing::Big => counted(u32::from_be_bytes),
        Framing::Fixed(size) => answer.len() >= size,
        Framing::Close => false,
    }
}

fn contains(answer: &[u8], expected: &[u8]) -> bool {
    expected.is_empty() || answer.windows(expected.len()).any(|window| window == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_way_to_another_process() {
        let plan = Plan {
            socket: "/tmp/s".into(),
            request: vec![0, 255, 7],
            framing: Framing::Fixed(1024),
            expect: b"ok".to_vec(),
            half_close: true,
            clients: 64,
            reconnect: true,
            duration: Duration::from_millis(300),
            server: vec![1, 2],
        };
        let read = Plan::from_json(&plan.to_json()).expect("it was written a moment ago");
        assert_eq!(format!("{read:?}"), format!("{plan:?}"));
        assert!(Plan::from_json("{}").is_none());
    }

    #[test]
    fn an_answer_is_whole_when_its_length_says_so() {
        assert!(complete(Framing::Little, b"\x02\0\0\0ab"));
        assert!(!complete(Framing::Little, b"\x03\0\0\0ab"));
        assert!(complete(Framing::Big, b"\0\0\0\x02ab"));
        assert!(!complete(Framing::Big, b"\0\0\0"));
        assert!(!complete(Framing::Close, b"anything"));
    }
}
