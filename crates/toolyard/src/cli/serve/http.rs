//! Serving over HTTP: where, who may call, and until when.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZero,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use toolyard_http::{HttpConfig, Listen, Metrics, TlsFiles};

use super::banner::{self, Credential};
use crate::{
    Builder, Toolyard,
    cli::{
        Failure, Outcome,
        args::{HttpArgs, LogFormat, ServeArgs},
        environment, files, logging, setup,
    },
    config::{HttpSettings, SecretRef, http::resolve_host},
};

/// Blocking threads beside one for each call the dispatcher runs at once.
const SPARE_THREADS: usize = 8;

/// How long an idle blocking thread is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

const MAX_PEM_BYTES: u64 = 1 << 20;

const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Where to serve HTTP: the option, the configuration, then `MCP_PORT`; none for stdio.
pub(super) fn chosen(
    args: &HttpArgs,
    settings: &HttpSettings,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Listen>, Failure> {
    if args.stdio {
        return Ok(None);
    }
    match &args.listen {
        Some(listen) => Ok(Some(listen.clone())),
        None => listen_of(settings, variable),
    }
}

/// Where the configuration, else the environment, wants HTTP to be served.
pub(in crate::cli) fn listen_of(settings: &HttpSettings, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Listen>, Failure> {
    if let Some(listen) = &settings.listen {
        return Ok(Some(listen.clone()));
    }
    let Some(port) = variable("MCP_PORT").filter(|port| !port.is_empty()) else { return Ok(None) };
    if port.starts_with("tcp://") {
        tracing::warn!("MCP_PORT is left aside: `{port}` is the link of a Kubernetes service, not a port to listen at");
        return Ok(None);
    }
    let port = Some(&port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())).and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or_else(|| Failure::Setup(anyhow!("MCP_PORT: not a port; write 0 to 65535, or unset it to serve stdio")))?;
    let host = match variable("MCP_HOST").filter(|host| !host.is_empty()) {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(host) => resolve_host(&host).ok_or_else(|| {
            Failure::Setup(anyhow!(
                "MCP_HOST: `{host}` is no IP address, and names are not looked up; write such as `127.0.0.1` or `0.0.0.0`"
            ))
        })?,
    };
    Ok(Some(Listen::Tcp(SocketAddr::new(host, port))))
}

/// Options that mean nothing on stdio were meant for something else.
pub(super) fn refuse_lone_options(args: &HttpArgs) -> Result<(), Failure> {
    let given = [
        ("--legacy-sse", args.legacy_sse),
        ("--tls-cert", args.tls_cert.is_some()),
        ("--public-url", args.public_url.is_some()),
        ("--allowed-host", !args.allowed_host.is_empty()),
        ("--allowed-origin", !args.allowed_origin.is_empty()),
        ("--health", args.health.is_some()),
        ("--metrics", args.metrics.is_some()),
        ("--unauthenticated-loopback", args.unauthenticated_loopback),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::Setup(anyhow!("{option} is about HTTP, and stdio is served; say where with `--http`"))),
        None => Ok(()),
    }
}

pub(super) fn run(listen: Listen, builder: Builder, args: &ServeArgs) -> Result<Outcome, Failure> {
    let settings = overridden(builder.http().clone(), &args.http)?;
    let metrics = Metrics::new();
    let yard = setup::finish(builder.metrics(&metrics).many_callers())?;
    let (config, credential) = secured(listen, settings, args.http.unauthenticated_loopback, &yard)?;
    let json = logging::format(&args.log) == LogFormat::Json;
    let runtime = runtime(&yard).context("the runtime can't be started")?;
    let served = runtime.block_on(serve(&yard, config, metrics, &credential, json));
    // Work that is stuck is left behind; the process ends.
    runtime.shutdown_background();
    yard.flush()?;
    served.map(|()| Outcome::Success)
}

/// The settings with the options in their place.
fn overridden(mut settings: HttpSettings, args: &HttpArgs) -> Result<HttpSettings, Failure> {
    let current = environment::current_directory().context("the current directory can't be found").map_err(Failure::Setup)?;
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        settings.tls = Some(TlsFiles { certificate: current.join(certificate), key: current.join(key) });
    }
    if args.public_url.is_some() {
        settings.public_url.clone_from(&args.public_url);
    }
    if !args.allowed_host.is_empty() {
        settings.allowed_hosts.clone_from(&args.allowed_host);
    }
    if !args.allowed_origin.is_empty() {
        settings.allowed_origins.clone_from(&args.allowed_origin);
    }
    settings.legacy_sse |= args.legacy_sse;
    settings.health = args.health.unwrap_or(settings.health);
    settings.metrics = args.metrics.unwrap_or(settings.metrics);
    Ok(settings)
}

/// Whether `serve` would take these settings; opens no port and makes no token. None when stdio is
/// served.
pub(in crate::cli) fn check(settings: HttpSettings) -> Result<Option<Listen>, Failure> {
    let Some(listen) = listen_of(&settings, &environment::variable)? else { return Ok(None) };
    let (config, _) = settled(listen.clone(), settings, false)?;
    let tls = config.tls.iter().flat_map(|tls| [("http.tls.certificate", &tls.certificate), ("http.tls.key", &tls.key)]);
    let roots = config.auth.oauth.iter().filter_map(|oauth| Some(("http.oauth.caFile", oauth.ca_file.as_ref()?)));
    for (key, path) in tls.chain(roots) {
        files::read_text(path, MAX_PEM_BYTES)
            .with_context(|| format!("{key}: `{}` can't be read", path.display()))
            .map_err(Failure::Setup)?;
    }
    if config.tls.is_some() && matches!(config.listen, Listen::Unix(_)) {
        return Err(Failure::Setup(anyhow!("http.tls: a Unix socket is not encrypted; leave one of them out")));
    }
    Ok(Some(listen))
}

/// Settles who may call, and makes the token of this machine when it is needed.
fn secured(listen: Listen, settings: HttpSettings, unauthenticated: bool, yard: &Toolyard) -> Result<(HttpConfig, Credential), Failure> {
    let (mut config, credential) = settled(listen, settings, unauthenticated)?;
    if let Some(credential) = credential {
        return Ok((config, credential));
    }
    let (token, file) = yard.local_token().map_err(Failure::setup)?;
    config.auth.tokens.push(token);
    Ok((config, Credential::File(file)))
}

/// What callers have to show, none for the token of this machine; nobody is let in without being
/// asked unless that was said.
fn settled(listen: Listen, settings: HttpSettings, unauthenticated: bool) -> Result<(HttpConfig, Option<Credential>), Failure> {
    let credential = if settings.oauth.is_some() { Credential::Oauth } else { Credential::Token };
    let has_auth = settings.has_auth();
    let mut config = settings.config(listen, secret).map_err(Failure::setup)?;
    if has_auth {
        if unauthenticated {
            let problem = "--unauthenticated-loopback: the configuration has tokens or OAuth; remove them, or leave the option out";
            return Err(Failure::Setup(anyhow!(problem)));
        }
        return Ok((config, Some(credential)));
    }
    let address = match &config.listen {
        Listen::Unix(_) if unauthenticated => {
            return Err(Failure::Setup(anyhow!(
                "--unauthenticated-loopback: on a Unix socket only this user can call anyway; leave it out"
            )));
        }
        Listen::Unix(_) => {
            return match opened_to_others(&config) {
                Some(opening) => Err(Failure::Setup(anyhow!(
                    "with {opening} others than this user would call through the socket without a token; configure `http.tokens` \
                     (`toolyard token new` makes one) or `http.oauth`, or leave it out"
                ))),
                None => Ok((config, Some(Credential::None))),
            };
        }
        Listen::Tcp(address) => *address,
    };
    if !address.ip().is_loopback() {
        let option = if unauthenticated { "--unauthenticated-loopback holds on this machine only, and " } else { "" };
        return Err(Failure::Setup(anyhow!(
            "{option}`{address}` can be reached from other machines, so callers have to authenticate: configure `http.tokens` \
             (`toolyard token new` makes one) or `http.oauth`, or listen at `127.0.0.1:{}` or `unix:/path`",
            address.port()
        )));
    }
    if unauthenticated {
        if let Some(opening) = opened_to_others(&config) {
            return Err(Failure::Setup(anyhow!(
                "--unauthenticated-loopback: with {opening} others would call without a token; leave one of them out, or configure \
                 `http.tokens` or `http.oauth`"
            )));
        }
        config.auth.unauthenticated = true;
        return Ok((config, Some(Credential::None)));
    }
    Ok((config, None))
}

/// What lets callers in from beyond this machine, although only this machine is listened to.
fn opened_to_others(config: &HttpConfig) -> Option<String> {
    let named = |what: &str, value: &str| Some(format!("the {what} `{value}`"));
    match (&config.public_url, config.allowed_hosts.first(), config.allowed_origins.first()) {
        (Some(url), _, _) => named("public address", url.as_str()),
        (None, Some(host), _) => named("allowed host", host),
        (None, None, Some(origin)) => named("allowed origin", origin),
        (None, None, None) => None,
    }
}

/// Looks a secret up where the configuration says.
fn secret(from: &SecretRef) -> Result<String, String> {
    match from {
        SecretRef::Variable(name) => {
            environment::variable(name).ok_or_else(|| format!("the environment variable `{name}` is not set; set it to the secret"))
        }
        SecretRef::File(path) => {
            let text = files::read_text(path, MAX_SECRET_BYTES).map_err(|error| format!("`{}` can't be read: {error}", path.display()))?;
            Ok(without_line_break(&text).to_owned())
        }
    }
}

/// Editors end a file with one line break, on some systems of two characters.
fn without_line_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

fn runtime(yard: &Toolyard) -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(1, NonZero::get))
        .max_blocking_threads(yard.dispatcher().limits().concurrency.saturating_add(SPARE_THREADS))
        .thread_keep_alive(KEEP_ALIVE)
        .enable_all()
        .build()
}

/// Serves until the first signal and what it lets finish, or until the second.
async fn serve(yard: &Toolyard, config: HttpConfig, metrics: Metrics, credential: &Credential, json: bool) -> Result<(), Failure> {
    // Before anything is announced: whoever waits for that may send a signal at once.
    let mut signals = Signals::new().context("signals can't be received")?;
    let (socket, tls, legacy_sse) = (socket_of(&config.listen), config.tls.is_some(), config.legacy_sse);
    let bound = toolyard_http::bind(&yard.http_server(), config, metrics).await.map_err(Failure::setup)?;
    banner::announce(yard, &bound, &banner::Facts { socket, tls, legacy_sse, credential, json });
    let shutdown = CancellationToken::new();
    let served = bound.serve(shutdown.clone());
    tokio::pin!(served);
    tokio::select! {
        () = &mut served => return Ok(()),
        () = signals.next() => {}
    }
    tracing::info!("stopping: no new requests are taken, running calls may finish; another signal ends at once");
    shutdown.cancel();
    tokio::select! {
        () = &mut served => {}
        () = signals.next() => tracing::warn!("ended by a second signal; running calls were cut off"),
    }
    Ok(())
}

fn socket_of(listen: &Listen) -> Option<PathBuf> {
    if let Listen::Unix(path) = listen { Some(path.clone()) } else { None }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
