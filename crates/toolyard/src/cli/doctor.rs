//! `toolyard doctor`: what works on this machine, in words.

#[cfg(feature = "http")]
mod http;
mod machine;

use std::path::Path;

use toolyard_core::Principal;

use super::{Failure, Outcome, args::DoctorArgs, environment, logging, output, policy, setup};
use crate::Toolyard;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Good,
    Hint,
    Problem,
}

impl Finding {
    fn good(text: impl Into<String>) -> Self {
        Self { level: Level::Good, text: text.into() }
    }

    fn hint(text: impl Into<String>) -> Self {
        Self { level: Level::Hint, text: text.into() }
    }

    fn problem(text: impl Into<String>) -> Self {
        Self { level: Level::Problem, text: text.into() }
    }
}

pub(super) fn run(args: &DoctorArgs) -> Result<Outcome, Failure> {
    logging::start(&args.log)?;
    let mut findings = machine::kernel();
    let configuration = match setup::config_path(args.server.config.as_deref()) {
        Some(path) => format!("the configuration `{}`", path.display()),
        None => "no configuration file, the defaults".to_owned(),
    };
    let mut summary = String::new();
    let checked = setup::builder(&args.server).and_then(|builder| {
        #[cfg(feature = "http")]
        let settings = builder.http().clone();
        let yard = builder.build().map_err(Failure::setup)?;
        #[cfg(feature = "http")]
        let http = http::findings(&yard, &settings);
        #[cfg(not(feature = "http"))]
        let http = Vec::new();
        Ok((yard, http))
    });
    match checked {
        Ok((yard, http)) => {
            findings.push(Finding::good(format!("{configuration}: the server can start")));
            findings.extend(directories(&yard));
            findings.extend(state(&yard));
            findings.extend(http);
            findings.extend(yard.warnings().iter().map(Finding::hint));
            summary = format!("\npolicy: {}\n", policy::summary(&yard, &Principal::local()));
        }
        Err(Failure::Setup(error) | Failure::Run(error)) => {
            findings.push(Finding::problem(format!("{configuration}: the server can't start: {error:#}")));
        }
    }
    output::text(&format!("Toolyard {}\n{}{summary}", env!("CARGO_PKG_VERSION"), rendered(&findings)))?;
    let failed = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if failed { Outcome::Failed } else { Outcome::Success })
}

fn rendered(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.level {
            Level::Good => "ok     ",
            Level::Hint => "hint   ",
            Level::Problem => "PROBLEM",
        };
        text += &format!("  {word}  {}\n", finding.text);
    }
    text
}

fn directories(yard: &Toolyard) -> Vec<Finding> {
    let mut findings = Vec::new();
    let home = environment::home();
    for directory in yard.directories() {
        let path = Path::new(directory);
        findings.push(match machine::writable(path) {
            Ok(()) => Finding::good(format!("`{directory}` can be read and written")),
            Err(error) => Finding::hint(format!("`{directory}` can't be written ({error}); tools that change files will fail there")),
        });
        findings.extend(machine::file_system(path));
        if path == Path::new("/") || home.as_deref().is_some_and(|home| home.starts_with(path)) {
            findings.push(Finding::hint(format!("`{directory}` holds more than a project; name a smaller one with `--workspace`")));
        }
    }
    findings
}

fn state(yard: &Toolyard) -> Vec<Finding> {
    let Some(audit) = yard.audit_directory() else {
        return vec![Finding::hint("the audit trail is off; nobody can tell afterwards what was done")];
    };
    let shown = audit.display();
    // It is made with the first call; until then its nearest existing parent has to be writable.
    let existing = audit.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    vec![match machine::writable(existing) {
        Ok(()) => Finding::good(format!("the audit trail can be written to `{shown}`, outside every allowed directory")),
        Err(error) => {
            let existing = existing.display();
            Finding::problem(format!(
                "the audit trail can't be written to `{shown}`: `{existing}`: {error}; every call that writes would fail, name another with `--state-dir`"
            ))
        }
    }]
}

#[cfg(test)]
mod tests {
    use super::{Finding, directories, rendered, state};
    use crate::Toolyard;

    #[test]
    fn each_finding_is_one_line_that_begins_with_its_weight() {
        let findings = [Finding::good("a"), Finding::hint("b"), Finding::problem("c")];
        assert_eq!(rendered(&findings), "  ok       a\n  hint     b\n  PROBLEM  c\n");
    }

    #[test]
    fn a_usable_workspace_and_state_directory_are_said_to_be_so() {
        let workspace = tempfile::tempdir().expect("a temporary directory");
        let state_home = tempfile::tempdir().expect("a temporary directory");
        let yard = Toolyard::builder().workspace(workspace.path()).state_directory(state_home.path().join("s")).build().expect("a server");
        let found = directories(&yard);
        assert!(found.contains(&Finding::good(format!("`{}` can be read and written", yard.directories()[0]))), "{found:?}");
        let audit = yard.audit_directory().expect("an audit trail").display().to_string();
        let expected = format!("the audit trail can be written to `{audit}`, outside every allowed directory");
        assert_eq!(state(&yard), [Finding::good(expected)]);
    }
}
