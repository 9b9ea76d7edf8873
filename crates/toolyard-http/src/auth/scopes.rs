//! What scopes open, and which tools need a stronger authentication.

use toolyard_policy::{Selector, ToolPattern};

use super::{AcrRule, AuthSetupError, Grant, Operation, Refusal, ScopeRule};

/// The scopes of a server in the order in which they are asked for, and its step-up rules.
#[derive(Debug)]
pub(super) struct ScopeTable {
    scopes: Vec<(Box<str>, Vec<ToolPattern>)>,
    step_ups: Vec<StepUp>,
}

#[derive(Debug)]
struct StepUp {
    tools: Vec<ToolPattern>,
    values: Vec<String>,
}

impl ScopeTable {
    /// Compiles both lists; no scopes stands for [`ScopeRule::defaults`].
    pub(super) fn new(scopes: &[ScopeRule], step_ups: &[AcrRule]) -> Result<Self, AuthSetupError> {
        let defaults = if scopes.is_empty() { ScopeRule::defaults() } else { Vec::new() };
        let mut table = Self { scopes: Vec::new(), step_ups: Vec::new() };
        for rule in scopes.iter().chain(&defaults) {
            let place = format!("scopes.{}", rule.scope);
            if let Some(problem) = scope_problem(&rule.scope) {
                return Err(AuthSetupError { place, problem: problem.into() });
            }
            if table.scopes.iter().any(|(scope, _)| **scope == *rule.scope) {
                return Err(AuthSetupError { place, problem: "this scope has an entry already; join the two".into() });
            }
            table.scopes.push((rule.scope.as_str().into(), patterns(&place, &rule.opens)?));
        }
        for (nth, rule) in step_ups.iter().enumerate() {
            let place = format!("acr[{nth}]");
            if rule.values.is_empty() || rule.values.iter().any(|value| scope_problem(value).is_some()) {
                let problem = "name at least one value, printable ASCII without spaces and quotes".into();
                return Err(AuthSetupError { place, problem });
            }
            table.step_ups.push(StepUp { tools: patterns(&place, &rule.tools)?, values: rule.values.clone() });
        }
        Ok(table)
    }

    /// The scope to begin with.
    pub(super) fn first(&self) -> &str {
        self.scopes.first().map_or("", |(scope, _)| scope)
    }

    /// Whether a token opens an operation.
    pub(super) fn check(&self, grant: &Grant, operation: Operation<'_>) -> Result<(), Refusal> {
        let Some(held) = &grant.scopes else { return Ok(()) };
        let Operation::Tool { name, family, effect } = operation else {
            if self.scopes.iter().any(|(scope, _)| held.contains(scope)) {
                return Ok(());
            }
            return Err(Refusal::Scope { needed: self.first().to_owned() });
        };
        let tool = Selector { tool: name, family, effect };
        let mut opening = self.scopes.iter().filter(|(_, opens)| opens.iter().any(|pattern| pattern.matches(&tool)));
        let first = opening.next();
        let Some((opener, _)) = first.into_iter().chain(opening).find(|(scope, _)| held.contains(scope)) else {
            return Err(Refusal::Scope { needed: first.map(|(scope, _)| scope.to_string()).unwrap_or_default() });
        };
        for rule in &self.step_ups {
            let concerned = rule.tools.iter().any(|pattern| pattern.matches(&tool));
            if concerned && !rule.values.iter().any(|value| Some(value.as_str()) == grant.acr.as_deref()) {
                return Err(Refusal::StepUp { acr_values: rule.values.join(" "), scope: opener.to_string() });
            }
        }
        Ok(())
    }
}

fn patterns(place: &str, tools: &[String]) -> Result<Vec<ToolPattern>, AuthSetupError> {
    let parse = |tool: &String| ToolPattern::parse(tool).map_err(|problem| AuthSetupError { place: place.to_owned(), problem });
    tools.iter().map(parse).collect()
}

/// Why this can't be a scope here; it is written into challenges as it stands.
fn scope_problem(scope: &str) -> Option<&'static str> {
    if scope.is_empty() || !scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        Some("a scope is printable ASCII without spaces, quotes and backslashes")
    } else if scope.contains('*') {
        Some("a scope with `*` would be asked for as it stands; name each scope")
    } else if scope == "offline_access" {
        Some("this scope is between a client and its authorization server; leave it out")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use toolyard_core::{Effect, Principal};

    use super::{AcrRule, Grant, Operation, Refusal, ScopeRule, ScopeTable};

    fn rule(scope: &str, opens: &[&str]) -> ScopeRule {
        ScopeRule { scope: scope.into(), opens: opens.iter().map(|&text| text.to_owned()).collect() }
    }

    fn grant(scopes: &[&str], acr: Option<&str>) -> Grant {
        let scopes = Some(scopes.iter().map(|&scope| scope.into()).collect());
        Grant { principal: Principal::named("oauth:a:b"), scopes, acr: acr.map(Into::into), until: None }
    }

    const fn tool(name: &str, effect: Effect) -> Operation<'_> {
        Operation::Tool { name, family: "fs", effect }
    }

    fn needs(scope: &str) -> Result<(), Refusal> {
        Err(Refusal::Scope { needed: scope.into() })
    }

    #[test]
    fn a5_a_missing_scope_is_named_once() {
        let table = ScopeTable::new(&[], &[]).unwrap();
        let reader = grant(&["mcp:read", "other"], None);
        assert_eq!(table.check(&reader, tool("fs_read", Effect::Read)), Ok(()));
        assert_eq!(table.check(&reader, tool("fs_write", Effect::Write)), needs("mcp:write"));
        assert_eq!(table.check(&reader, tool("fs_remove", Effect::Destroy)), needs("mcp:write"));
        assert_eq!(table.check(&reader, tool("run", Effect::Execute)), needs("mcp:execute"));
        assert_eq!(table.check(&grant(&[], None), tool("fs_read", Effect::Read)), needs("mcp:read"));
    }

    #[test]
    fn a5_a_wider_scope_includes_the_narrower_one() {
        let table = ScopeTable::new(&[], &[]).unwrap();
        let writer = grant(&["mcp:write"], None);
        assert_eq!(table.check(&writer, tool("fs_read", Effect::Read)), Ok(()));
        assert_eq!(table.check(&writer, tool("fs_remove", Effect::Destroy)), Ok(()));
        assert_eq!(table.check(&writer, Operation::Protocol), Ok(()));
        assert_eq!(table.check(&writer, tool("run", Effect::Execute)), needs("mcp:execute"));
    }

    #[test]
    fn sm1_other_operations_ask_for_the_first_scope_only() {
        let table = ScopeTable::new(&[], &[]).unwrap();
        assert_eq!(table.first(), "mcp:read");
        assert_eq!(table.check(&grant(&["profile"], None), Operation::Protocol), needs("mcp:read"));
        assert_eq!(table.check(&grant(&["mcp:execute"], None), Operation::Protocol), Ok(()));
    }

    #[test]
    fn scopes_open_tools_families_effects_and_globs() {
        let rules = [rule("one", &["fs_read"]), rule("family", &["fs"]), rule("globs", &["git_*", "github_*"])];
        let table = ScopeTable::new(&rules, &[]).unwrap();
        assert_eq!(table.check(&grant(&["one"], None), tool("fs_read", Effect::Read)), Ok(()));
        assert_eq!(table.check(&grant(&["one"], None), tool("fs_list", Effect::Read)), needs("family"));
        assert_eq!(table.check(&grant(&["family"], None), tool("fs_read", Effect::Read)), Ok(()));
        let push = Operation::Tool { name: "git_push", family: "git", effect: Effect::Write };
        assert_eq!(table.check(&grant(&["one", "family"], None), push), needs("globs"));
        assert_eq!(table.check(&grant(&["globs"], None), push), Ok(()));
    }

    #[test]
    fn a_tool_that_no_scope_opens_stays_closed() {
        let table = ScopeTable::new(&[rule("one", &["fs_read"])], &[]).unwrap();
        assert_eq!(table.check(&grant(&["one"], None), tool("fs_list", Effect::Read)), needs(""));
    }

    #[test]
    fn static_tokens_are_not_limited_by_scopes() {
        let table = ScopeTable::new(&[], &[AcrRule { tools: vec!["*".into()], values: vec!["mfa".into()] }]).unwrap();
        let operator = Grant { principal: Principal::named("token:a"), scopes: None, acr: None, until: None };
        assert_eq!(table.check(&operator, tool("run", Effect::Execute)), Ok(()));
    }

    #[test]
    fn a12_a_tool_can_need_a_stronger_authentication() {
        let step_up = AcrRule { tools: vec!["destroy".into()], values: vec!["urn:mfa".into(), "phr".into()] };
        let table = ScopeTable::new(&[], &[step_up]).unwrap();
        let remove = tool("fs_remove", Effect::Destroy);
        let needed = Err(Refusal::StepUp { acr_values: "urn:mfa phr".into(), scope: "mcp:write".into() });
        assert_eq!(table.check(&grant(&["mcp:write"], None), remove), needed);
        assert_eq!(table.check(&grant(&["mcp:write"], Some("pwd")), remove), needed);
        assert_eq!(table.check(&grant(&["mcp:write"], Some("phr")), remove), Ok(()));
        assert_eq!(table.check(&grant(&["mcp:write"], Some("pwd")), tool("fs_write", Effect::Write)), Ok(()));
        assert_eq!(table.check(&grant(&["mcp:read"], None), remove), needs("mcp:write"), "the scope is asked for first");
    }

    #[test]
    fn sm2_wildcards_and_foreign_scopes_are_refused() {
        for scope in ["mcp:*", "offline_access", "", "a b", "a\"b", "ü"] {
            assert_eq!(ScopeTable::new(&[rule(scope, &["read"])], &[]).unwrap_err().place, format!("scopes.{scope}"));
        }
        let twice = [rule("a", &["read"]), rule("a", &["write"])];
        assert_eq!(ScopeTable::new(&twice, &[]).unwrap_err().to_string(), "scopes.a: this scope has an entry already; join the two");
        assert_eq!(
            ScopeTable::new(&[rule("a", &["Fs_Read"])], &[]).unwrap_err().to_string(),
            "scopes.a: tool names are lower case; write `fs_read`"
        );
    }
}
