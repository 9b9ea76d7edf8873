//! Says what this machine cannot test, once, where the test runner shows it.

use support::{install, schemas};

#[test]
fn what_this_machine_cannot_test_is_said() {
    // Each prints `SKIPPED: …` or, with TOOLYARD_REQUIRE_CLIENTS=1, fails.
    let node = install::or_skip("TypeScript SDKs, inspector, Claude Code, Codex, Gemini CLI, bridges, conformance suite", install::node());
    let pythons = [1, 2].map(|major| install::or_skip(&format!("Python SDK v{major}"), install::python(major)));
    let fastmcp = install::or_skip("FastMCP", install::fastmcp());
    if install::required() {
        assert!(node.is_some() && fastmcp.is_some() && pythons.iter().all(Option::is_some) && schemas::present());
    }
}
