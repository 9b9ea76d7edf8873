//! Why a server does not start.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use crate::{AuthSetupError, TlsError};

/// Why a server does not start; every message says what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Other machines can reach the address, and nobody would have to say who they are.
    #[error(
        "`{0}` can be reached from other machines, so callers have to authenticate: configure tokens or OAuth, or listen on 127.0.0.1 or a Unix socket"
    )]
    Open(SocketAddr),
    /// Neither tokens nor OAuth nor the wish to go without.
    #[error("nobody could call: configure tokens or OAuth, or pass `--unauthenticated-loopback` to let every process of this machine in")]
    NoAuth,
    /// Tokens and no authentication at once.
    #[error("`--unauthenticated-loopback` and configured tokens or OAuth contradict each other; remove one of them")]
    Contradiction,
    /// The public address is for others, and nobody would have to say who they are.
    #[error(
        "a public address, allowed hosts and allowed origins are for callers from elsewhere, who have to authenticate: configure tokens \
         or OAuth, or remove them"
    )]
    PublicWithoutAuth,
    /// Access tokens would have to be issued for an address that stands for all of them.
    #[error(
        "access tokens are issued for the address clients use, and {0} is none: say it with `--public-url` or `http.publicUrl`, as in \
         `https://tools.example.com/mcp`"
    )]
    NoPublicUrl(SocketAddr),
    /// A certificate for a Unix socket.
    #[error("a Unix socket is not encrypted; remove `--tls-cert` and `--tls-key`, or listen at an address")]
    TlsOnSocket,
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Authentication is configured wrongly.
    #[error("authentication: {0}")]
    Auth(#[from] AuthSetupError),
    /// An allowed host or origin is none.
    #[error("{0}")]
    Hosts(String),
    /// The public address can't be used.
    #[error("the public address `{url}` {problem}")]
    PublicUrl {
        /// As configured.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A bound makes no sense.
    #[error("the limit `{name}` {problem}")]
    Limit {
        /// The limit.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An address can't be listened at.
    #[error("can't listen at `{address}` for {purpose}: {source}; {advice}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What for.
        purpose: Purpose,
        /// What would help.
        advice: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A Unix socket can't be made.
    #[error("can't make the socket `{}`: {problem}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        problem: SocketProblem,
    },
}

/// What an address is listened at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The protocol.
    Mcp,
    /// Health.
    Health,
    /// Metrics.
    Metrics,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mcp => "MCP",
            Self::Health => "health",
            Self::Metrics => "metrics",
        })
    }
}

impl Purpose {
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Mcp => "choose another address with `--http`",
            Self::Health => "choose another address with `--health`, or switch it off with `--health off`",
            Self::Metrics => "choose another address with `--metrics`, or switch them off with `--metrics off`",
        }
    }
}

/// Why a Unix socket can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketProblem {
    /// Another process serves there.
    #[error("another process listens there; stop it or choose another path with `--http unix:PATH`")]
    InUse,
    /// A file that is no socket is never replaced.
    #[error("there is a file that is no socket; remove it or choose another path with `--http unix:PATH`")]
    NotASocket,
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}
