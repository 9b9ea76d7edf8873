//! `toolyard healthcheck`: one small request of its own, so that a container needs no other client.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use toolyard_http::Listen;
use url::Url;

use super::{Failure, Outcome, args::HealthcheckArgs, environment, output, serve, setup};
use crate::config::HttpSettings;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const LONGEST: Duration = Duration::from_secs(600);

/// A status line is shorter than this.
const MAX_HEAD: usize = 1024;

pub(super) fn run(args: &HealthcheckArgs) -> Result<Outcome, Failure> {
    let timeout = parse_time(&args.timeout).map_err(|problem| Failure::Setup(anyhow!("--timeout: {problem}")))?;
    let url = match &args.url {
        Some(text) => parse_url(text).map_err(|problem| Failure::Setup(anyhow!("--url: {problem}")))?,
        None => default_url(args)?,
    };
    match status_of(&url, timeout) {
        Ok(200) => {
            output::text("ready")?;
            Ok(Outcome::Success)
        }
        Ok(status) => {
            output::note(&format!("not ready: {url} answers {status}"));
            Ok(Outcome::Failed)
        }
        Err(error) => {
            output::note(&format!("not ready: {url}: {error}"));
            Ok(Outcome::Failed)
        }
    }
}

fn default_url(args: &HealthcheckArgs) -> Result<Url, Failure> {
    let settings = match setup::config_path(args.config.as_deref()) {
        Some(path) => setup::load(&path)?.http().clone(),
        None => HttpSettings::default(),
    };
    let listen = serve::listen_of(&settings, &environment::variable)?.unwrap_or(Listen::Tcp(DEFAULT_LISTEN));
    url_for(settings.health_address(&listen)).map_err(|problem| Failure::Setup(anyhow!(problem)))
}

/// Where to ask when health is told at an address.
fn url_for(health: Option<SocketAddr>) -> Result<Url, &'static str> {
    let address = health.ok_or("health is switched off in the configuration; say where to ask with `--url`")?;
    if address.port() == 0 {
        return Err("health is told at a free port; say which with `--url`");
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Url::parse(&format!("http://{}/readyz", SocketAddr::new(ip, address.port()))).map_err(|_| "health is told at no usable address")
}

fn parse_url(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "write such as `http://127.0.0.1:8081/readyz`";
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}; {EXAMPLE}"))?;
    if url.scheme() != "http" || url.host_str().is_none() || !url.username().is_empty() {
        return Err(format!("only plain HTTP is asked, where health is told; {EXAMPLE}"));
    }
    Ok(url)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let time = digits.parse::<u64>().ok().and_then(|number| match unit {
        "s" | "" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        _ => None,
    });
    time.filter(|time| !time.is_zero() && *time <= LONGEST)
        .ok_or_else(|| format!("`{text}` is no time; write such as `3s` or `500ms`, at most 600s"))
}

/// The status of a GET, within the time.
fn status_of(url: &Url, timeout: Duration) -> io::Result<u16> {
    let deadline = Instant::now() + timeout;
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut stream = None;
    for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left()?) {
            Ok(connected) => {
                stream = Some(connected);
                break;
            }
            Err(error) => failure = error,
        }
    }
    let mut stream = stream.ok_or(failure)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut head = Vec::new();
    while head.len() < MAX_HEAD && !head.contains(&b'\n') {
        let mut part = [0; 256];
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(part.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    let line = String::from_utf8_lossy(&head);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|status| status.trim_end().parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
        time::{Duration, Instant},
    };

    use super::{io, parse_time, parse_url, status_of, url_for};

    /// Answers one request with `answer`; gives the address and what was asked.
    fn once(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).expect("a request");
            stream.write_all(answer.as_bytes()).expect("it is read");
            if answer.is_empty() {
                thread::sleep(Duration::from_millis(500));
            }
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (format!("http://{address}/readyz?a=b"), server)
    }

    fn asked(answer: &'static str) -> (io::Result<u16>, String) {
        let (url, server) = once(answer);
        let status = status_of(&parse_url(&url).expect("a URL"), Duration::from_millis(200));
        (status, server.join().expect("no panic"))
    }

    #[test]
    fn the_status_of_the_answer_decides() {
        let (status, request) = asked("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status.expect("an answer"), 200);
        assert!(request.starts_with("GET /readyz?a=b HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        assert_eq!(asked("HTTP/1.1 503 Service Unavailable\r\n\r\n").0.expect("an answer"), 503);
        assert_eq!(asked("SSH-2.0-x\r\n").0.expect_err("no HTTP").to_string(), "the answer is no HTTP");
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up_in_time() {
        let began = Instant::now();
        assert_eq!(asked("").0.expect_err("silence").kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(5));
        let closed = status_of(&parse_url("http://127.0.0.1:1/").expect("a URL"), Duration::from_secs(3));
        assert_eq!(closed.expect_err("nobody listens").kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_that_means_every_interface_is_asked_on_this_machine() {
        let url = |text: &str| url_for(Some(text.parse().expect("an address"))).map(|url| url.to_string());
        assert_eq!(url("0.0.0.0:8081").as_deref(), Ok("http://127.0.0.1:8081/readyz"));
        assert_eq!(url("[::]:8081").as_deref(), Ok("http://[::1]:8081/readyz"));
        assert_eq!(url("10.1.2.3:9").as_deref(), Ok("http://10.1.2.3:9/readyz"));
        assert_eq!(url("127.0.0.1:0"), Err("health is told at a free port; say which with `--url`"));
        assert_eq!(url_for(None), Err("health is switched off in the configuration; say where to ask with `--url`"));
    }

    #[test]
    fn times_have_a_unit_and_a_bound() {
        assert_eq!(parse_time("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("2"), Ok(Duration::from_secs(2)));
        for text in ["", "0s", "601s", "3m", "s", "-1s", "1.5s"] {
            assert_eq!(parse_time(text), Err(format!("`{text}` is no time; write such as `3s` or `500ms`, at most 600s")));
        }
        assert!(parse_url("https://127.0.0.1:8081/").expect_err("TLS").starts_with("only plain HTTP is asked"));
    }
}
