//! The pipeline from end to end, with tools that misbehave on demand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use toolyard_policy::{Access, Effect, PolicySpec, Profile, Resource, RolePolicies, RuleSpec};

use crate::{
    Answer, Approval, ApprovalFallback, ApprovalRequest, Approver, CallError, CallOutcome, Context, Decided, Dispatcher, Finished, Granted,
    Limits, Observer, Principal, Tool, ToolError, Toolset, Trailer,
    audit::{AuditError, AuditSink, Finish, Intent, Refusal},
};

/// Does what it is told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// What to do: answer, busy, panic, panic_early, sleep, block.
    what: String,
    /// Changes nothing.
    #[serde(default)]
    #[expect(dead_code, reason = "only its value in the arguments matters")]
    more: i64,
}

#[derive(Default)]
struct Reader {
    blocked_work_ended: Arc<AtomicBool>,
    running: Arc<AtomicUsize>,
    most_running: Arc<AtomicUsize>,
    records: Arc<Mutex<Vec<String>>>,
}

impl Tool for Reader {
    const NAME: &'static str = "demo_read";
    const TITLE: &'static str = "Read";
    const EFFECT: Effect = Effect::Read;
    const IDEMPOTENT: bool = true;
    type Input = Order;

    fn access(&self, input: &Order, _: &Context) -> Result<Vec<Access>, ToolError> {
        assert!(input.what != "panic_early", "secret of the early panic");
        Ok(vec![Access { effect: Effect::Read, resource: Resource::Name { kind: "thing", text: input.what.clone() } }])
    }

    async fn call(&self, input: Order, granted: Granted<'_>) -> Result<Answer, ToolError> {
        self.records.lock().expect("no panic").push("ran".into());
        match input.what.as_str() {
            "busy" => {
                let (running, most) = (Arc::clone(&self.running), Arc::clone(&self.most_running));
                granted
                    .blocking(move |_| {
                        // Goes on after the deadline, as work on a dead network disk does.
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(150));
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .await?;
            }
            "panic" => panic!("secret of the panic"),
            "sleep" => tokio::time::sleep(Duration::from_secs(600)).await,
            "block" => {
                let ended = Arc::clone(&self.blocked_work_ended);
                granted
                    .blocking(move |stop| {
                        while !stop.is_raised() {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        ended.store(true, Ordering::SeqCst);
                        Err::<(), _>(ToolError::cancelled())
                    })
                    .await?;
            }
            _ => {}
        }
        Ok(Answer::text("done", &Trailer::new()))
    }
}

#[derive(Default)]
struct Writer {
    ran: Arc<AtomicUsize>,
}

impl Tool for Writer {
    const NAME: &'static str = "demo_destroy";
    const TITLE: &'static str = "Destroy";
    const EFFECT: Effect = Effect::Destroy;
    const IDEMPOTENT: bool = false;
    type Input = Order;

    fn access(&self, input: &Order, _: &Context) -> Result<Vec<Access>, ToolError> {
        Ok(vec![Access { effect: Effect::Destroy, resource: Resource::Name { kind: "thing", text: input.what.clone() } }])
    }

    async fn call(&self, input: Order, granted: Granted<'_>) -> Result<Answer, ToolError> {
        if input.what == "slow" || input.what == "late" {
            let late = input.what == "late";
            return granted
                .blocking(move |stop| {
                    if late {
                        std::thread::sleep(Duration::from_millis(400));
                    }
                    stop.claim()?;
                    std::thread::sleep(Duration::from_millis(400));
                    Ok(Answer::text("gone slowly", &Trailer::new()))
                })
                .await;
        }
        self.ran.fetch_add(1, Ordering::SeqCst);
        Ok(Answer::text("gone", &Trailer::new()))
    }
}

/// Remembers every record; refuses intents, or never gets them to the disk, when told to.
#[derive(Debug, Default)]
struct Memory {
    records: Arc<Mutex<Vec<String>>>,
    broken: AtomicBool,
    sync_fails: AtomicBool,
    synced: Option<Arc<tokio::sync::Semaphore>>,
}

impl AuditSink for Memory {
    fn intent(&self, intent: &Intent<'_>) -> Result<(), AuditError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(AuditError(Arc::new(std::io::Error::other("disk full"))));
        }
        self.records.lock().expect("no panic").push(format!("intent {} {} {}", intent.tool, intent.decision, intent.accesses.len()));
        Ok(())
    }

    fn finish(&self, finish: &Finish<'_>) -> Result<(), AuditError> {
        let approval = finish.approval.unwrap_or("-");
        self.records.lock().expect("no panic").push(format!("finish {} {approval}", finish.result));
        Ok(())
    }

    fn refused(&self, refusal: &Refusal<'_>) -> Result<(), AuditError> {
        self.records.lock().expect("no panic").push(format!("refusal {}", refusal.reason));
        Ok(())
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        let failed = self.sync_fails.load(Ordering::SeqCst);
        let synced = self.synced.clone();
        Box::pin(async move {
            if let Some(synced) = synced {
                synced.acquire().await.expect("never closed").forget();
            }
            if failed { Err(AuditError(Arc::new(std::io::Error::other("disk gone")))) } else { Ok(()) }
        })
    }
}

struct Says(Approval);

impl Approver for Says {
    fn ask<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        Box::pin(std::future::ready(self.0.clone()))
    }
}

struct Bench {
    dispatcher: Dispatcher,
    audit: Arc<Memory>,
    figures: Arc<Figures>,
    destroyed: Arc<AtomicUsize>,
    blocked_work_ended: Arc<AtomicBool>,
    most_running: Arc<AtomicUsize>,
}

fn bench(spec: PolicySpec, limits: Limits) -> Bench {
    bench_with(spec, limits, Memory::default())
}

fn bench_with(spec: PolicySpec, limits: Limits, audit: Memory) -> Bench {
    let (reader, writer) = (Reader { records: Arc::clone(&audit.records), ..Reader::default() }, Writer::default());
    let (destroyed, blocked_work_ended) = (Arc::clone(&writer.ran), Arc::clone(&reader.blocked_work_ended));
    let most_running = Arc::clone(&reader.most_running);
    let audit = Arc::new(audit);
    let policies = RolePolicies::compile(&spec).expect("the rules compile");
    let figures = Arc::<Figures>::default();
    let dispatcher = Dispatcher::builder(Toolset::new().with(reader).with(writer), policies)
        .audit(Arc::clone(&audit) as _)
        .observer(Arc::clone(&figures) as _)
        .limits(limits)
        .build()
        .expect("names are unique");
    Bench { dispatcher, audit, figures, destroyed, blocked_work_ended, most_running }
}

fn standard() -> Bench {
    bench(PolicySpec::default(), Limits::default())
}

fn context() -> Context {
    Context::new(Principal::local())
}

fn order(what: &str) -> Option<Map<String, Value>> {
    json!({ "what": what }).as_object().cloned()
}

impl Bench {
    async fn call(&self, tool: &str, what: &str, cx: &Context) -> String {
        match self.dispatcher.call(tool, order(what), cx).await {
            Ok(CallOutcome::Done(answer)) => answer.to_text(),
            Ok(CallOutcome::NeedsApproval(request)) => format!("needs approval: {}", request.question()),
            Err(error) => error.to_string(),
        }
    }

    fn records(&self) -> Vec<String> {
        self.audit.records.lock().expect("no panic").clone()
    }
}

/// What the observer was told.
#[derive(Default)]
struct Figures {
    told: Mutex<Vec<String>>,
}

impl Figures {
    fn tell(&self, what: String) {
        self.told.lock().expect("no panic").push(what);
    }
}

impl Observer for Figures {
    fn started(&self) {
        self.tell("started".into());
    }

    fn decided(&self, decided: &Decided<'_>) {
        self.tell(format!("{} {}", decided.tool.name, decided.decision.outcome().as_str()));
    }

    fn asking(&self) {
        self.tell("asking".into());
    }

    fn asked(&self, _: Duration) {
        self.tell("asked".into());
    }

    fn finished(&self, finished: &Finished<'_>) {
        self.tell(format!("{} {}", finished.tool.map_or("-", |tool| tool.name), finished.result));
    }

    fn audit_failed(&self) {
        self.tell("audit failed".into());
    }
}

#[tokio::test]
async fn an_observer_is_told_of_every_call_from_its_start_to_its_end() {
    let bench = standard();
    let asking = context().with_approver(Arc::new(Says(Approval::Approved)), ApprovalFallback::Deny);
    for (tool, what, cx) in [("demo_read", "answer", &context()), ("demo_destroy", "answer", &asking), ("demo_nothing", "", &context())] {
        bench.call(tool, what, cx).await;
    }
    let told = bench.figures.told.lock().expect("no panic").join(", ");
    assert_eq!(told, "started, demo_read allow, demo_read ok, started, demo_destroy ask, asking, asked, demo_destroy ok, - unknown tool");
    let broken = bench_with(PolicySpec::default(), Limits::default(), Memory { broken: AtomicBool::new(true), ..Memory::default() });
    broken.call("demo_read", "answer", &context()).await;
    let told = broken.figures.told.lock().expect("no panic").join(", ");
    assert_eq!(told, "started, demo_read allow, audit failed, demo_read ok");
}

#[tokio::test]
async fn the_roles_of_the_caller_decide_what_is_listed_and_what_runs() {
    let maintain = RuleSpec { roles: vec!["maintainer".into()], ..RuleSpec::from("destroy") };
    let rules = PolicySpec { profile: Profile::Locked, allow: vec!["read".into(), maintain], ..PolicySpec::default() };
    let bench = bench(rules, Limits::default());
    let (plain, maintainer) = (Principal::named("a"), Principal::named("b").with_roles(["maintainer"]));
    let listed = |principal: &Principal| bench.dispatcher.tools(principal).map(|tool| tool.definition.name).collect::<Vec<_>>();
    assert_eq!(listed(&plain), ["demo_read"]);
    assert_eq!(listed(&maintainer), ["demo_read", "demo_destroy"]);
    let refused = bench.call("demo_destroy", "answer", &Context::new(plain)).await;
    assert!(refused.contains("denied because no rule allows it"), "{refused}");
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 0);
    bench.call("demo_destroy", "answer", &Context::new(maintainer)).await;
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_is_noted_before_and_after_it_ran() {
    let bench = standard();
    assert_eq!(bench.call("demo_read", "answer", &context()).await, "done\n[complete=true]");
    assert_eq!(bench.records(), ["intent demo_read allow 1", "ran", "finish ok -"]);
}

#[tokio::test]
async fn the_answer_of_a_change_waits_until_its_intent_is_on_disk() {
    let disk = Arc::new(tokio::sync::Semaphore::new(0));
    let bench = bench_with(PolicySpec::default(), Limits::default(), Memory { synced: Some(Arc::clone(&disk)), ..Memory::default() });
    let cx = context().with_approver(Arc::new(Says(Approval::Approved)), ApprovalFallback::Deny);
    let mut call = std::pin::pin!(bench.call("demo_destroy", "x", &cx));
    assert_eq!(tokio::time::timeout(Duration::from_millis(20), call.as_mut()).await.ok(), None);
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 1, "the tool works meanwhile");
    disk.add_permits(1);
    assert!(call.await.starts_with("gone"));
    assert_eq!(bench.call("demo_read", "answer", &context()).await, "done\n[complete=true]", "reads don't wait");
}

#[tokio::test]
async fn a_change_whose_intent_never_reached_the_disk_is_not_called_a_success() {
    let bench = standard();
    bench.audit.sync_fails.store(true, Ordering::SeqCst);
    let cx = context().with_approver(Arc::new(Says(Approval::Approved)), ApprovalFallback::Deny);
    let text = bench.call("demo_destroy", "x", &cx).await;
    assert!(text.starts_with("unavailable: ") && text.contains("the change was made"), "{text}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_it_starts_does_not_run() {
    let bench = standard();
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(bench.call("demo_read", "answer", &context().with_cancel(cancel)).await, "cancelled: the call was cancelled");
    assert_eq!(bench.records(), ["intent demo_read deny 0", "finish cancelled -"]);
}

#[tokio::test]
async fn an_unknown_tool_is_no_result_but_is_in_the_trail() {
    let bench = standard();
    let error = bench.dispatcher.call("demo_raed", None, &context()).await;
    assert!(matches!(error, Err(CallError::UnknownTool { nearest: Some("demo_read"), .. })));
    assert_eq!(bench.records(), ["intent demo_raed deny 0", "finish unknown tool -"]);
}

#[tokio::test]
async fn bad_arguments_are_refused_and_in_the_trail() {
    let bench = standard();
    let outcome = bench.dispatcher.call("demo_read", json!({"wat": 1}).as_object().cloned(), &context()).await;
    let Ok(CallOutcome::Done(answer)) = outcome else { panic!("an answer") };
    assert!(answer.to_text().contains("did you mean `what`?"), "{}", answer.to_text());
    assert_eq!(bench.records(), ["intent demo_read deny 0", "finish invalid input -"]);
}

#[tokio::test]
async fn a_panic_becomes_an_answer_without_its_payload() {
    let bench = standard();
    for what in ["panic", "panic_early"] {
        let text = bench.call("demo_read", what, &context()).await;
        assert!(text.starts_with("internal: the tool failed unexpectedly"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(bench.call("demo_read", "answer", &context()).await, "done\n[complete=true]");
}

#[tokio::test]
async fn a_denied_call_does_not_run_and_says_which_rule_and_how_to_change_it() {
    let deny = RuleSpec { rule: "destroy(precious)".into(), ..RuleSpec::default() };
    let allow = RuleSpec { rule: "*".into(), ..RuleSpec::default() };
    let bench =
        bench(PolicySpec { deny: vec![deny], allow: vec![allow], profile: Profile::Locked, ..PolicySpec::default() }, Limits::default());
    let text = bench.call("demo_destroy", "precious", &context()).await;
    assert!(text.contains("deny destroy(precious)") && text.contains("hint: "), "{text}");
    assert_eq!(bench.call("demo_destroy", "junk", &context()).await, "gone\n[complete=true]");
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 1);
    assert_eq!(bench.records()[..2], ["intent demo_destroy deny 1", "finish denied -"]);
}

#[tokio::test]
async fn an_ask_runs_only_with_consent() {
    let bench = standard();
    let cases = [
        (Approval::Approved, ApprovalFallback::Deny, "gone", "finish ok approved"),
        (Approval::Declined, ApprovalFallback::Host, "denied: ", "finish denied declined"),
        (Approval::Unavailable, ApprovalFallback::Host, "gone", "finish ok host"),
        (Approval::Unavailable, ApprovalFallback::Deny, "denied: ", "finish denied unavailable"),
    ];
    for (approval, fallback, starts, record) in cases {
        let cx = context().with_approver(Arc::new(Says(approval.clone())), fallback);
        let text = bench.call("demo_destroy", "x", &cx).await;
        assert!(text.starts_with(starts), "{approval:?}: {text}");
        assert_eq!(bench.records().last().map(String::as_str), Some(record));
    }
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 2);
    let pending = context().with_approver(Arc::new(Says(Approval::Pending)), ApprovalFallback::Host);
    assert!(
        bench.call("demo_destroy", "x", &pending).await.starts_with("needs approval: Allow demo_destroy to do this?\n`destroy thing x`\n")
    );
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn consent_is_bound_to_tool_arguments_and_principal() {
    let ask = RuleSpec { rule: "read(secret/**)".into(), ..RuleSpec::default() };
    let bench = bench(PolicySpec { ask: vec![ask], ..PolicySpec::default() }, Limits::default());
    let digest = async |tool: &str, principal: &str, what: &str, more: i64| {
        let cx = Context::new(Principal::named(principal)).with_approver(Arc::new(Says(Approval::Pending)), ApprovalFallback::Deny);
        let arguments = json!({ "what": what, "more": more }).as_object().cloned();
        match bench.dispatcher.call(tool, arguments, &cx).await {
            Ok(CallOutcome::NeedsApproval(request)) => request.digest,
            other => panic!("{other:?}"),
        }
    };
    for tool in ["demo_destroy", "demo_read"] {
        let first = digest(tool, "me", "secret/x", 1).await;
        assert_eq!(first, digest(tool, "me", "secret/x", 1).await);
        assert_ne!(first, digest(tool, "you", "secret/x", 1).await);
        assert_ne!(first, digest(tool, "me", "secret/y", 1).await);
        assert_ne!(first, digest(tool, "me", "secret/x", 2).await, "the same accesses, other arguments");
    }
    assert_ne!(digest("demo_destroy", "me", "secret/x", 1).await, digest("demo_read", "me", "secret/x", 1).await);
    assert_eq!(bench.records()[..2], ["intent demo_destroy ask 1", "finish pending -"]);
}

#[tokio::test]
async fn nothing_that_writes_runs_without_its_intent_in_the_trail() {
    let bench = standard();
    bench.audit.broken.store(true, Ordering::SeqCst);
    let cx = context().with_approver(Arc::new(Says(Approval::Approved)), ApprovalFallback::Deny);
    assert!(bench.call("demo_destroy", "x", &cx).await.starts_with("unavailable: the audit trail can't be written"));
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 0);
    assert_eq!(bench.call("demo_read", "answer", &context()).await, "done\n[complete=true]");
}

#[tokio::test]
async fn a_deadline_ends_waiting_and_blocking_work() {
    let bench = bench(PolicySpec::default(), Limits { timeout: Duration::from_millis(30), ..Limits::default() });
    for what in ["sleep", "block"] {
        let started = Instant::now();
        let text = bench.call("demo_read", what, &context()).await;
        assert!(text.starts_with("timeout: demo_read ran longer than 0.03 s"), "{text}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    assert!(bench.blocked_work_ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_cancelled_call_stops_its_blocking_work() {
    let bench = standard();
    let cancel = CancellationToken::new();
    let cx = context().with_cancel(cancel.clone());
    let call = bench.call("demo_read", "block", &cx);
    let canceller = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        cancel.cancel();
    };
    let (text, ()) = futures::join!(call, canceller);
    assert_eq!(text, "cancelled: the call was cancelled");
    assert!(bench.blocked_work_ended.load(Ordering::SeqCst));
    assert_eq!(bench.records().last().map(String::as_str), Some("finish cancelled -"));
}

#[tokio::test]
async fn a_change_that_had_begun_is_reported_though_it_was_cancelled_and_one_that_had_not_never_happens() {
    let bench = standard();
    for (what, text, record) in [
        ("slow", "gone slowly\n[complete=true]", "finish ok approved"),
        ("late", "cancelled: the call was cancelled", "finish cancelled approved"),
    ] {
        let cancel = CancellationToken::new();
        let cx = context().with_approver(Arc::new(Says(Approval::Approved)), ApprovalFallback::Deny).with_cancel(cancel.clone());
        let canceller = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel();
        };
        let (answer, ()) = futures::join!(bench.call("demo_destroy", what, &cx), canceller);
        assert_eq!(answer, text);
        assert_eq!(bench.records().last().map(String::as_str), Some(record));
    }
}

#[tokio::test]
async fn blocking_work_of_a_dropped_call_is_told_to_stop() {
    let bench = standard();
    let cx = context();
    let timed_out = tokio::time::timeout(Duration::from_millis(20), bench.call("demo_read", "block", &cx)).await;
    assert_eq!(timed_out.ok(), None);
    assert_eq!(bench.records().last().map(String::as_str), Some("finish abandoned -"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(bench.blocked_work_ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_the_limit_says_even_when_their_work_outlives_them() {
    let bench = bench(PolicySpec::default(), Limits { concurrency: 2, timeout: Duration::from_millis(50), ..Limits::default() });
    let cx = context();
    let calls = (0..8).map(|_| bench.call("demo_read", "busy", &cx));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().any(|text| text.starts_with("timeout: ")), "{answers:?}");
    let later = (0..4).map(|_| bench.call("demo_read", "busy", &cx));
    futures::future::join_all(later).await;
    assert_eq!(bench.most_running.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn arguments_beyond_the_limit_are_refused() {
    let bench = bench(PolicySpec::default(), Limits { max_input_bytes: 100, ..Limits::default() });
    let text = bench.call("demo_read", &"x".repeat(200), &context()).await;
    assert!(text.starts_with("limit exceeded: the arguments hold 204 bytes, the limit is 100"), "{text}");
}

#[test]
fn a_policy_that_denies_everything_hides_every_tool() {
    let bench = bench(PolicySpec { profile: Profile::Locked, ..PolicySpec::default() }, Limits::default());
    assert_eq!(bench.dispatcher.tools(&Principal::local()).count(), 0);
    let listed: Vec<_> = standard().dispatcher.tools(&Principal::local()).map(|tool| (tool.definition.name, tool.asks)).collect();
    assert_eq!(listed, [("demo_read", false), ("demo_destroy", true)]);
}

#[test]
fn explaining_a_call_runs_nothing() {
    let bench = standard();
    let explained = bench.dispatcher.explain("demo_destroy", order("x").unwrap_or_default(), &context());
    let Ok(Ok(explanation)) = explained else { panic!("{explained:?}") };
    assert_eq!(explanation.accesses, ["destroy thing x"]);
    assert_eq!(explanation.decision.outcome(), toolyard_policy::Outcome::Ask);
    assert_eq!(bench.destroyed.load(Ordering::SeqCst), 0);
    assert!(bench.records().is_empty());
}
