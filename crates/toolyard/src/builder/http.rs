//! The parts of a server that only HTTP needs.

use std::{collections::BTreeSet, io, path::PathBuf};

use tokio_util::sync::CancellationToken;
use toolyard_core::ApprovalFallback;
use toolyard_http::{HttpConfig, Metrics, StaticToken, hash_token};
use toolyard_policy::PolicySpec;

use super::{
    Builder, Toolyard,
    names::{roles_of, unknown_name},
};
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
        warnings.extend(self.idle_roles(spec));
        warnings.extend(self.roles_of_nobody(spec));
        warnings
    }

    /// Roles that callers are given and that no rule names.
    fn idle_roles(&self, spec: &PolicySpec) -> Vec<String> {
        let named: BTreeSet<&str> = roles_of(spec).map(|(_, role)| role).collect();
        let idle = |place: String, role: &str| {
            (!named.contains(role)).then(|| format!("{place}: no rule names the role `{role}`, so it opens nothing"))
        };
        let http = self.settings.http();
        let mut warnings = Vec::new();
        for (i, token) in http.tokens.iter().enumerate() {
            warnings.extend(token.roles.iter().filter_map(|role| idle(format!("http.tokens[{i}].roles"), role)));
        }
        for (i, issuer) in http.oauth.iter().flat_map(|oauth| oauth.issuers.iter().enumerate()) {
            let place = format!("http.oauth.issuers[{i}].roles");
            if !issuer.roles.is_empty() && issuer.role_claims.is_empty() {
                warnings.push(format!("{place}: no claim is looked at for roles; name one in `roleClaims`"));
            }
            for (value, roles) in &issuer.roles {
                warnings.extend(roles.iter().filter_map(|role| idle(format!("{place}.{value}"), role)));
            }
        }
        warnings
    }

    /// Roles in rules that no caller can have; nothing when claims are taken as they are.
    fn roles_of_nobody(&self, spec: &PolicySpec) -> Vec<String> {
        let http = self.settings.http();
        let issuers = || http.oauth.iter().flat_map(|oauth| &oauth.issuers).filter(|issuer| !issuer.role_claims.is_empty());
        if !http.has_auth() || issuers().any(|issuer| issuer.roles.is_empty()) {
            return Vec::new();
        }
        let mut given: BTreeSet<&str> = http.tokens.iter().flat_map(|token| &token.roles).map(|role| &**role).collect();
        given.extend(issuers().flat_map(|issuer| issuer.roles.values().flatten()).map(String::as_str));
        let lost = roles_of(spec).filter(|(_, role)| !given.contains(role));
        lost.map(|(place, role)| format!("{place}: no token and no role mapping gives anybody the role `{role}`")).collect()
    }
}
