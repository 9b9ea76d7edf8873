use std::{collections::BTreeMap, sync::Mutex, thread};

use futures::future::BoxFuture;
use toolyard_core::{
    ToolDefinition,
    audit::{AuditError, Finish, Intent, Refusal},
};
use toolyard_policy::Verdict;

use super::{
    grammar::{Family, read},
    *,
};

fn tool(name: &'static str, effect: Effect) -> ToolDefinition {
    ToolDefinition {
        name,
        title: "T",
        description: "d".into(),
        effect,
        idempotent: true,
        open_world: false,
        max_result_chars: None,
        input_schema: Arc::default(),
    }
}

fn finish(metrics: &Metrics, tool: Option<&ToolDefinition>, result: &str, millis: u64) {
    if tool.is_some() {
        metrics.started();
    }
    metrics.finished(&Finished { tool, result, took: Duration::from_millis(millis), bytes: 1 });
}

fn rendered(metrics: &Metrics) -> BTreeMap<String, Family> {
    let text = metrics.render();
    read(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

/// Series of a family and their values, as written in a query.
fn series(metrics: &Metrics, name: &str) -> Vec<String> {
    let family = name.strip_suffix("_total").or(name.strip_suffix("_count")).unwrap_or(name);
    let families = rendered(metrics);
    let samples = families.get(family).map(|family| family.samples.as_slice()).unwrap_or_default();
    let shown = samples.iter().filter(|sample| sample.name == name).map(|sample| {
        let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", labels.join(","), sample.value)
    });
    shown.map(|line| line.trim_start().to_owned()).collect()
}

#[test]
fn tool_calls_are_timed_by_tool_and_kind_of_error() {
    let metrics = Metrics::new();
    metrics.watch("tcp", Watched::default);
    let (read, write) = (tool("fs_read", Effect::Read), tool("fs_write", Effect::Write));
    for (tool, result) in [
        (Some(&read), "ok"),
        (Some(&read), "ok"),
        (Some(&read), "not found"),
        (Some(&read), "timeout"),
        (Some(&write), "abandoned"),
        (Some(&write), "pending"),
        (Some(&write), "a new word"),
        (None, "unknown tool"),
    ] {
        finish(&metrics, tool, result, 15);
    }
    let common = "gen_ai_operation_name=execute_tool";
    let method = "mcp_method_name=tools/call,network_transport=tcp";
    assert_eq!(
        series(&metrics, "mcp_server_operation_duration_seconds_count"),
        [
            format!("{common},gen_ai_tool_name=fs_read,{method} 2"),
            format!("error_type=tool_error,{common},gen_ai_tool_name=fs_read,{method} 2"),
            format!("{common},gen_ai_tool_name=fs_write,{method} 1"),
            format!("error_type=cancelled,{common},gen_ai_tool_name=fs_write,{method} 1"),
            format!("error_type=other,{common},gen_ai_tool_name=fs_write,{method} 1"),
            format!("{common},{method} 1"),
        ]
    );
    assert_eq!(
        series(&metrics, "toolyard_tool_results_total"),
        [
            "gen_ai_tool_name=fs_read,result=ok 2",
            "gen_ai_tool_name=fs_read,result=not found 1",
            "gen_ai_tool_name=fs_read,result=timeout 1",
            "gen_ai_tool_name=fs_write,result=pending 1",
            "gen_ai_tool_name=fs_write,result=abandoned 1",
            "gen_ai_tool_name=fs_write,result=other 1",
            "result=unknown tool 1",
        ]
    );
}

#[test]
fn buckets_are_those_of_the_conventions_and_times_are_in_seconds() {
    let metrics = Metrics::new();
    finish(&metrics, Some(&tool("fs_read", Effect::Read)), "ok", 250);
    let families = rendered(&metrics);
    let family = &families["mcp_server_operation_duration_seconds"];
    assert_eq!((family.kind.as_str(), family.unit.as_str()), ("histogram", "seconds"));
    let buckets: Vec<_> = family.samples.iter().filter_map(|sample| Some((sample.labels.get("le")?.as_str(), sample.value))).collect();
    let bounds = ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1.0", "2.0", "5.0", "10.0", "30.0", "60.0", "120.0", "300.0", "+Inf"];
    let counts = [0.0; 5].into_iter().chain([1.0; 10]);
    assert_eq!(buckets, bounds.into_iter().zip(counts).collect::<Vec<_>>());
    let sum = family.samples.iter().find(|sample| sample.name.ends_with("_sum")).map(|sample| sample.value);
    assert_eq!(sum, Some(0.25));
}

#[test]
fn operations_other_than_calls_are_timed_by_method_and_only_faults_of_the_server_are_errors() {
    let metrics = Metrics::new();
    for (method, error) in [
        ("tools/list", None),
        ("tools/list", Some("400")),
        ("tools/list", Some("-32602")),
        ("tools/list", Some("500")),
        ("tools/list", Some("-32603")),
        ("tools/list", Some("-32099")),
        ("other", Some("404")),
        // Told by the dispatcher, and not an operation.
        ("tools/call", None),
        ("none", None),
    ] {
        metrics.operation(method, Duration::from_millis(1), error);
    }
    assert_eq!(
        series(&metrics, "mcp_server_operation_duration_seconds_count"),
        [
            "mcp_method_name=other 1",
            "mcp_method_name=tools/list 3",
            "error_type=500,mcp_method_name=tools/list 1",
            "error_type=-32603,mcp_method_name=tools/list 1",
            "error_type=other,mcp_method_name=tools/list 1",
        ]
    );
}

#[test]
fn decisions_are_counted_by_outcome_effect_and_origin() {
    let metrics = Metrics::new();
    let origins = [RuleOrigin::Profile, RuleOrigin::Operator, RuleOrigin::BuiltIn, RuleOrigin::CommandLine, RuleOrigin::Default];
    let mut want = Vec::new();
    for effect in EFFECTS {
        let tool = tool("any", effect);
        let decide = |decision: &Decision| metrics.decided(&Decided { tool: &tool, decision, took: Duration::from_micros(3) });
        decide(&Decision::Allow("allow *".into()));
        want.push(format!("class={},decision=allow,rule_kind=allow 1", effect.as_str()));
        for (word, wrap) in [("ask", Decision::Ask as fn(Box<Verdict>) -> Decision), ("deny", Decision::Deny)] {
            for origin in origins {
                let verdict = Verdict { rule: "r".into(), origin, reason: "r".into(), remedy: "r".into() };
                decide(&wrap(Box::new(verdict)));
                want.push(format!("class={},decision={word},rule_kind={} 1", effect.as_str(), origin.as_str()));
            }
        }
    }
    assert_eq!(series(&metrics, "gov_policy_decisions_total"), want);
    assert_eq!(series(&metrics, "gov_policy_evaluation_duration_seconds_count"), ["44"]);
}

#[test]
fn what_is_open_is_counted_until_it_is_closed() {
    let metrics = Metrics::new();
    metrics.watch("unix", || Watched { sessions: 3, streams: 2, requests: 5, waiting: 1 });
    let (first, second) = (metrics.connection(), metrics.connection());
    metrics.started();
    metrics.asking();
    let value = |name: &str| series(&metrics, name);
    assert_eq!(value("toolyard_http_connections"), ["2"]);
    drop(first);
    assert_eq!(value("toolyard_http_connections"), ["1"]);
    drop(second);
    assert_eq!(value("toolyard_http_connections"), ["0"]);
    assert_eq!((value("toolyard_active_calls"), metrics.active_calls()), (vec!["1".to_owned()], 1));
    assert_eq!(value("gov_approval_pending"), ["1"]);
    metrics.asked(Duration::from_secs(7));
    finish(&metrics, None, "unknown tool", 1);
    assert_eq!(metrics.active_calls(), 1, "a call of no tool never began");
    metrics.finished(&Finished { tool: Some(&tool("fs_read", Effect::Read)), result: "ok", took: Duration::ZERO, bytes: 0 });
    assert_eq!((value("gov_approval_pending"), value("toolyard_active_calls")), (vec!["0".to_owned()], vec!["0".to_owned()]));
    assert_eq!(value("gov_approval_wait_seconds_count"), ["1"]);
    let watched = ["sessions", "streams", "requests_in_flight", "requests_waiting"].map(|name| value(&format!("toolyard_http_{name}")));
    assert_eq!(watched, [["3"], ["2"], ["5"], ["1"]]);
}

#[test]
fn requests_refusals_and_limits_are_counted() {
    let metrics = Metrics::new();
    for (route, status) in [("/mcp", 200), ("/mcp", 202), ("/mcp", 401), ("other", 404), ("/mcp", 503), ("/mcp", 999)] {
        metrics.response(route, status);
    }
    metrics.refused("unauthenticated");
    metrics.refused("unauthenticated");
    metrics.refused("foreign_host");
    for allowed in [true, true, false] {
        metrics.rate_limited(allowed);
    }
    metrics.session_ended(Duration::from_secs(3));
    assert_eq!(
        series(&metrics, "toolyard_http_responses_total"),
        ["route=/mcp,status=2xx 2", "route=/mcp,status=4xx 1", "route=/mcp,status=5xx 1", "route=other,status=4xx 1"]
    );
    assert_eq!(series(&metrics, "toolyard_http_refusals_total"), ["reason=foreign_host 1", "reason=unauthenticated 2"]);
    assert_eq!(series(&metrics, "gov_rate_limit_decisions_total"), ["decision=allow,scope=principal 2", "decision=deny,scope=principal 1"]);
    assert_eq!(series(&metrics, "mcp_server_session_duration_seconds_count"), ["1"]);
}

#[derive(Debug, Default)]
struct Trail(Mutex<bool>);

impl Trail {
    fn write(&self) -> Result<(), AuditError> {
        let broken = *self.0.lock().expect("no panic");
        if broken { Err(AuditError(Arc::new(std::io::Error::other("disk full")))) } else { Ok(()) }
    }
}

impl AuditSink for Trail {
    fn intent(&self, _: &Intent<'_>) -> Result<(), AuditError> {
        self.write()
    }

    fn finish(&self, _: &Finish<'_>) -> Result<(), AuditError> {
        self.write()
    }

    fn refused(&self, _: &Refusal<'_>) -> Result<(), AuditError> {
        self.write()
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), AuditError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[test]
fn au1_records_that_were_written_are_counted_by_class_and_errors_are_passed_on() {
    let metrics = Metrics::new();
    let trail = Arc::new(Trail::default());
    assert_eq!(series(&metrics, "gov_audit_events_total"), [""; 0], "nothing is told of what nobody counts");
    let audited = metrics.audited(Arc::clone(&trail) as Arc<dyn AuditSink>);
    let finish = Finish { call: 1, result: "ok", approval: None, micros: 1, bytes: 1 };
    let refusal = Refusal { principal: None, request: "r", reason: "busy", detail: "", count: 1 };
    audited.finish(&finish).expect("written");
    audited.refused(&refusal).expect("written");
    audited.refused(&refusal).expect("written");
    *trail.0.lock().expect("no panic") = true;
    assert_eq!(audited.finish(&finish).map_err(|error| error.to_string()), Err("the audit trail can't be written: disk full".into()));
    assert_eq!(series(&metrics, "gov_audit_events_total"), ["class=intent 0", "class=finish 1", "class=refusal 2"]);
}

#[test]
fn au3_a_missing_record_is_counted_and_remembered() {
    let metrics = Metrics::new();
    assert!(!metrics.audit_failed_within(Duration::from_secs(60)));
    metrics.observer().audit_failed();
    assert!(metrics.audit_failed_within(Duration::from_secs(60)));
    thread::sleep(Duration::from_millis(30));
    assert!(!metrics.audit_failed_within(Duration::from_millis(5)), "it is a while ago");
    assert_eq!(series(&metrics, "gov_audit_write_errors_total"), ["1"]);
}

#[test]
fn new_figures_are_well_formed_and_name_the_version_and_the_process() {
    let metrics = Metrics::new();
    assert_eq!(series(&metrics, "toolyard_build_info"), [format!("version={} 1", env!("CARGO_PKG_VERSION"))]);
    let families = rendered(&metrics);
    let kinds: Vec<_> = families
        .iter()
        .filter(|(name, _)| name.starts_with("process_"))
        .map(|(name, family)| (name.as_str(), family.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("process_cpu_seconds", "counter"),
            ("process_max_fds", "gauge"),
            ("process_open_fds", "gauge"),
            ("process_resident_memory_bytes", "gauge"),
            ("process_start_time_seconds", "gauge"),
            ("process_threads", "gauge"),
            ("process_virtual_memory_bytes", "gauge"),
        ]
    );
}

#[test]
fn figures_hold_while_they_are_written() {
    let metrics = Metrics::new();
    let (read_tool, write_tool) = (tool("fs_read", Effect::Read), tool("fs_write", Effect::Write));
    thread::scope(|scope| {
        for worker in 0..2 {
            let (metrics, tools) = (&metrics, [&read_tool, &write_tool]);
            scope.spawn(move || {
                for round in 0..20_000 {
                    finish(metrics, Some(tools[(round + worker) % 2]), "ok", (round % 700) as u64);
                }
            });
        }
        for _ in 0..20 {
            rendered(&metrics);
        }
    });
    assert_eq!(
        series(&metrics, "toolyard_tool_results_total"),
        ["gen_ai_tool_name=fs_read,result=ok 20000", "gen_ai_tool_name=fs_write,result=ok 20000"]
    );
}
