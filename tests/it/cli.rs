//! The command line as a person or a script uses it.

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    client::names,
    process::{Finished, finish},
    sandbox::Sandbox,
};

use crate::SERVER;

fn toolyard(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let mut command = sandbox.command(SERVER);
    command.args(arguments);
    finish(&mut command, Duration::from_secs(30)).expect("the command ends")
}

#[test]
fn a_call_prints_the_answer_of_the_tool() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let done = toolyard(&sandbox, &["call", "fs_read", r#"{"path":"a.txt"}"#]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("alpha"), "{}", done.stdout);
}

#[test]
fn a_failed_call_has_an_exit_code_of_its_own() {
    let sandbox = Sandbox::new();
    let done = toolyard(&sandbox, &["call", "fs_read", r#"{"path":"missing.txt"}"#]);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_bad_configuration_ends_with_code_2_and_the_path_of_the_key() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("config.json", r#"{"policy":{"profil":"standard"}}"#);
    let file = file.to_str().expect("a plain name");
    for command in [&["config", "check", "--config", file][..], &["serve", "--config", file]] {
        let done = toolyard(&sandbox, command);
        assert_eq!(done.code, Some(2), "{command:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains("policy") && done.stderr.contains("profil"), "{}", done.stderr);
    }
}

#[test]
fn the_registration_for_claude_code_starts_this_program() {
    let sandbox = Sandbox::new();
    let done = toolyard(&sandbox, &["client-config", "claude-code"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let printed: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let servers = printed["mcpServers"].as_object().expect("servers");
    let (_, server) = servers.iter().next().expect("one server");
    assert!(server["args"].as_array().expect("arguments").contains(&json!("serve")), "{printed}");
}

#[test]
fn a_read_only_server_lists_and_allows_no_tool_that_writes() {
    let sandbox = Sandbox::new().with("a.txt", "alpha\n");
    let done = toolyard(&sandbox, &["call", "--read-only", "fs_write", r#"{"path":"b.txt","content":"x"}"#]);
    assert_ne!(done.code, Some(0), "{}", done.stdout);
    assert!(!sandbox.workspace().join("b.txt").exists(), "a read-only server wrote");
    let done = toolyard(&sandbox, &["tools", "--json", "--read-only"]);
    let printed: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let listed = names(printed.get("tools").unwrap_or(&printed));
    assert!(listed.contains(&"fs_read".to_owned()), "{listed:?}");
    for writer in ["fs_write", "fs_edit", "fs_mkdir", "fs_move", "fs_copy", "fs_delete"] {
        assert!(!listed.contains(&writer.to_owned()), "{listed:?}");
    }
}
