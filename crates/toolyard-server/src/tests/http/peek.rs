//! What a body is about; whatever is ambiguous is malformed.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage};

use crate::{Peek, PeekKind, peek};

fn seen(body: &str) -> (PeekKind, Option<&str>, Option<&str>, Option<&str>) {
    let Peek { kind, method, tool, id, .. } = peek(body.as_bytes());
    (kind, method, tool, id)
}

#[test]
fn requests_notifications_and_responses_are_told_apart() {
    use PeekKind::{Notification, Request, Response};
    let call = r#" {"jsonrpc": "2.0", "params" : {"arguments": {"x": [1, {"y": "}\""}]}, "name": "fs_read"}, "method":"tools/call","id": "a\"b"} "#;
    for (body, expected) in [
        (call, (Request, Some("tools/call"), Some("fs_read"), Some(r#""a\"b""#))),
        (r#"{"jsonrpc":"2.0","id":-1,"method":"tools/list"}"#, (Request, Some("tools/list"), None, Some("-1"))),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"x","params":[1]}"#, (Request, Some("x"), None, Some("1.0"))),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, (Notification, Some("notifications/initialized"), None, None)),
        (r#"{"jsonrpc":"2.0","id":7,"result":{"method":"tools/call"}}"#, (Response, None, None, Some("7"))),
        (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":""}}"#, (Response, None, None, Some("7"))),
        (r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}}"#, (Request, Some("prompts/get"), None, Some("1"))),
    ] {
        assert_eq!(seen(body), expected, "{body}");
    }
}

#[test]
fn only_the_top_level_names_method_and_tool() {
    let decoys = concat!(
        r#"{"jsonrpc":"2.0","id":1,"extra":{"method":"tools/list","name":"b"},"name":"c","#,
        r#""params":{"arguments":{"name":"d","params":{"name":"e"}},"x":"\"name\":\"f\"","Name":"g","name":"a"},"Method":"ping","method":"tools/call"}"#
    );
    assert_eq!(seen(decoys), (PeekKind::Request, Some("tools/call"), Some("a"), Some("1")));
}

#[test]
fn what_could_be_read_in_two_ways_is_malformed() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","na\u006de":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"na\u006de":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u0061"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{},"params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    ] {
        assert_eq!(peek(body.as_bytes()).kind, PeekKind::Malformed, "{body}");
        assert_eq!(peek(body.as_bytes()).tool, None, "{body}");
    }
}

#[test]
fn what_is_no_message_is_malformed() {
    for body in [
        "",
        " ",
        "null",
        "7",
        "[]",
        "{}",
        "{",
        r#"{"jsonrpc""#,
        r#"{"jsonrpc":"#,
        r#"{"jsonrpc":"2.0","#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping""#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping\"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
    ] {
        assert_eq!(peek(body.as_bytes()).kind, PeekKind::Malformed, "{body}");
    }
    assert_eq!(peek(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xFF\"}").kind, PeekKind::Malformed);
}

#[test]
fn deep_nesting_is_malformed_and_costs_no_stack() {
    let nested = |depth: usize| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(peek(nested(90).as_bytes()).kind, PeekKind::Request);
    assert_eq!(peek(nested(100).as_bytes()).kind, PeekKind::Malformed);
    assert_eq!(peek(nested(1_000_000).as_bytes()).kind, PeekKind::Malformed);
}

#[test]
fn more_values_than_a_message_may_hold_are_malformed() {
    let with = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#);
    for (element, most) in [("0", 19_000), ("[]", 9_500), (r#"{"":0}"#, 9_500), (r#""[{,""#, 19_000)] {
        let list = |count: usize| with(&format!("[{}]", vec![element; count].join(",")));
        assert_eq!(peek(list(most).as_bytes()).kind, PeekKind::Request, "{element}");
        assert_eq!(peek(list(2 * most + 4_000).as_bytes()).kind, PeekKind::Malformed, "{element}");
    }
    let members = |count: usize| (0..count).map(|key| format!(r#""{key}":0"#)).collect::<Vec<_>>().join(",");
    assert_eq!(peek(with(&format!("{{{}}}", members(19_000))).as_bytes()).kind, PeekKind::Request);
    assert_eq!(peek(with(&format!("{{{}}}", members(21_000))).as_bytes()).kind, PeekKind::Malformed);
    let beside = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x",{}}}"#, members(21_000));
    assert_eq!(peek(beside.as_bytes()).kind, PeekKind::Malformed);
}

#[test]
fn a_long_string_is_one_value() {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":["{}"]}}"#, "[{,:".repeat(1_000_000));
    assert_eq!(peek(body.as_bytes()).kind, PeekKind::Request);
}

#[test]
fn an_id_is_no_place_for_a_letter() {
    let with = |length: usize| format!(r#"{{"jsonrpc":"2.0","method":"ping","id":"{}"}}"#, "x".repeat(length));
    assert_eq!(peek(with(200).as_bytes()).kind, PeekKind::Request);
    assert_eq!(peek(with(255).as_bytes()).kind, PeekKind::Malformed);
}

#[test]
fn the_label_of_a_method_is_one_of_a_closed_set() {
    for (body, label) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#, "tools/call"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"made/up"}"#, "other"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "none"),
    ] {
        assert_eq!(peek(body.as_bytes()).method_label(), label);
    }
}

#[test]
fn a_version_in_the_metadata_is_a_hint_for_the_stateless_era() {
    let with = |meta: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{meta}}}}}"#);
    assert!(peek(with(r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#).as_bytes()).stateless);
    assert!(!peek(with(r#"{"progressToken":1}"#).as_bytes()).stateless);
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }
}

/// Replaces, repeats and removes pieces, with a liking for those that matter.
fn mutated(seed: &str, dice: &mut Dice) -> String {
    const PIECES: [&str; 18] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u006e",
        "\"name\":\"b\",",
        "\"method\":\"ping\",",
        "\"id\":2,",
        "\"params\":{",
        "null",
        "1.0",
        " ",
        "\"result\":{},",
        "\"_meta\":{},",
    ];
    let mut body: Vec<char> = seed.chars().collect();
    for _ in 0..=dice.below(3) {
        let at = dice.below(body.len());
        let until = (at + dice.below(12)).min(body.len());
        let piece: Vec<char> = match dice.below(4) {
            0 => Vec::new(),
            1 => body[at..until].repeat(2),
            _ => PIECES[dice.below(PIECES.len())].chars().collect(),
        };
        let until = if dice.below(2) == 0 { at } else { until };
        body.splice(at..until, piece);
        if body.is_empty() {
            body.push(' ');
        }
    }
    body.into_iter().collect()
}

#[test]
fn what_is_seen_is_what_the_sdk_reads() {
    let seeds = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"name":"c","method":"d"},"_meta":{"x":1}}}"#,
        r#"{"params":{"arguments":{},"name":"a"},"method":"tools/call","id":"x","jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"name"}}"#,
    ];
    let mut dice = Dice(7);
    let mut compared = 0;
    for round in 0..30_000 {
        let body = mutated(seeds[round % seeds.len()], &mut dice);
        let seen = peek(body.as_bytes());
        let Ok(JsonRpcMessage::Request(read)) = serde_json::from_str::<ClientJsonRpcMessage>(&body) else {
            continue;
        };
        if seen.kind == PeekKind::Malformed {
            continue;
        }
        compared += 1;
        assert_eq!((seen.kind, seen.method), (PeekKind::Request, Some(read.request.method())), "{body}");
        if let ClientRequest::CallToolRequest(call) = &read.request {
            assert_eq!(seen.tool, Some(&*call.params.name), "{body}");
        }
    }
    assert!(compared > 3_000, "{compared} were compared");
}
