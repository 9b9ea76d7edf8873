//! Figures as text. The encoder knows the format, this file knows the names.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::{Registry, Unit},
};

use super::{
    EFFECTS, ERRORS, Figures, Metrics, ORIGINS, OUTCOMES, RESULTS,
    audited::CLASSES,
    cells::{Histogram, Snapshot},
    process::Process,
};

/// Labels of one series; those with an empty value are left out.
type Labels<'a> = Vec<(&'static str, &'a str)>;

type NoExemplar = Exemplar<[(&'static str, &'static str); 0], u64>;

/// What calls with this result are in `error.type`; a tool that says that it failed is one kind.
const RESULT_ERRORS: [Option<&str>; RESULTS.len()] = [
    None,
    None,
    // A JSON-RPC error for which the client is to blame.
    None,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    TOOL_ERROR,
    Some("cancelled"),
    Some("other"),
];
const TOOL_ERROR: Option<&str> = Some("tool_error");

pub(super) fn text(metrics: &Metrics) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics.clone()));
    let mut text = String::with_capacity(32 << 10);
    // Writing to a string does not fail; if it did, the text would lack its end and be refused.
    if let Err(error) = text::encode(&mut text, &registry) {
        tracing::error!(%error, "figures can't be told");
    }
    text
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(encoder);
        let figures = &*self.figures;
        sheet.operations(figures)?;
        sheet.governance(figures)?;
        sheet.http(self)?;
        sheet.process(&Process::now())?;
        // A gauge that is one, as Prometheus does it: readers of the older format know no other way.
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let mut build = sheet.0.encode_descriptor("toolyard_build_info", "The version that runs", None, MetricType::Gauge)?;
        build.encode_family(&version)?.encode_gauge(&1)
    }
}

struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn operations(&mut self, figures: &Figures) -> fmt::Result {
        let transport = figures.transport.get().copied().unwrap_or_default();
        let mut durations: Vec<(Labels<'_>, Snapshot)> = Vec::new();
        let mut results: Vec<(Labels<'_>, u64)> = Vec::new();
        let tools = figures.tools.sorted();
        let named = tools.iter().map(|(name, cells)| (*name, cells));
        for (tool, cells) in named.chain([("", &figures.nameless)]) {
            let mut by_error: Vec<(&str, Snapshot)> = Vec::new();
            for ((result, error), cell) in RESULTS.into_iter().zip(RESULT_ERRORS).zip(cells) {
                let Some(snapshot) = cell.get().map(|histogram| histogram.snapshot()) else { continue };
                results.push((vec![("gen_ai_tool_name", tool), ("result", result)], snapshot.count()));
                let error = error.unwrap_or_default();
                match by_error.iter_mut().find(|(known, _)| *known == error) {
                    Some((_, sum)) => sum.add(&snapshot),
                    None => by_error.push((error, snapshot)),
                }
            }
            for (error, snapshot) in by_error {
                let labels = vec![
                    ("mcp_method_name", "tools/call"),
                    ("gen_ai_tool_name", tool),
                    ("gen_ai_operation_name", "execute_tool"),
                    ("error_type", error),
                    ("network_transport", transport),
                ];
                durations.push((labels, snapshot));
            }
        }
        for (method, cells) in figures.methods.sorted() {
            for (error, cell) in [""].into_iter().chain(ERRORS).zip(cells) {
                let Some(histogram) = cell.get() else { continue };
                let labels = vec![("mcp_method_name", *method), ("error_type", error), ("network_transport", transport)];
                durations.push((labels, histogram.snapshot()));
            }
        }
        self.histograms("mcp_server_operation_duration", "How long operations take", durations)?;
        let help = "How long sessions of the handshake era last";
        self.histogram("mcp_server_session_duration", help, &figures.sessions_ended)?;
        self.counters("toolyard_tool_results", "What tool calls come to", None, results)?;
        self.gauge("toolyard_active_calls", "Tool calls that run", None, figures.calls.load(Ordering::Relaxed).max(0))
    }

    fn governance(&mut self, figures: &Figures) -> fmt::Result {
        let mut decisions = Vec::new();
        for (effect, outcomes) in EFFECTS.into_iter().zip(&figures.decisions) {
            for (outcome, origins) in OUTCOMES.into_iter().zip(outcomes) {
                for (origin, count) in ORIGINS.into_iter().zip(origins) {
                    let kind = origin.map_or("allow", |origin| origin.as_str());
                    let labels = vec![("decision", outcome.as_str()), ("class", effect.as_str()), ("rule_kind", kind)];
                    decisions.push((labels, count.load(Ordering::Relaxed)));
                }
            }
        }
        decisions.retain(|(_, count)| *count > 0);
        self.counters("gov_policy_decisions", "What the policy decided", None, decisions)?;
        self.histogram("gov_policy_evaluation_duration", "How long deciding takes", &figures.evaluations)?;
        let rate = |decision, count: &AtomicU64| (vec![("scope", "principal"), ("decision", decision)], count.load(Ordering::Relaxed));
        let rates = vec![rate("allow", &figures.rate_allowed), rate("deny", &figures.rate_denied)];
        self.counters("gov_rate_limit_decisions", "What the rate limit decided", None, rates)?;
        let audited = CLASSES.into_iter().zip(figures.audited.get().into_iter().flatten());
        let audited = audited.map(|(class, count)| (vec![("class", class)], count.load(Ordering::Relaxed))).collect();
        self.counters("gov_audit_events", "Records written into the audit trail", None, audited)?;
        let errors = vec![(Vec::new(), figures.audit_errors.load(Ordering::Relaxed))];
        self.counters("gov_audit_write_errors", "Records missing from the audit trail", None, errors)?;
        let pending = figures.approvals.load(Ordering::Relaxed).max(0);
        self.gauge("gov_approval_pending", "Questions to users that are open", None, pending)?;
        self.histogram("gov_approval_wait", "How long users take to answer", &figures.approval_waits)
    }

    fn http(&mut self, metrics: &Metrics) -> fmt::Result {
        let figures = &*metrics.figures;
        let refusals = figures.refusals.sorted().into_iter();
        let refusals = refusals.map(|(reason, count)| (vec![("reason", *reason)], count.load(Ordering::Relaxed))).collect();
        self.counters("toolyard_http_refusals", "Requests that were turned away", None, refusals)?;
        let mut responses = Vec::new();
        for (route, classes) in figures.responses.sorted() {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(classes) {
                responses.push((vec![("route", *route), ("status", class)], count.load(Ordering::Relaxed)));
            }
        }
        responses.retain(|(_, count)| *count > 0);
        self.counters("toolyard_http_responses", "Answers by route and class of status", None, responses)?;
        let watched = metrics.watched();
        for (name, help, value) in [
            ("toolyard_http_sessions", "Sessions of the handshake era that are open", watched.sessions),
            ("toolyard_http_streams", "Streams that are open to listen", watched.streams),
            ("toolyard_http_requests_in_flight", "Requests that are worked on", watched.requests),
            ("toolyard_http_requests_waiting", "Requests that wait for a place", watched.waiting),
        ] {
            self.gauge(name, help, None, i64::try_from(value).unwrap_or(i64::MAX))?;
        }
        let connections = figures.connections.load(Ordering::Relaxed).max(0);
        self.gauge("toolyard_http_connections", "Connections that are open", None, connections)
    }

    fn process(&mut self, process: &Process) -> fmt::Result {
        if let Some(seconds) = process.cpu_seconds {
            let mut encoder =
                self.0.encode_descriptor("process_cpu", "Time spent in user and system mode", Some(&Unit::Seconds), MetricType::Counter)?;
            encoder.encode_counter(&seconds, None::<&NoExemplar>)?;
        }
        if let Some(seconds) = process.start_seconds {
            let help = "When the process started, in seconds since 1970";
            let mut encoder = self.0.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?;
            encoder.encode_gauge(&seconds)?;
        }
        for (name, help, unit, value) in [
            ("process_resident_memory", "Memory that is resident", Some(Unit::Bytes), process.resident_bytes),
            ("process_virtual_memory", "Memory that is mapped", Some(Unit::Bytes), process.virtual_bytes),
            ("process_open_fds", "File descriptors that are open", None, process.open_fds),
            ("process_max_fds", "File descriptors that may be open", None, process.max_fds),
            ("process_threads", "Threads of the process", None, process.threads),
        ] {
            if let Some(value) = value {
                self.gauge(name, help, unit, i64::try_from(value).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, value: i64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counters(&mut self, name: &str, help: &str, unit: Option<Unit>, series: Vec<(Labels<'_>, u64)>) -> fmt::Result {
        if series.is_empty() {
            return Ok(());
        }
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, count) in series {
            with(&mut encoder, labels, |encoder| encoder.encode_counter(&count, None::<&NoExemplar>))?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        self.histograms(name, help, vec![(Vec::new(), histogram.snapshot())])
    }

    fn histograms(&mut self, name: &str, help: &str, series: Vec<(Labels<'_>, Snapshot)>) -> fmt::Result {
        if series.is_empty() {
            return Ok(());
        }
        let mut encoder = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, snapshot) in series {
            let Snapshot { counts, seconds } = &snapshot;
            with(&mut encoder, labels, |encoder| encoder.encode_histogram::<Labels<'_>>(*seconds, snapshot.count(), counts, None))?;
        }
        Ok(())
    }
}

fn with(
    encoder: &mut MetricEncoder<'_>,
    mut labels: Labels<'_>,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    labels.retain(|(_, value)| !value.is_empty());
    if labels.is_empty() { encode(encoder) } else { encode(&mut encoder.encode_family(&labels)?) }
}
