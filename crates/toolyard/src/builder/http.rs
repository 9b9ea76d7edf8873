//! The parts of a server that only HTTP needs.

use std::{collections::BTreeSet, io, path::PathBuf};

use tokio_util::sync::CancellationToken;
use toolyard_core::ApprovalFallback;
use toolyard_http::{HttpConfig, Metrics, StaticToken, hash_token};
use toolyard_policy::PolicySpec;

use super::{Builder, Toolyard, names::unknown_name};
use crate::token::{self, TokenFileError};

impl Toolyard {
    /// The MCP server of this yard, for hosts elsewhere.
    pub fn http_server(&self) -> toolyard_server::Server {
        self.server_with(ApprovalFallback::Deny)
    }

    /// The token that hosts on this machine share, `token:local`, and the file it is kept in. The
    /// file is made in the state directory, readable by this user only, when it is not there.
    ///
    /// # Errors
    /// When there is no state directory, or others could have read the file.
    pub fn local_token(&self) -> Result<(StaticToken, PathBuf), TokenFileError> {
        let state = self.state.as_deref().ok_or(TokenFileError::NoStateDirectory)?;
        let token = StaticToken { name: "local".into(), sha256: hash_token(&token::kept(state)?), roles: Vec::new() };
        Ok((token, token::path(state)))
    }

    /// Serves over HTTP until `shutdown`, then lets calls finish; `metrics` are those given to
    /// [`Builder::metrics`].
    ///
    /// # Errors
    /// When the configuration would let anybody in, an address can't be had, or the end of the audit
    /// trail can't be written.
    pub async fn serve_http(&self, config: HttpConfig, metrics: Metrics, shutdown: CancellationToken) -> io::Result<()> {
        let bound = toolyard_http::bind(&self.http_server(), config, metrics).await.map_err(io::Error::other)?;
        bound.serve(shutdown).await;
        self.flush().map_err(io::Error::other)
    }
}

impl Builder {
    /// Keeps figures of calls, decisions and the audit trail in these metrics; they replace any
    /// [`Builder::observer`].
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.observer = Some(metrics.observer());
        self.metrics = Some(metrics.clone());
        self
    }

    /// Names in the section `http` that fit no tool, and roles that make no difference.
    pub(super) fn check_http_names(&self, spec: &PolicySpec, known: &BTreeSet<&str>) -> Vec<String> {
        let http = self.settings.http();
        let mut warnings = Vec::new();
        if let Some(oauth) = &http.oauth {
            let scopes = oauth.scopes.iter().enumerate().map(|(i, rule)| (format!("scopes[{i}].opens"), &rule.opens));
            let acr = oauth.acr.iter().enumerate().map(|(i, rule)| (format!("acr[{i}].tools"), &rule.tools));
            for (place, names) in scopes.chain(acr) {
                warnings.extend(
                    names.iter().filter_map(|name| unknown_name(name, known)).map(|problem| format!("http.oauth.{place}: {problem}")),
                );
            }
        }
        let rules = || spec.deny.iter().chain(&spec.ask).chain(&spec.allow);
        for (i, token) in http.tokens.iter().enumerate() {
            let idle = token.roles.iter().filter(|role| !rules().any(|rule| rule.roles.iter().any(|named| **named == ***role)));
            warnings.extend(idle.map(|role| format!("http.tokens[{i}].roles: no rule names the role `{role}`, so it opens nothing")));
        }
        warnings
    }
}
