//! One client over in-memory streams; what it sees is compared as JSON.

mod approval;
mod calls;
mod ends;
mod envelope;
mod eras;
mod flood;
#[cfg(feature = "http")]
mod http;
mod tools;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use toolyard_core::{
    ApprovalFallback, Dispatcher, Toolset,
    audit::{AuditError, AuditSink, Finish, Intent, Refusal},
};
use toolyard_policy::{PolicySpec, RolePolicies};

use crate::{End, ServeError, Server};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn server(fallback: ApprovalFallback) -> Server {
    recorded(fallback, tools::toolset(), &Recorder::default())
}

pub(super) fn recorded(fallback: ApprovalFallback, tools: Toolset, recorder: &Recorder) -> Server {
    ruled(fallback, tools, recorder, &PolicySpec::default())
}

pub(super) fn ruled(fallback: ApprovalFallback, tools: Toolset, recorder: &Recorder, rules: &PolicySpec) -> Server {
    let policies = RolePolicies::compile(rules).map_err(|error| error.problem);
    let dispatcher = Dispatcher::builder(tools, policies.expect("the rules compile"));
    let dispatcher = dispatcher.audit(Arc::new(recorder.clone()));
    let dispatcher = Arc::new(dispatcher.build().expect("the tools fit together"));
    Server::builder(dispatcher).name("test").version("1").instructions("Try it.").approval_fallback(fallback).build()
}

/// Keeps the outcomes of calls: `ok approved`.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    outcomes: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(super) fn outcomes(&self) -> Vec<String> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who called, and what the request was called: `caller request`.
    #[cfg(feature = "http")]
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What transports turned away: `caller request reason detail`.
    #[cfg(feature = "http")]
    pub(super) fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first outcome.
    pub(super) async fn outcome(&self) -> String {
        let first = async {
            loop {
                if let Some(first) = self.outcomes().into_iter().next() {
                    return first;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, first).await.expect("the call ends")
    }
}

impl AuditSink for Recorder {
    fn intent(&self, intent: &Intent<'_>) -> Result<(), AuditError> {
        let request = format!("{} {}", intent.principal, intent.request);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        Ok(())
    }

    fn finish(&self, finish: &Finish<'_>) -> Result<(), AuditError> {
        let outcome = format!("{} {}", finish.result, finish.approval.unwrap_or_default());
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome.trim_end().to_owned());
        Ok(())
    }

    fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError> {
        let Refusal { principal, request, reason, detail, count } = refusal;
        let refusal = format!("{} {request} {reason} {detail} {count}", principal.unwrap_or("nobody"));
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
        Ok(())
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

pub(super) fn cancelled(request: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request}})
}

pub(super) struct Client {
    input: Option<DuplexStream>,
    output: Lines<BufReader<DuplexStream>>,
    served: JoinHandle<Result<End, ServeError>>,
    shutdown: CancellationToken,
}

impl Client {
    pub(super) fn of(server: &Server) -> Self {
        let (input, server_input) = tokio::io::duplex(64 * 1024);
        let (server_output, output) = tokio::io::duplex(64 * 1024);
        let (server, shutdown) = (server.clone(), CancellationToken::new());
        let stop = shutdown.clone();
        let served = tokio::spawn(async move { server.serve_io(server_input, server_output, stop).await });
        Self { input: Some(input), output: BufReader::new(output).lines(), served, shutdown }
    }

    /// A client that has not said anything yet.
    pub(super) fn silent() -> Self {
        Self::of(&server(ApprovalFallback::Deny))
    }

    /// A client of the handshake era with these capabilities.
    pub(super) async fn initialized(server: &Server, capabilities: Value) -> Self {
        let mut client = Self::of(server);
        let answer = client.ask(&initialize("2025-11-25", capabilities)).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    pub(super) async fn ready() -> Self {
        Self::initialized(&server(ApprovalFallback::Deny), json!({})).await
    }

    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        timeout(PATIENCE, input.write_all(bytes)).await.expect("the server reads").expect("the server is there");
    }

    pub(super) async fn send(&mut self, message: &Value) {
        self.send_raw(format!("{message}\n").as_bytes()).await;
    }

    pub(super) async fn receive(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("the server answers").expect("the output can be read");
        serde_json::from_str(&line.expect("the output is open")).expect("the answer is JSON")
    }

    pub(super) async fn ask(&mut self, message: &Value) -> Value {
        self.send(message).await;
        self.receive().await
    }

    /// The text of the first block of a call's result.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask(&call(1, tool, arguments)).await;
        answer["result"]["content"][0]["text"].as_str().unwrap_or(&answer.to_string()).to_owned()
    }

    /// Nothing else comes: the answer to a ping is the next message.
    pub(super) async fn expect_nothing_else(&mut self) {
        let answer = self.ask(&json!({"jsonrpc": "2.0", "id": "last", "method": "ping"})).await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": "last", "result": {}}));
    }

    /// Ends the input; gives back how serving ended and whatever was still sent.
    pub(super) async fn end(mut self) -> (End, Vec<Value>) {
        drop(self.input.take());
        let end = timeout(PATIENCE, self.served).await.expect("serving ends").expect("serving does not panic");
        let mut rest = Vec::new();
        while let Ok(Some(line)) = self.output.next_line().await {
            rest.push(serde_json::from_str(&line).expect("the answer is JSON"));
        }
        (end.expect("serving does not fail"), rest)
    }
}

pub(super) fn initialize(version: &str, capabilities: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "client", "version": "1"}}})
}

pub(super) fn call(id: u32, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// The same request as the stateless era sends it.
pub(super) fn stateless(mut request: Value, capabilities: Value) -> Value {
    request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    request
}
