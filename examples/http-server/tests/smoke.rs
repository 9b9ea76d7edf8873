//! The example as two clients see it.
#![expect(clippy::disallowed_methods, reason = "a test makes its own files and programs")]

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

const VERSION: &str = "2026-07-28";

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("the program can be ended");
    }
}

/// Sends one stateless request and gives the status with the body.
fn post(address: &str, token: &str, method: &str, name: &str, mut params: Value) -> Result<(u16, Value), Box<dyn Error>> {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "smoke", "version": "1" },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\nMcp-Method: {method}\r\n{name}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}

#[test]
fn roles_decide_what_each_caller_sees_and_may_do() -> Result<(), Box<dyn Error>> {
    let (project, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::create_dir(project.path().join("drafts"))?;
    std::fs::write(project.path().join("a.txt"), "hello\n")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_http-server"));
    command.args([project.path(), state.path()]).env("READER_TOKEN", "reading").env("WRITER_TOKEN", "writing");
    let mut program = Running(command.stderr(Stdio::piped()).spawn()?);
    let mut line = String::new();
    BufReader::new(program.0.stderr.take().ok_or("no stderr")?).read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix("/mcp")).ok_or("no address")?;

    let names = |token: &str| -> Result<Vec<String>, Box<dyn Error>> {
        let (status, listed) = post(address, token, "tools/list", "", json!({}))?;
        assert_eq!(status, 200, "{listed}");
        let tools = listed["result"]["tools"].as_array().ok_or("no tools")?;
        Ok(tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect())
    };
    let (reader, writer) = (names("reading")?, names("writing")?);
    assert!(reader.contains(&"fs_read".to_owned()) && !reader.contains(&"fs_write".to_owned()), "{reader:?}");
    assert!(writer.contains(&"fs_read".to_owned()) && writer.contains(&"fs_write".to_owned()), "{writer:?}");
    assert_eq!(post(address, "guessing", "tools/list", "", json!({}))?.0, 401);

    let write = |token: &str, path: &str| {
        let call = json!({ "name": "fs_write", "arguments": { "path": path, "content": "x" } });
        post(address, token, "tools/call", "fs_write", call)
    };
    write("reading", "drafts/r.txt")?;
    write("writing", "w.txt")?;
    let (_, written) = write("writing", "drafts/w.txt")?;
    assert_eq!(written["result"]["isError"], false, "{written}");
    assert_eq!(std::fs::read_to_string(project.path().join("drafts/w.txt"))?, "x");
    assert!(!project.path().join("drafts/r.txt").exists() && !project.path().join("w.txt").exists());

    let mut trail = String::new();
    for file in std::fs::read_dir(state.path())? {
        trail += &std::fs::read_to_string(file?.path())?;
    }
    assert!(trail.contains("token:reader") && trail.contains("token:writer"), "{trail}");
    assert!(!trail.contains("reading") && !trail.contains("writing"), "a token is in the trail: {trail}");
    Ok(())
}
