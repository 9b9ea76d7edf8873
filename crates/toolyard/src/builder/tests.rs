#![expect(clippy::disallowed_methods, reason = "the tests lay out their own directories")]

use std::{fs, path::Path};

use serde_json::{Map, Value, json};
use toolyard_core::{CallError, Context, Principal, audit::NoAudit};
use toolyard_policy::{Outcome, Profile};

use super::{Builder, Toolyard};
use crate::config::Settings;

struct Place {
    workspace: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { workspace: tempfile::tempdir().expect("a directory"), state: tempfile::tempdir().expect("a directory") };
        fs::create_dir(place.workspace.path().join("docs")).expect("a directory");
        fs::write(place.workspace.path().join("a.txt"), "alpha\n").expect("a file");
        place
    }

    fn with(&self, config: &str) -> Builder {
        let settings = Settings::from_json(config, self.workspace.path(), &|_| None).expect("a valid configuration");
        Toolyard::builder().settings(settings).workspace(self.workspace.path()).state_directory(self.state.path().join("yard"))
    }
}

#[track_caller]
fn refused(builder: Builder) -> String {
    match builder.build() {
        Ok(_) => panic!("the server was built"),
        Err(error) => error.to_string(),
    }
}

/// What the policy says about one call, or that the tool is unknown.
fn decision(yard: &Toolyard, tool: &str, arguments: Value) -> Option<Outcome> {
    let arguments: Map<String, Value> = arguments.as_object().cloned().unwrap_or_default();
    let cx = Context::new(Principal::local());
    match yard.dispatcher().explain(tool, arguments, &cx) {
        Ok(explained) => Some(explained.expect("usable arguments").decision.outcome()),
        Err(CallError::UnknownTool { .. }) => None,
    }
}

fn write(path: &str) -> Value {
    json!({ "path": path, "content": "x" })
}

#[test]
fn a_flag_beats_the_file() {
    let place = Place::new();
    let other = tempfile::tempdir().expect("a directory");
    let config = format!(r#"{{"tools":{{"filesystem":{{"rootPath":{:?}}}}},"policy":{{"profile":"read-only"}}}}"#, other.path());
    let yard = place.with(&config).profile(Profile::Standard).build().expect("a server");
    assert_eq!(yard.directories(), [place.workspace.path().canonicalize().expect("it exists").to_str().expect("plain")]);
    assert_eq!(yard.policy().profile, Profile::Standard);
    assert_eq!(yard.state_directory(), Some(place.state.path().canonicalize().expect("it exists").join("yard").as_path()));
    assert_eq!(decision(&yard, "fs_write", write("b.txt")), Some(Outcome::Allow));
}

#[test]
fn the_directories_of_the_file_beat_the_default_one() {
    let place = Place::new();
    let settings = Settings::from_json(r#"{"tools":{"filesystem":{"rootPath":"docs"}}}"#, place.workspace.path(), &|_| None);
    let yard = Toolyard::builder()
        .settings(settings.expect("valid"))
        .default_workspace(place.workspace.path())
        .audit(std::sync::Arc::new(NoAudit))
        .build()
        .expect("a server");
    assert!(yard.directories()[0].ends_with("/docs"), "{:?}", yard.directories());
}

#[test]
fn read_only_denies_every_change_whatever_the_rules_allow() {
    let place = Place::new();
    for config in [r#"{"policy":{"allow":["fs_write"]}}"#, r#"{"policy":{"profile":"locked","allow":["fs_write"]}}"#] {
        let yard = place.with(config).read_only().build().expect("a server");
        assert_eq!(decision(&yard, "fs_write", write("b.txt")), Some(Outcome::Deny), "{config}");
        assert!(yard.dispatcher().tools(&Principal::local()).all(|tool| tool.definition.name != "fs_write"), "{config}");
    }
}

#[test]
fn read_only_never_opens_what_locked_keeps_closed() {
    let place = Place::new();
    let yard = place.with(r#"{"policy":{"profile":"locked"}}"#).read_only().build().expect("a server");
    assert_eq!(decision(&yard, "fs_read", json!({ "path": "a.txt" })), Some(Outcome::Deny));
    assert_eq!(yard.dispatcher().tools(&Principal::local()).count(), 0);
}

#[test]
fn allowed_tools_are_a_ceiling_of_tools_families_and_rules() {
    let place = Place::new();
    let yard = place.with("{}").allow_only("fs_read").allow_only("fs_write(docs/**)").build().expect("a server");
    assert_eq!(decision(&yard, "fs_read", json!({ "path": "a.txt" })), Some(Outcome::Allow));
    assert_eq!(decision(&yard, "fs_write", write("docs/b.md")), Some(Outcome::Allow));
    assert_eq!(decision(&yard, "fs_write", write("b.md")), Some(Outcome::Deny));
    assert_eq!(decision(&yard, "fs_stat", json!({ "path": "a.txt" })), Some(Outcome::Deny));
    let yard = place.with("{}").allow_only("fs").deny("write(docs/**)").deny("fs_stat").build().expect("a server");
    assert_eq!(decision(&yard, "fs_write", write("b.md")), Some(Outcome::Allow));
    assert_eq!(decision(&yard, "fs_write", write("docs/b.md")), Some(Outcome::Deny));
    let listed: Vec<_> = yard.dispatcher().tools(&Principal::local()).map(|tool| tool.definition.name).collect();
    assert!(listed.contains(&"fs_read") && !listed.contains(&"fs_stat"), "{listed:?}");
}

#[test]
fn a_flag_that_fits_no_tool_is_an_error_and_a_rule_of_the_file_a_warning() {
    let place = Place::new();
    assert_eq!(
        refused(place.with("{}").deny("fs_raed")),
        "--disallowed-tools: there is no tool or family `fs_raed`; did you mean `fs_read`?"
    );
    assert!(refused(place.with("{}").allow_only("zzzzzzzzz")).starts_with("--allowed-tools: there is no tool or family `zzzzzzzzz`"));
    let yard = place.with(r#"{"policy":{"deny":["fs_raed(x)","git_push","cosmos","fs_*"]}}"#).build().expect("a server");
    assert_eq!(yard.warnings(), ["policy.deny[0]: there is no tool or family `fs_raed`; did you mean `fs_read`?"]);
    assert!(refused(place.with(r#"{"limits":{"toolTimeoutsSeconds":{"fs_raed":5}}}"#)).starts_with("limits.toolTimeoutsSeconds.fs_raed: "),);
}

#[test]
fn a_rule_that_cant_be_used_is_refused_with_its_place() {
    let place = Place::new();
    let broken = refused(place.with(r#"{"policy":{"allow":["read","fs_write("]}}"#));
    assert!(broken.starts_with("policy.allow[1]: "), "{broken}");
    let example = refused(place.with(r#"{"policy":{"deny":[{"rule":"fs_write(a)","match":["fs_write(b)"]}]}}"#));
    assert!(example.starts_with("policy.deny[0].match[0]: "), "{example}");
    let flag = refused(place.with(r#"{"policy":{"deny":["read"]}}"#).deny("fs_read(.."));
    assert!(flag.starts_with("--disallowed-tools: "), "{flag}");
    let flag = refused(place.with("{}").allow_only("fs_read(../x)"));
    assert!(flag.starts_with("--allowed-tools: "), "{flag}");
}

#[test]
fn state_inside_an_allowed_directory_is_refused_with_a_remedy() {
    let place = Place::new();
    let inside = place.workspace.path().join("not/there/yet");
    let message = refused(place.with("{}").state_directory(&inside));
    assert!(message.contains("is inside the allowed directory") && message.contains("`--state-dir`"), "{message}");
    let link = place.state.path().join("link");
    std::os::unix::fs::symlink(place.workspace.path(), &link).expect("a link");
    let message = refused(place.with("{}").state_directory(link.join("state")));
    assert!(message.contains("is inside the allowed directory"), "{message}");
    let audit = format!(r#"{{"audit":{{"directory":{inside:?}}}}}"#);
    assert!(refused(place.with(&audit)).starts_with("the audit directory `"));
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::new();
    assert!(
        refused(Toolyard::builder().state_directory(place.state.path())).starts_with("no directory to serve; name one with `--workspace`")
    );
    assert!(refused(Toolyard::builder().workspace(place.workspace.path())).starts_with("no state directory: "));
    let message = refused(Toolyard::builder().workspace(place.workspace.path().join("gone")).state_directory(place.state.path()));
    assert!(message.starts_with("--workspace: "), "{message}");
    let config = r#"{"tools":{"filesystem":{"rootPath":".","allowedPaths":["gone"]}}}"#;
    let settings = Settings::from_json(config, place.workspace.path(), &|_| None).expect("valid");
    let message = refused(Toolyard::builder().settings(settings).state_directory(place.state.path()));
    assert!(message.starts_with("tools.filesystem.allowedPaths[0]: "), "{message}");
}

#[test]
fn building_a_server_writes_nothing() {
    let place = Place::new();
    let yard = place.with("{}").build().expect("a server");
    yard.flush().expect("nothing to write");
    drop(yard);
    assert_eq!(fs::read_dir(place.state.path()).expect("a directory").count(), 0);
}

#[test]
fn no_tool_changes_the_configuration_it_is_governed_by() {
    let place = Place::new();
    let file = place.workspace.path().canonicalize().expect("it exists").join("we[i]rd (1).json");
    fs::write(&file, "{}").expect("a file");
    let yard = place.with(r#"{"policy":{"allow":["*"]}}"#).protect(&file).build().expect("a server");
    let name = file.file_name().and_then(|name| name.to_str()).expect("plain");
    assert_eq!(decision(&yard, "fs_write", json!({ "path": name, "content": "x", "overwrite": true })), Some(Outcome::Deny));
    assert_eq!(decision(&yard, "fs_write", write("wei.json")), Some(Outcome::Allow));
}

#[test]
fn every_example_of_the_guides_and_this_repository_s_own_file_load() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (guide, fewest) in [("docs/policy.md", 4), ("docs/http.md", if cfg!(feature = "http") { 2 } else { 0 })] {
        let text = fs::read_to_string(root.join(guide)).expect("the guide");
        let examples: Vec<&str> = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(examples.len() >= fewest, "{guide} shows {} configurations", examples.len());
        for example in examples.iter().filter(|_| fewest > 0) {
            place.with(example).build().unwrap_or_else(|error| panic!("{guide}: {error}\n{example}"));
        }
    }
    let own = fs::read_to_string(root.join("mcp-config.json")).expect("the repository's configuration");
    let settings = Settings::from_json(&own, &root, &|_| None).expect("it is valid");
    let yard = Toolyard::builder().settings(settings).state_directory(place.state.path().join("yard")).build().expect("it can be served");
    assert_eq!(yard.directories(), [root.canonicalize().expect("it exists").to_str().expect("plain")]);
    assert_eq!(decision(&yard, "fs_write", write("LICENSE-MIT")), Some(Outcome::Deny), "its own deny rule");
}

#[test]
#[cfg(feature = "http")]
fn names_of_the_section_http_that_mean_nothing_are_warned_of() {
    let place = Place::new();
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let config = json!({
        "policy": { "allow": [{ "rule": "fs_write(docs/**)", "roles": ["writer"] }] },
        "http": {
            "tokens": [{ "name": "ci", "sha256": hash, "roles": ["writer", "idle"] }],
            "oauth": { "issuers": [{ "name": "a", "issuer": "https://a.example" }],
                       "scopes": [{ "scope": "s", "opens": ["raed", "fs_*"] }], "acr": [{ "tools": ["fs_raed"], "values": ["2"] }] }
        }
    });
    let yard = place.with(&config.to_string()).build().expect("a server");
    assert_eq!(
        yard.warnings(),
        [
            "http.oauth.scopes[0].opens: there is no tool or family `raed`; did you mean `read`?",
            "http.oauth.acr[0].tools: there is no tool or family `fs_raed`; did you mean `fs_read`?",
            "http.tokens[0].roles: no rule names the role `idle`, so it opens nothing",
        ]
    );
}

#[test]
fn roles_in_rules_that_nobody_can_have_are_told_when_all_sources_of_roles_are_known() {
    let place = Place::new();
    let warnings = |oauth: Value| {
        let config = json!({
            "policy": { "allow": [{ "rule": "read", "roles": ["reader", "raeder", "writer"] }] },
            "http": {
                "tokens": [{ "name": "ci", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "roles": ["reader"] }],
                "oauth": { "issuers": [oauth] }
            }
        });
        place.with(&config.to_string()).build().expect("a server").warnings().to_vec()
    };
    let issuer = |more: Value| {
        let mut issuer = json!({ "name": "a", "issuer": "https://a.example" });
        issuer.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        issuer
    };
    assert_eq!(
        warnings(issuer(json!({ "roleClaims": ["groups"], "roles": { "w": ["writer", "idle"] } }))),
        [
            "http.oauth.issuers[0].roles.w: no rule names the role `idle`, so it opens nothing",
            "policy.allow[0].roles: no token and no role mapping gives anybody the role `raeder`",
        ]
    );
    assert_eq!(warnings(issuer(json!({ "roleClaims": ["groups"] }))), [""; 0], "claims may hold any role");
    assert_eq!(
        warnings(issuer(json!({ "roles": { "w": ["writer"] } }))),
        [
            "http.oauth.issuers[0].roles: no claim is looked at for roles; name one in `roleClaims`",
            "policy.allow[0].roles: no token and no role mapping gives anybody the role `raeder`",
            "policy.allow[0].roles: no token and no role mapping gives anybody the role `writer`",
        ]
    );
}

#[test]
fn the_recipe_for_roles_opens_to_each_role_what_it_says_and_nothing_to_others() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = fs::read_to_string(root.join("docs/policy.md")).expect("the guide");
    let section = guide.split("## Roles").nth(1).expect("a section about roles");
    let recipe = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a recipe");
    let yard = place.with(recipe).build().expect("a server");
    let tools = |roles: &[&'static str]| -> Vec<&str> {
        let principal = Principal::named("token:x").with_roles(roles.iter().copied());
        yard.dispatcher().tools(&principal).map(|tool| tool.definition.name).collect()
    };
    assert_eq!(tools(&[]), [""; 0]);
    assert_eq!(tools(&["unknown"]), [""; 0]);
    let has = |roles: &[&'static str], tool: &str| tools(roles).contains(&tool);
    assert!(has(&["reader"], "fs_read") && !has(&["reader"], "fs_write"));
    assert!(has(&["writer"], "fs_write") && !has(&["writer"], "fs_delete"));
    assert!(has(&["maintainer"], "fs_delete"));
}
