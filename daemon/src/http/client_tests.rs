//! The client against servers that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::Body;

/// Serves every connection with `serve`, after its request's head and body were read; counts connections.
async fn server<F, R>(serve: F) -> (String, Arc<AtomicUsize>, tokio::sync::mpsc::UnboundedReceiver<String>)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let request = read_request(&mut stream).await;
            let _ = send.send(request);
            tokio::spawn(serve(stream));
        }
    });
    (address, count, receive)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

fn says(text: &'static str) -> impl Fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send {
    move |mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
    }
}

fn request(url: impl Into<String>) -> Request {
    Request {
        method: "POST".to_owned(),
        url: url.into(),
        headers: vec![("X-Token".to_owned(), Secret::from("hunter2"))],
        body: Some(Body {
            media_type: "application/json",
            bytes: Zeroizing::new(b"{\"password\":\"hunter2\"}".to_vec()),
        }),
        ca_file: None,
        allow_plaintext: false,
        urgent: false,
    }
}

fn client() -> HttpClient {
    HttpClient::new(Deadlines {
        connect: Duration::from_secs(2),
        idle: Duration::from_millis(200),
        total: Duration::from_secs(2),
    })
}

async fn fault_of(url: impl Into<String>) -> Fault {
    let fault = client().send(request(url)).await.unwrap_err();
    assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    fault.into()
}

#[tokio::test]
async fn a_request_arrives_whole_and_its_reply_comes_back() {
    let (url, count, mut seen) =
        server(says("HTTP/1.1 201 Created\r\nX-Subject: abc\r\nX-Odd: \u{e9}\r\nContent-Length: 2\r\n\r\n{}")).await;
    let reply = client().send(request(format!("{url}/a/b?c=d"))).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (201, b"{}".as_slice()));
    let header = |name: &str| reply.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.expose().to_owned());
    assert_eq!(header("x-subject").as_deref(), Some("abc"));
    assert_eq!(header("x-odd"), None, "a value that is no ASCII is left out");
    let text = seen.recv().await.unwrap();
    assert!(text.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("x-token: hunter2\r\n") && text.contains("content-type: application/json\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n{\"password\":\"hunter2\"}"), "{text}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_else_is_spoken_to() {
    let (elsewhere, elsewhere_count, _seen) = server(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    for status in [301, 302, 303, 307, 308] {
        let answer: &'static str = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {elsewhere}/x\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        )
        .leak();
        let (url, count, _seen) = server(says(answer)).await;
        let reply = client().send(request(&url)).await.unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
    assert_eq!(elsewhere_count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let endless = |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    };
    let (url, _, _seen) = server(endless).await;
    let fault = fault_of(&url).await;
    assert_eq!((fault.kind, fault.message.contains("256 KiB")), (FaultKind::MalformedReply, true), "{fault}");
}

#[tokio::test]
async fn a_body_announced_too_long_is_not_read_at_all() {
    let (url, _, _seen) = server(says("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nx")).await;
    assert_eq!(fault_of(&url).await.kind, FaultKind::MalformedReply);
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_read() {
    let exact = |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
        let _ = stream.write_all(&vec![b'x'; MAX_BODY]).await;
        let _ = stream.shutdown().await;
    };
    let (url, _, _seen) = server(exact).await;
    assert_eq!(client().send(request(&url)).await.unwrap().body.len(), MAX_BODY);
}

#[tokio::test]
async fn what_breaks_off_or_is_silent_is_unreachable() {
    let (truncated, _, _a) = server(says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")).await;
    let (headless, _, _b) = server(says("HTTP/1.1 200")).await;
    let (closed, _, _c) = server(says("")).await;
    for url in [&truncated, &headless, &closed] {
        let fault = fault_of(url).await;
        assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
        assert!(fault.message.contains("broke the connection off"), "{fault}");
    }
    let (silent, _, _d) = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let (stalled, _, _e) = server(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
        std::future::pending::<()>().await;
    })
    .await;
    for url in [&silent, &stalled] {
        let fault = fault_of(url).await;
        assert_eq!((fault.kind, fault.message.contains("in time")), (FaultKind::Unreachable, true), "{fault}");
    }
}

#[tokio::test]
async fn who_trickles_is_cut_off_by_the_total_deadline() {
    let (url, _, _seen) = server(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let short = Deadlines { total: Duration::from_millis(300), ..client().deadlines };
    let NoReply { fault, lost } = HttpClient::new(short).send(request(&url)).await.unwrap_err();
    assert!(lost, "the cloud may have acted on it");
    assert_eq!((fault.kind, fault.message.contains("in time")), (FaultKind::Unreachable, true), "{fault}");
}

#[tokio::test]
async fn what_is_no_http_is_said_to_be_none() {
    let (url, _, _seen) = server(says("SSH-2.0-OpenSSH_9.2\r\nnonsense\r\n\r\n")).await;
    let fault = fault_of(&url).await;
    assert_eq!((fault.kind, fault.message.contains("not HTTP")), (FaultKind::MalformedReply, true), "{fault}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = fault_of(url).await;
    assert_eq!((fault.kind, fault.message.contains("refuses")), (FaultKind::Unreachable, true), "{fault}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said_so() {
    let mut request = request("http://nowhere.invalid/");
    request.allow_plaintext = true;
    let patient = HttpClient::new(Deadlines { connect: Duration::from_secs(10), ..Deadlines::default() });
    let NoReply { fault, lost } = patient.send(request).await.unwrap_err();
    assert!(!lost);
    // Without a network the resolver may itself be silent.
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.message.contains("cannot be found") || fault.message.contains("in time"), "{fault}");
}

#[tokio::test]
async fn plaintext_beyond_this_machine_is_not_even_tried() {
    for url in ["http://acme.example/", "ftp://127.0.0.1/", "not an address", "http://127.0.0.1.acme.example/"] {
        assert_eq!(fault_of(url).await.kind, FaultKind::Config, "{url}");
    }
}

#[tokio::test]
async fn a_server_without_tls_at_an_https_address_is_a_matter_of_the_address() {
    // One that waits for the end of a request would wait for ever, as a TLS hello is none: this one answers at once.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    });
    // A busy machine may take longer to say hello than the others are patient.
    let fault = HttpClient::default().send(request(plain)).await.unwrap_err().fault;
    assert_eq!(fault.kind, FaultKind::Config, "{fault}");
}

#[tokio::test]
async fn a_ca_file_that_holds_no_certificate_is_named() {
    for path in ["/nonexistent/ca.pem", "/dev/null"] {
        let mut request = request("https://127.0.0.1:1/");
        request.ca_file = Some(path.into());
        let fault = client().send(request).await.unwrap_err().fault;
        assert_eq!((fault.kind, fault.message.contains(path)), (FaultKind::Config, true), "{fault}");
    }
}

/// Runs itself again with an environment of its own, since this process's cannot be changed safely.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_machine_without_certificate_authorities_says_so() {
    if std::env::var_os("CLOUD_AGENT_TEST_NO_CA").is_some() {
        let fault = fault_of("https://127.0.0.1:1/").await;
        assert_eq!((fault.kind, fault.message.contains("no secure connection")), (FaultKind::Config, true), "{fault}");
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::client::tests::a_machine_without_certificate_authorities_says_so"])
        .envs([("CLOUD_AGENT_TEST_NO_CA", "1"), ("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nonexistent")])
        .status();
    assert!(status.unwrap().success());
}

/// Runs itself again, as a process that has no file descriptor left is of no use to other tests.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_without_files_blames_no_cloud() {
    if std::env::var_os("CLOUD_AGENT_TEST_NO_FILES").is_some() {
        let few = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        for url in ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "https://nowhere.invalid/"] {
            let fault = fault_of(url).await;
            assert_eq!(fault.kind, FaultKind::Busy, "{url}: {fault:?}");
        }
        drop(taken);
        assert_eq!(fault_of("https://127.0.0.1:1/").await.kind, FaultKind::Unreachable, "it is over by itself");
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::client::tests::a_process_without_files_blames_no_cloud"])
        .env("CLOUD_AGENT_TEST_NO_FILES", "1")
        .status();
    assert!(status.unwrap().success());
}
