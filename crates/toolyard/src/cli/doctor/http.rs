//! Whether HTTP can be served as configured.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use toolyard_http::Listen;

use super::{Finding, machine};
use crate::{
    Toolyard,
    cli::{Failure, environment, files, serve},
    config::HttpSettings,
    token,
};

const MAX_PEM_BYTES: u64 = 1 << 20;

/// Nothing, when stdio is all that is asked for.
pub(super) fn findings(yard: &Toolyard, settings: &HttpSettings) -> Vec<Finding> {
    let listen = match serve::listen_of(settings, &environment::variable) {
        Ok(Some(listen)) => listen,
        Ok(None) => return Vec::new(),
        Err(Failure::Setup(error) | Failure::Run(error)) => return vec![Finding::problem(format!("HTTP can't be served: {error:#}"))],
    };
    let mut findings = listeners(settings, &listen);
    findings.extend(files_of_tls(settings, &listen));
    findings.extend(callers(yard, settings, &listen));
    findings
}

fn listeners(settings: &HttpSettings, listen: &Listen) -> Vec<Finding> {
    let mut findings = Vec::new();
    match listen {
        Listen::Tcp(address) => findings.push(free(*address, "requests", "`http.listen` or `--http`")),
        Listen::Unix(path) => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            findings.push(match machine::writable(folder) {
                Ok(()) => Finding::good(format!("the socket `{}` can be made", path.display())),
                Err(error) => Finding::problem(format!("the socket `{}` can't be made: `{}`: {error}", path.display(), folder.display())),
            });
        }
    }
    findings.extend(settings.health_address(listen).map(|address| free(address, "health", "`http.health` or `--health`")));
    findings.extend(settings.metrics_address(listen).map(|address| free(address, "metrics", "`http.metrics` or `--metrics`")));
    findings
}

fn free(address: SocketAddr, what: &str, remedy: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(format!("`{address}` is free for {what}")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Finding::hint(format!("`{address}` for {what} is taken, perhaps by a server that runs; else choose another with {remedy}"))
        }
        Err(error) => Finding::problem(format!("`{address}` can't be had for {what}: {error}; choose another with {remedy}")),
    }
}

fn files_of_tls(settings: &HttpSettings, listen: &Listen) -> Vec<Finding> {
    let Some(tls) = &settings.tls else {
        let open = !listen.is_local();
        let hint = "connections are not encrypted, and tokens can be read on the way; set `http.tls`, or let a proxy encrypt";
        return open.then(|| Finding::hint(hint)).into_iter().collect();
    };
    let pem = |path: &Path, key: &str, begins: &str| {
        let shown = path.display();
        match files::read_text(path, MAX_PEM_BYTES) {
            Ok(text) if text.contains(begins) => Finding::good(format!("`{key}` `{shown}` can be read")),
            Ok(_) => Finding::problem(format!("`{key}` `{shown}` holds no PEM of its kind; the text `{begins}` is missing")),
            Err(error) => Finding::problem(format!("`{key}` `{shown}` can't be read: {error}")),
        }
    };
    let mut findings =
        vec![pem(&tls.certificate, "http.tls.certificate", "BEGIN CERTIFICATE"), pem(&tls.key, "http.tls.key", "PRIVATE KEY-----")];
    if files::others_can_read(&tls.key) {
        findings.push(Finding::hint(format!("`{}` can be read by other users; take that away with chmod 600", tls.key.display())));
    }
    findings
}

fn callers(yard: &Toolyard, settings: &HttpSettings, listen: &Listen) -> Vec<Finding> {
    if settings.has_auth() {
        let issuers = settings.oauth.as_ref().map_or(0, |oauth| oauth.issuers.len());
        return vec![Finding::good(format!("callers need one of {} tokens or of {issuers} authorization servers", settings.tokens.len()))];
    }
    match (listen, yard.state_directory()) {
        (Listen::Unix(_), _) => vec![Finding::good("only this user can connect to the socket")],
        (Listen::Tcp(address), _) if !address.ip().is_loopback() => {
            vec![Finding::problem(format!("`{address}` can be reached from other machines; configure `http.tokens` or `http.oauth`"))]
        }
        (Listen::Tcp(_), None) => vec![Finding::problem("there is no state directory to keep a token in; name one with `--state-dir`")],
        (Listen::Tcp(_), Some(state)) => {
            let path = token::path(state);
            vec![match token::read(&path) {
                Ok(Some(_)) => Finding::good(format!("callers need the token in `{}`, which only this user can read", path.display())),
                Ok(None) => Finding::good(format!("callers will need a token, made in `{}` at the first start", path.display())),
                Err(error) => Finding::problem(error.to_string()),
            }]
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the test lays out its own files")]

    use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path};

    use toolyard_http::TlsFiles;

    use super::{Finding, HttpSettings, findings};
    use crate::{Toolyard, cli::doctor::Level, config::Operations};

    fn found(home: &Path, settings: &HttpSettings) -> Vec<Finding> {
        let workspace = home.join("work");
        fs::create_dir_all(&workspace).expect("a directory");
        let yard = Toolyard::builder().workspace(workspace).state_directory(home.join("state")).build().expect("a server");
        findings(&yard, settings)
    }

    fn on_loopback() -> HttpSettings {
        let listen = crate::config::http::parse_listen(":0").expect("an address");
        HttpSettings { listen: Some(listen), health: Operations::Off, metrics: Operations::Off, ..HttpSettings::default() }
    }

    #[test]
    fn nothing_is_said_about_http_when_it_is_not_asked_for() {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(found(home.path(), &HttpSettings::default()), []);
    }

    #[test]
    fn a_taken_port_and_a_token_that_others_can_read_are_told() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        let settings = HttpSettings { health: Operations::At(address), ..on_loopback() };
        let state = home.path().join("state");
        crate::token::kept(&state).expect("a token");
        let file = crate::token::path(&state);
        let all = found(home.path(), &settings);
        assert_eq!(all[0], Finding::good("`127.0.0.1:0` is free for requests"));
        assert_eq!((all[1].level, all[1].text.contains("for health is taken")), (Level::Hint, true), "{all:?}");
        assert!(all[2].text.starts_with("callers need the token in"), "{all:?}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
        let all = found(home.path(), &settings);
        assert_eq!((all[2].level, all[2].text.contains("can be read or changed by other users")), (Level::Problem, true), "{all:?}");
    }

    #[test]
    fn files_of_tls_that_can_t_be_used_are_problems() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (certificate, key) = (home.path().join("c.pem"), home.path().join("k.pem"));
        fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").expect("a file");
        fs::write(&key, "no key").expect("a file");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
        let settings = HttpSettings { tls: Some(TlsFiles { certificate, key }), ..on_loopback() };
        let levels: Vec<Level> = found(home.path(), &settings).iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Good, Level::Good, Level::Problem, Level::Hint, Level::Good]);
    }
}
