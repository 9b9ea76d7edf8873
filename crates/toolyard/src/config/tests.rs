use std::{path::Path, time::Duration};

use toolyard_core::ApprovalFallback;
use toolyard_policy::{Profile, RuleSpec};

use super::{MAX_CONFIG_BYTES, Settings, schema};

fn load(text: &str) -> Result<Settings, String> {
    let variables = |name: &str| match name {
        "HOME_DIR" => Some("/home/ada".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    Settings::from_json(text, Path::new("/etc/yard"), &variables).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(text: &str) -> String {
    load(text).expect_err("a configuration that can't be used")
}

#[test]
fn an_empty_file_means_the_defaults() {
    let settings = load("{}").expect("valid");
    assert_eq!(settings.policy.profile, Profile::Standard);
    assert_eq!(settings.fallback, None, "the transport decides");
    assert_eq!(settings.limits.timeout, Duration::from_secs(300));
    assert_eq!((settings.limits.default_tokens, settings.limits.max_tokens), (6_000, 20_000));
    let filesystem = settings.filesystem.expect("the family is on");
    assert!(filesystem.durable && filesystem.directories.is_empty());
    assert!(settings.audit.enabled && settings.audit.sync);
}

#[test]
fn every_key_is_taken_over() {
    let settings = load(
        r#"{ "$schema": "docs/mcp-config.schema.json",
             "tools": { "filesystem": { "rootPath": "${HOME_DIR}/p", "allowedPaths": ["shared", "${HOME_DIR}/p", "/srv"], "fsync": false },
                        "git": { "enabled": false }, "github": { "enabled": false, "token": "${NOT_SET}" },
                        "cosmos_db": { "enabled": false, "endpoint": "x", "containerName": "y" }, "memory": { "enabled": false } },
             "policy": { "profile": "locked", "deny": ["destroy"], "ask": [{ "rule": "write" }],
                         "allow": [{ "rule": "fs_read(a)", "match": ["fs_read(a)"], "not_match": ["fs_read(b)"] }] },
             "approval": { "fallback": "deny" },
             "limits": { "timeoutSeconds": 5, "toolTimeoutsSeconds": { "fs_grep": 9 }, "concurrency": 2, "maxInputBytes": 2048,
                         "defaultTokens": 100, "maxTokens": 200 },
             "audit": { "directory": "/var/log/yard", "sync": false },
             "state": { "directory": "/var/lib/yard" } }"#,
    )
    .expect("valid");
    let filesystem = settings.filesystem.expect("the family is on");
    let directories: Vec<_> = filesystem.directories.iter().map(|directory| directory.path.to_str().unwrap_or_default()).collect();
    assert_eq!(directories, ["/home/ada/p", "/etc/yard/shared", "/srv"]);
    assert_eq!(filesystem.directories[1].place, "tools.filesystem.allowedPaths[0]");
    assert!(!filesystem.durable);
    assert_eq!(settings.policy.profile, Profile::Locked);
    assert_eq!(settings.policy.deny, [RuleSpec::from("destroy")]);
    assert_eq!(settings.policy.ask, [RuleSpec::from("write")]);
    let expected = RuleSpec {
        rule: "fs_read(a)".into(),
        matches: vec!["fs_read(a)".into()],
        not_matches: vec!["fs_read(b)".into()],
        roles: Vec::new(),
    };
    assert_eq!(settings.policy.allow, [expected]);
    assert_eq!(settings.fallback, Some(ApprovalFallback::Deny));
    assert_eq!(settings.limits.timeout_of("fs_grep"), Duration::from_secs(9));
    assert_eq!(settings.limits.timeout_of("fs_read"), Duration::from_secs(5));
    assert_eq!((settings.limits.concurrency, settings.limits.max_input_bytes), (2, 2048));
    assert_eq!((settings.limits.default_tokens, settings.limits.max_tokens), (100, 200));
    assert_eq!(settings.audit.directory.as_deref(), Some(Path::new("/var/log/yard")));
    assert!(!settings.audit.sync);
    assert_eq!(settings.state.as_deref(), Some(Path::new("/var/lib/yard")));
}

#[test]
fn an_unknown_key_is_refused_with_its_path() {
    for (text, path) in [
        (r#"{"polcy":{}}"#, "polcy: unknown field `polcy`"),
        (r#"{"policy":{"profil":"standard"}}"#, "policy.profil: unknown field `profil`"),
        (r#"{"tools":{"filesystem":{"rootpath":"."}}}"#, "tools.filesystem.rootpath: unknown field `rootpath`"),
        (r#"{"policy":{"allow":["read",{"rule":"write","matches":[]}]}}"#, "policy.allow[1].matches: unknown field `matches`"),
    ] {
        let message = refused(text);
        assert!(message.starts_with(path), "{message}");
        assert!(message.contains("expected"), "{message}");
    }
}

#[test]
fn a_wrong_type_is_refused_with_its_path() {
    for (text, path) in [
        (r#"{"policy":{"allow":[1]}}"#, "policy.allow[0]: invalid type: integer `1`, expected a rule such as"),
        (r#"{"policy":{"allow":[{"rule":"read","match":"read"}]}}"#, "policy.allow[0].match: invalid type: string \"read\""),
        (r#"{"policy":{"profile":"open"}}"#, "policy.profile: unknown variant `open`"),
        (r#"{"limits":{"timeoutSeconds":"5"}}"#, "limits.timeoutSeconds: invalid type: string \"5\""),
        (r#"{"limits":{"concurrency":-1}}"#, "limits.concurrency: invalid value: integer `-1`"),
        (r#"{"tools":null}"#, "tools: invalid type: null"),
        ("[]", "the file has to be one JSON object"),
    ] {
        let message = refused(text);
        assert!(message.starts_with(path), "{message}");
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_its_range() {
    assert_eq!(refused(r#"{"limits":{"timeoutSeconds":0}}"#), "limits.timeoutSeconds: 0 is out of range; write 1 to 86400");
    assert_eq!(
        refused(r#"{"limits":{"toolTimeoutsSeconds":{"fs_read":90000}}}"#),
        "limits.toolTimeoutsSeconds.fs_read: 90000 is out of range; write 1 to 86400"
    );
    assert_eq!(
        refused(r#"{"limits":{"maxTokens":500,"defaultTokens":501}}"#),
        "limits.defaultTokens: 501 is out of range; write 100 to 500"
    );
}

#[test]
fn a_lower_cap_lowers_the_default_budget_too() {
    assert_eq!(load(r#"{"limits":{"maxTokens":500}}"#).expect("valid").limits.default_tokens, 500);
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let message = refused(r#"{"policy":{"deny":["read"],"deny":[]}}"#);
    assert!(message.contains("the key `deny` stands here twice"), "{message}");
}

#[test]
fn text_that_is_no_json_is_refused_with_its_line() {
    let message = refused("{\n  \"policy\": {,}\n}");
    assert!(message.contains("not usable as JSON") && message.contains("line 2"), "{message}");
    assert!(refused(&"[".repeat(100_000)).contains("recursion limit exceeded"));
    let large = format!(r#"{{"$schema":"{}"}}"#, "x".repeat(usize::try_from(MAX_CONFIG_BYTES).expect("it fits")));
    assert!(refused(&large).contains("the limit is 1048576"));
    assert!(refused("{} {}").contains("trailing characters"));
}

#[test]
fn a_variable_that_is_not_set_is_named_with_the_key_that_wants_it() {
    assert_eq!(
        refused(r#"{"tools":{"filesystem":{"allowedPaths":["a","${WORK}/b"]}}}"#),
        "tools.filesystem.allowedPaths[1]: the environment variable `WORK` is not set; set it, or write the value here"
    );
    assert!(refused(r#"{"state":{"directory":"${WORK"}}"#).starts_with("state.directory: `${` has no `}`"));
    assert!(refused(r#"{"state":{"directory":"${A-b}"}}"#).starts_with("state.directory: `A-b` is no name of a variable"));
}

#[test]
fn a_doubled_dollar_keeps_the_characters_and_an_empty_variable_is_an_empty_text() {
    let settings = load(r#"{"state":{"directory":"/a/$${X}/$5/${EMPTY}b"}}"#).expect("valid");
    assert_eq!(settings.state.as_deref(), Some(Path::new("/a/${X}/$5/b")));
    assert!(refused(r#"{"state":{"directory":"${EMPTY}"}}"#).starts_with("state.directory: the path is empty"));
}

#[test]
fn a_family_that_is_not_built_in_is_refused_unless_it_is_off() {
    for family in ["git", "github", "cosmos_db", "memory"] {
        let message = refused(&format!(r#"{{"tools":{{"{family}":{{}}}}}}"#));
        assert!(message.starts_with(&format!("tools.{family}: this program was built without these tools")), "{message}");
    }
    assert!(load(r#"{"tools":{"filesystem":{"enabled":false}}}"#).expect("valid").filesystem.is_none());
}

#[test]
fn paths_that_could_mean_something_else_are_refused() {
    assert!(refused(r#"{"tools":{"filesystem":{"rootPath":""}}}"#).starts_with("tools.filesystem.rootPath: the path is empty"));
    assert!(refused(r#"{"tools":{"filesystem":{"rootPath":"~/p"}}}"#).contains("write `${HOME}`"));
    assert!(refused(r#"{"tools":{"filesystem":{"rootPath":"a\u0000b"}}}"#).contains("NUL"));
}

#[test]
fn the_schema_describes_every_key_and_refuses_others() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["policy"]["additionalProperties"], false);
    let mut undescribed = Vec::new();
    walk(&schema, "", &mut undescribed);
    assert!(undescribed.is_empty(), "no description: {undescribed:?}");
}

fn walk(schema: &serde_json::Value, place: &str, undescribed: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            undescribed.push(place.clone());
        }
        walk(property, &place, undescribed);
    }
}
