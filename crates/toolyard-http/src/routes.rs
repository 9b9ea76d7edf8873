//! The one pipeline every request passes.

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use toolyard_core::Principal;
use toolyard_server::{HttpBody, HttpService};

use crate::{HttpConfig, HttpLimits};

pub(crate) struct App {
    service: HttpService,
    config: HttpConfig,
}

impl App {
    pub(crate) fn new(service: HttpService, config: HttpConfig) -> Self {
        Self { service, config }
    }

    pub(crate) fn limits(&self) -> &HttpLimits {
        &self.config.limits
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<HttpBody> {
        if request.uri().path() != "/mcp" {
            return empty(StatusCode::NOT_FOUND);
        }
        let (mut head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return empty(StatusCode::BAD_REQUEST) };
        head.extensions.insert(Principal::local());
        self.service.handle(Request::from_parts(head, Full::new(body.to_bytes()))).await
    }
}

fn empty(status: StatusCode) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::default());
    *response.status_mut() = status;
    response
}
