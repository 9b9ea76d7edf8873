//! The example as a client sees it.
#![expect(clippy::disallowed_methods, reason = "a test starts programs")]

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
fn it_lists_its_one_tool_and_answers_or_says_what_to_do() -> Result<(), Box<dyn Error>> {
    let call = |times: u8| ("tools/call", json!({"name": "demo_echo", "arguments": {"message": "hi", "times": times}}));
    let answers = talk(Command::new(env!("CARGO_BIN_EXE_custom-tool")), &[("tools/list", json!({})), call(2), call(0)])?;
    let [listed, echoed, refused] = answers.as_slice() else { return Err("three answers".into()) };
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["tools"][0]["name"], "demo_echo");
    assert!(echoed["content"][0]["text"].as_str().is_some_and(|text| text.starts_with("hi\nhi\n")), "{echoed}");
    assert_eq!(refused["isError"], true);
    assert!(refused["content"][0]["text"].as_str().is_some_and(|text| text.contains("give a number from 1 to 100")), "{refused}");
    Ok(())
}
