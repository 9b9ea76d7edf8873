//! The documentation lists what the code guards.

use toolyard_policy::{protected_paths, secret_paths};

#[test]
fn every_guarded_path_is_documented() {
    let page = include_str!("../../../../docs/policy.md");
    for path in protected_paths().iter().chain(secret_paths()) {
        let row = format!("| `{}` |", path.pattern);
        let documented = page.lines().any(|line| line.starts_with(&row) && line.contains(path.reason));
        assert!(documented, "docs/policy.md has no row `{row} … {} |`", path.reason);
        for name in path.unless {
            assert!(page.contains(&format!("`{name}`")), "docs/policy.md does not mention `{name}`");
        }
    }
}
