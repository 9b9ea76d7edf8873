//! Checks messages and tool definitions against the official JSON schemas.
//!
//! The schemas are read in place from `../shared/mcp-schema` beside the repository, or from
//! the directory that `TOOLYARD_MCP_SCHEMA` names. Where they are missing the check says so.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};

use jsonschema::{Validator, draft202012};
use serde_json::{Value, json};

use crate::{
    client::{LEGACY, MODERN},
    install,
    sandbox::repository,
    wire::{Line, Recording, To},
};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// Fails the test when a recorded message does not fit the schema of its version.
#[track_caller]
pub fn assert_valid(recording: &Recording) {
    let violations = violations(&recording.lines());
    assert!(violations.is_empty(), "messages that break the protocol:\n{}", violations.join("\n"));
}

/// What is wrong with a conversation, one sentence each.
#[must_use]
pub fn violations(lines: &[Line]) -> Vec<String> {
    let mut conversation = Conversation::default();
    for line in lines {
        conversation.line(line);
    }
    conversation.violations
}

/// What is wrong with what came back for one request over HTTP, where a header names the version.
///
/// The request itself is not judged, since tests send wrong ones on purpose.
#[must_use]
pub fn answer_violations(version: Option<&str>, request: &str, answers: &[String]) -> Vec<String> {
    let mut conversation = Conversation { negotiated: version.map(str::to_owned), ..Conversation::default() };
    conversation.line(&Line { to: To::Server, text: request.to_owned(), deliberate: true });
    for answer in answers {
        conversation.line(&Line { to: To::Client, text: answer.clone(), deliberate: false });
    }
    conversation.violations
}

/// What is wrong with a tool's schema: it must be valid 2020-12 with an object at its root.
#[must_use]
pub fn tool_schema_problems(schema: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if schema["type"] != "object" {
        problems.push(format!("the root is not an object: {schema}"));
    }
    if let Err(error) = draft202012::meta::validate(schema) {
        problems.push(format!("not a valid 2020-12 schema: {error}"));
    }
    // Building finds what the meta schema cannot, such as a reference to nowhere.
    if let Err(error) = draft202012::options().offline().build(schema) {
        problems.push(format!("the schema cannot be used: {error}"));
    }
    problems
}

/// Whether the official schemas are on this machine; says so once when they are not.
#[must_use]
pub fn present() -> bool {
    schemas().is_some()
}

/// Follows one conversation, because a response is judged by its request.
#[derive(Default)]
struct Conversation {
    negotiated: Option<String>,
    /// Version and method of requests without an answer, by receiver and id.
    open: HashMap<(bool, String), (String, String)>,
    /// Version by progress token.
    tokens: HashMap<String, String>,
    violations: Vec<String>,
}

impl Conversation {
    fn line(&mut self, line: &Line) {
        let message: Value = match serde_json::from_str(&line.text) {
            Ok(message) => message,
            Err(_) if line.deliberate => return,
            Err(error) => return self.report(line, &format!("not JSON: {error}")),
        };
        let to_server = line.to == To::Server;
        let method = message["method"].as_str();
        let id = message.get("id").filter(|id| !id.is_null());
        match (method, id) {
            (Some(method), Some(id)) => {
                let version = self.request_version(method, &message);
                self.open.insert((to_server, id.to_string()), (version.clone(), method.to_owned()));
                if let Some(token) = message["params"]["_meta"].get("progressToken") {
                    self.tokens.insert(token.to_string(), version.clone());
                }
                self.check(line, &version, &message, &[method_definition(&version, method, "Request")]);
            }
            (Some(method), None) => {
                let version = self.notification_version(&message);
                let named = method_definition(&version, method, "Notification");
                self.check(line, &version, &message, &[named]);
            }
            (None, _) => self.response(line, &message, to_server),
        }
    }

    fn response(&mut self, line: &Line, message: &Value, to_server: bool) {
        let request = id_of(message).and_then(|id| self.open.remove(&(!to_server, id)));
        let (mut version, method) = match request {
            Some(request) => request,
            // A duplicate id or an error without an id: only the envelope can be judged.
            None => {
                let version = self.negotiated.clone().unwrap_or_else(|| LEGACY.to_owned());
                return self.check(line, &version, message, &[]);
            }
        };
        if let Some(error) = message.get("error") {
            let special = match error["code"].as_i64() {
                Some(-32021) => Some("MissingRequiredClientCapabilityError".to_owned()),
                Some(-32022) => Some("UnsupportedProtocolVersionError".to_owned()),
                _ => None,
            };
            return self.check(line, &version, message, &[special]);
        }
        if method == "initialize"
            && let Some(chosen) = message["result"]["protocolVersion"].as_str()
        {
            chosen.clone_into(&mut version);
            self.negotiated = Some(version.clone());
            if !known(&version) {
                self.report(line, &format!("no such protocol version: {version}"));
            }
        }
        let request = method_definition(&version, &method, "Request");
        let stem = request.as_deref().and_then(|name| name.strip_suffix("Request"));
        // The official union of both kinds accepts nearly everything, so the kind is chosen here.
        let result = match (message["result"]["resultType"].as_str(), stem) {
            (Some("input_required"), _) => Some("InputRequiredResult".to_owned()),
            (_, Some(stem)) if defines(&version, &format!("{stem}Result")) => Some(format!("{stem}Result")),
            _ => Some("EmptyResult".to_owned()),
        };
        self.check(line, &version, message, &[]);
        self.check_as(line, &version, &message["result"], result.as_deref());
    }

    /// A modern request names its version; an older one has what the handshake agreed on.
    fn request_version(&self, method: &str, message: &Value) -> String {
        let named = message["params"]["_meta"][VERSION_KEY].as_str();
        if let Some(version) = named {
            return if known(version) { version } else { MODERN }.to_owned();
        }
        if method == "server/discover" {
            return MODERN.to_owned();
        }
        let asked = message["params"]["protocolVersion"].as_str().filter(|_| method == "initialize");
        let version = asked.filter(|version| known(version)).or(self.negotiated.as_deref());
        version.unwrap_or(LEGACY).to_owned()
    }

    fn notification_version(&self, message: &Value) -> String {
        let token = message["params"].get("progressToken").map(Value::to_string);
        let version = token.and_then(|token| self.tokens.get(&token)).or(self.negotiated.as_ref());
        version.cloned().unwrap_or_else(|| MODERN.to_owned())
    }

    /// Checks the envelope and the named definitions.
    fn check(&mut self, line: &Line, version: &str, message: &Value, names: &[Option<String>]) {
        if line.deliberate {
            return;
        }
        self.check_as(line, version, message, Some("JSONRPCMessage"));
        for name in names.iter().flatten() {
            self.check_as(line, version, message, Some(name));
        }
    }

    fn check_as(&mut self, line: &Line, version: &str, value: &Value, name: Option<&str>) {
        let (Some(name), Some(schemas)) = (name, schemas()) else { return };
        if let Some(problem) = schemas.problem(version, name, value) {
            self.report(line, &format!("{version} {name}: {problem}"));
        }
    }

    fn report(&mut self, line: &Line, problem: &str) {
        let shown: String = line.text.chars().take(600).collect();
        self.violations.push(format!("to {:?}: {problem}\n    {shown}", line.to));
    }
}

fn id_of(message: &Value) -> Option<String> {
    message.get("id").filter(|id| !id.is_null()).map(Value::to_string)
}

fn known(version: &str) -> bool {
    // Without the schemas every version counts, because nothing is checked anyway.
    schemas().is_none_or(|schemas| schemas.documents.contains_key(version))
}

fn defines(version: &str, name: &str) -> bool {
    schemas().and_then(|schemas| schemas.documents.get(version)).is_some_and(|document| document.definitions().contains_key(name))
}

fn method_definition(version: &str, method: &str, suffix: &str) -> Option<String> {
    let document = schemas()?.documents.get(version)?;
    document.methods.get(&(method.to_owned(), suffix.to_owned())).cloned()
}

/// The schema documents and the validators made from them.
struct Schemas {
    documents: BTreeMap<String, Document>,
    validators: Mutex<HashMap<(String, String), &'static Validator>>,
}

struct Document {
    root: Value,
    /// `$defs` since 2020-12, `definitions` before.
    key: &'static str,
    /// Definition by method and suffix.
    methods: HashMap<(String, String), String>,
}

impl Document {
    fn new(root: Value) -> Self {
        let key = if root.get("$defs").is_some() { "$defs" } else { "definitions" };
        let mut methods = HashMap::new();
        for (name, definition) in root[key].as_object().into_iter().flatten() {
            let method = definition["properties"]["method"]["const"].as_str();
            let suffix = ["Request", "Notification"].into_iter().find(|end| name.ends_with(end));
            // `ClientNotification` is a union that repeats a member's method in one version.
            if let (Some(method), Some(suffix)) = (method, suffix)
                && !name.starts_with("Client")
            {
                methods.insert((method.to_owned(), suffix.to_owned()), name.clone());
            }
        }
        Self { root, key, methods }
    }

    fn definitions(&self) -> &serde_json::Map<String, Value> {
        self.root[self.key].as_object().expect("a schema has definitions")
    }
}

impl Schemas {
    fn problem(&self, version: &str, name: &str, value: &Value) -> Option<String> {
        let document = self.documents.get(version)?;
        if !document.definitions().contains_key(name) {
            return None;
        }
        let key = (version.to_owned(), name.to_owned());
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = *validators.entry(key).or_insert_with(|| {
            let schema = json!({
                "$schema": document.root["$schema"],
                "$ref": format!("#/{}/{name}", document.key),
                document.key: document.root[document.key],
            });
            let built = jsonschema::options().offline().build(&schema);
            // One for each definition in use, for the life of the test program.
            Box::leak(Box::new(built.expect("the official schema is usable")))
        });
        let errors: Vec<_> = validator.iter_errors(value).map(|error| format!("{error} at `{}`", error.instance_path())).collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }
}

fn schemas() -> Option<&'static Schemas> {
    static SCHEMAS: OnceLock<Option<Schemas>> = OnceLock::new();
    SCHEMAS.get_or_init(load).as_ref()
}

fn load() -> Option<Schemas> {
    let directory = env::var_os("TOOLYARD_MCP_SCHEMA").map_or_else(|| repository().join("../shared/mcp-schema"), PathBuf::from);
    let Ok(entries) = fs::read_dir(&directory) else {
        install::say_skipped("schema validation of every message", &format!("no MCP schemas in {}", directory.display()));
        return None;
    };
    let mut documents = BTreeMap::new();
    for entry in entries {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(version) = name.strip_suffix(".schema.json") {
            let text = fs::read_to_string(&path).expect("a readable schema");
            let root = serde_json::from_str(&text).expect("a schema is JSON");
            documents.insert(version.to_owned(), Document::new(root));
        }
    }
    assert!(documents.contains_key(MODERN), "no {MODERN} schema in {}", directory.display());
    Some(Schemas { documents, validators: Mutex::default() })
}
