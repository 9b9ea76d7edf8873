//! The example as a client sees it.
#![expect(clippy::disallowed_methods, reason = "a test makes its own files and programs")]

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Sends the requests, ends the input and gives back the answers by the id of the request.
fn talk(mut program: Command, requests: &[(&str, Value)]) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut lines = output.lines();
    let start = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "smoke", "version": "1"}});
    let mut answers = Vec::new();
    for (id, (method, params)) in [("initialize", start)].iter().chain(requests).enumerate() {
        writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let answer: Value = serde_json::from_str(&lines.next().ok_or("no answer")??)?;
        assert_eq!(answer["id"], id, "{answer}");
        answers.push(answer["result"].clone());
    }
    drop(input);
    assert!(child.wait()?.success());
    Ok(answers.split_off(1))
}

#[test]
fn it_reads_everything_writes_drafts_only_and_keeps_a_trail() -> Result<(), Box<dyn Error>> {
    let (project, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::create_dir(project.path().join("drafts"))?;
    std::fs::write(project.path().join("a.txt"), "hello\n")?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_embed-stdio"));
    program.args([project.path(), state.path()]);
    let call = |tool: &str, arguments: Value| ("tools/call", json!({"name": tool, "arguments": arguments}));
    let answers = talk(
        program,
        &[
            ("tools/list", json!({})),
            call("fs_read", json!({"path": "a.txt"})),
            call("fs_write", json!({"path": "b.txt", "content": "x"})),
            call("fs_write", json!({"path": "drafts/b.txt", "content": "x"})),
        ],
    )?;
    let [listed, read, refused, written] = answers.as_slice() else { return Err("four answers".into()) };
    assert!(listed["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "fs_read")), "{listed}");
    assert!(read["content"][0]["text"].as_str().is_some_and(|text| text.contains("hello")), "{read}");
    assert!(refused["content"][0]["text"].as_str().is_some_and(|text| text.starts_with("denied: ")), "{refused}");
    assert!(!project.path().join("b.txt").exists());
    assert_eq!(written["isError"], false, "{written}");
    assert_eq!(std::fs::read_to_string(project.path().join("drafts/b.txt"))?, "x");

    let mut trail = String::new();
    for file in std::fs::read_dir(state.path())? {
        trail += &std::fs::read_to_string(file?.path())?;
    }
    let records = trail.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    let decisions: Vec<_> = records.iter().filter_map(|record| record["decision"].as_str()).collect();
    assert_eq!(decisions, ["allow", "deny", "ask"]);
    assert!(records.iter().any(|record| record["approval"] == "host"), "{trail}");
    Ok(())
}
