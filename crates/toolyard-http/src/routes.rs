//! The one pipeline every request passes, and the paths it leads to.

mod body;
mod cors;
mod guarded;
pub(crate) mod reply;
pub(crate) mod sse;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt as _;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use toolyard_core::Dispatcher;
use toolyard_server::{HttpService, Server};
use url::Url;

use crate::{
    HttpConfig, HttpLimits, Metrics,
    auth::Authenticator,
    metrics::Watched,
    middleware::{
        admission::Admission, budget::Budget, flood::Refusals, headers, hosts::HostRules, rate::RateLimiter, request_id::RequestId,
    },
    ops::Health,
};
pub(crate) use body::{Answer, Content};
use cors::Cors;
use reply::Reply;
use sse::Streams;

/// Everything requests share.
pub(crate) struct App {
    parts: AppParts,
    cors: Cors,
    rate: RateLimiter,
    admission: Admission,
    budget: Arc<Budget>,
    /// None without the legacy transport.
    streams: Option<Arc<Streams>>,
    /// The path of `/mcp` as clients write it.
    public_path: String,
    /// Whether browsers are told to come over TLS only.
    insists_on_tls: bool,
}

/// What an [`App`] is made of.
pub(crate) struct AppParts {
    pub(crate) service: HttpService,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) auth: Authenticator,
    pub(crate) hosts: HostRules,
    pub(crate) refusals: Refusals,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) limits: HttpLimits,
}

const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Where a request leads, for figures as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Mcp,
    Sse,
    Messages,
    Metadata,
    Health,
    Unknown,
}

impl Route {
    fn of(path: &str, app: &App) -> Self {
        match path {
            "/mcp" => Self::Mcp,
            "/sse" if app.streams.is_some() => Self::Sse,
            "/messages" if app.streams.is_some() => Self::Messages,
            "/health" => Self::Health,
            _ => match path.strip_prefix(METADATA) {
                // The last one is where RFC 9728 looks for it behind a proxy with a prefix.
                Some(rest) if rest.is_empty() || rest == "/mcp" || rest == app.public_path => Self::Metadata,
                Some(_) | None => Self::Unknown,
            },
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Mcp => "/mcp",
            Self::Sse => "/sse",
            Self::Messages => "/messages",
            Self::Metadata => METADATA,
            Self::Health => "/health",
            Self::Unknown => "other",
        }
    }

    /// The methods it answers.
    const fn methods(self) -> &'static str {
        match self {
            Self::Mcp => "GET, POST, DELETE, OPTIONS",
            Self::Sse => "GET, OPTIONS",
            Self::Messages => "POST, OPTIONS",
            Self::Metadata | Self::Health | Self::Unknown => "GET, HEAD, OPTIONS",
        }
    }
}

/// Clients come over TLS, here or at a proxy, and by a name that is this server's own: for
/// `localhost` browsers would apply it to every server on their machine, and for addresses never.
fn insists_on_tls(url: &Url) -> bool {
    let own = url.domain().is_some_and(|name| {
        let name = name.trim_end_matches('.');
        name != "localhost" && !name.ends_with(".localhost")
    });
    own && url.scheme() == "https"
}

impl App {
    pub(crate) fn new(parts: AppParts, server: &Server, config: &HttpConfig, url: &Url) -> Self {
        let limits = &parts.limits;
        Self {
            cors: Cors::new(&config.allowed_origins),
            rate: RateLimiter::new(limits.rate, limits.rate_window),
            admission: Admission::new(limits),
            budget: Budget::new(limits.max_body_bytes),
            streams: config.legacy_sse.then(|| Arc::new(Streams::new(server.clone(), parts.metrics.clone(), url.path(), limits))),
            public_path: url.path().to_owned(),
            insists_on_tls: insists_on_tls(url),
            parts,
        }
    }

    pub(crate) const fn limits(&self) -> &HttpLimits {
        &self.parts.limits
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// From now on requests are answered.
    pub(crate) fn ready(&self) {
        self.parts.health.ready();
    }

    /// Takes figures and writes sums of refusals.
    pub(crate) fn beat(&self) {
        self.parts.refusals.flush(Instant::now());
    }

    /// What is open and under way.
    pub(crate) fn watched(&self) -> Watched {
        let (service, legacy) = (&self.parts.service, self.streams.as_ref().map_or(0, |streams| streams.count()));
        Watched {
            sessions: service.sessions() + legacy,
            streams: service.streams() + legacy,
            requests: self.admission.active(),
            waiting: self.admission.waiting(),
        }
    }

    /// Bytes that bodies hold beyond what is free.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.budget.held()
    }

    /// The first step of the end: streams that only listen end, nothing new begins.
    pub(crate) fn drain(&self) {
        self.parts.health.draining();
        self.parts.service.close();
        if let Some(streams) = &self.streams {
            streams.close_idle();
        }
    }

    /// Ends what is still under way on legacy streams; the service's own calls end with their token.
    pub(crate) fn cut(&self) {
        if let Some(streams) = &self.streams {
            streams.close_all();
        }
    }

    /// Answers one request, whatever happens.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        let route = Route::of(request.uri().path(), self);
        let id = RequestId::of(request.headers());
        let origin = self.cors.origin(request.headers());
        let answer = AssertUnwindSafe(self.route(route, request, &id, origin.is_some())).catch_unwind().await;
        let mut response = answer.unwrap_or_else(|_| {
            tracing::error!(request = id.as_str(), route = route.label(), "a request panicked");
            reply::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error").map(Answer::from)
        });
        let response_headers = response.headers_mut();
        // All that follow at once.
        response_headers.reserve(10);
        headers::secure(response_headers);
        if self.insists_on_tls {
            headers::insist_on_tls(response_headers);
        }
        id.answer(response_headers);
        if let Some(origin) = origin {
            Cors::permit(response_headers, origin);
        }
        self.parts.metrics.response(route.label(), response.status().as_u16());
        response
    }

    async fn route(&self, route: Route, request: Request<Incoming>, id: &RequestId, cross: bool) -> Response<Answer> {
        let (head, body) = request.into_parts();
        if let Err(forbidden) = self.parts.hosts.check(&head) {
            self.refused(forbidden.reason(), None, id, head.uri.path());
            guarded::linger_unread(&head, body).await;
            return reply::error(forbidden.status(), forbidden.message()).map(Answer::from);
        }
        if head.method == Method::OPTIONS && route != Route::Unknown {
            return Cors::options(&head.headers, cross, route.methods()).map(Answer::from);
        }
        match (route, head.method.as_str()) {
            (Route::Mcp, "POST") => self.post(head, body, id).await,
            (Route::Mcp, "GET" | "DELETE") => self.listen(head, id).await,
            (Route::Sse, "GET") => self.open_stream(head, id).await,
            (Route::Messages, "POST") => self.push(head, body, id).await.map(Answer::from),
            (Route::Metadata, "GET" | "HEAD") => self.metadata().map(Answer::from),
            (Route::Health, "GET" | "HEAD") => self.health().map(Answer::from),
            (Route::Unknown, _) => reply::refuse(StatusCode::NOT_FOUND, "not found").map(Answer::from),
            _ => reply::method_not_allowed(route.methods()).map(Answer::from),
        }
    }

    /// How the server is doing, without the detail its own port tells.
    fn health(&self) -> Reply {
        let health = &self.parts.health;
        let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        reply::json(status, format!(r#"{{"status":"{}"}}"#, health.status()))
    }

    /// What clients need to know to get a token (RFC 9728).
    fn metadata(&self) -> Reply {
        match self.parts.auth.metadata() {
            Some(document) => {
                let mut response = reply::json(StatusCode::OK, document);
                response.headers_mut().insert(header::CACHE_CONTROL, http::HeaderValue::from_static("max-age=300"));
                response
            }
            None => reply::refuse(StatusCode::NOT_FOUND, "not found"),
        }
    }

    /// Notes what was turned away.
    fn refused(&self, reason: &'static str, principal: Option<&str>, id: &RequestId, detail: &str) {
        self.parts.metrics.refused(reason);
        self.parts.refusals.note(principal, id.as_str(), reason, detail, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_held_to_tls_only_at_names_of_this_server() {
        for (url, want) in [
            ("https://tools.example.com/mcp", true),
            ("http://tools.example.com/mcp", false),
            ("https://localhost:8080/mcp", false),
            ("https://a.localhost/mcp", false),
            ("https://localhost./mcp", false),
            ("https://127.0.0.1:8080/mcp", false),
            ("https://[::1]/mcp", false),
            ("https://10.0.0.7/mcp", false),
        ] {
            assert_eq!(insists_on_tls(&Url::parse(url).expect("a URL")), want, "{url}");
        }
    }
}
