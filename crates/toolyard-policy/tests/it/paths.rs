//! Protected and secret paths, aliases, malformed accesses.

use std::sync::Arc;

use toolyard_policy::{Effect::*, Outcome::*, PathResource, Profile, Resource};

use crate::{check, linked, path, policy};

#[test]
fn protected_paths_are_never_changed() {
    let policy = policy(Profile::Standard, &["allow *", "allow fs_write(.claude/settings.json)"]);
    for file in [
        ".git",
        ".git/hooks/pre-commit",
        "sub/.git/config",
        ".hg/hgrc",
        ".svn/x",
        ".claude/settings.json",
        ".mcp.json",
        ".vscode/tasks.json",
        ".cursor/mcp.json",
        ".idea/x",
        ".gitmodules",
        ".github/workflows/x.yml",
        ".github/actions/a/action.yml",
        "sub/.github/workflows/x.yml",
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "azure-pipelines.yml",
        "Jenkinsfile",
        ".gitconfig",
        ".npmrc",
        ".pypirc",
        ".netrc",
        ".bashrc",
        ".bash_profile",
        ".bash_login",
        ".bash_logout",
        ".profile",
        ".zshrc",
        ".zprofile",
        ".zshenv",
        ".zlogin",
        ".kshrc",
        ".cshrc",
        ".tcshrc",
        "fish/config.fish",
        ".config/fish/config.fish",
        ".envrc",
        ".ssh/authorized_keys",
        ".gnupg/x",
        ".husky/pre-commit",
        ".devcontainer/devcontainer.json",
        "mcp-config.json",
        ".codex/config.toml",
        ".gemini/settings.json",
        "x.code-workspace",
        // Aliases.
        ".GIT/config",
        ".git\u{200c}/config",
        ".g\u{200b}it/x",
        ".\u{ff47}it/x",
        ".git./x",
        ".git /x",
        ".git::$INDEX_ALLOCATION/x",
        "GIT~1/config",
        "git~2",
        ".g\u{131}t/x",
        ".Claude/x",
        "CLAUDE~1/settings.json",
        "MCP~1.JSO",
        "JENKINSFILE",
        ".github./WORKFLOWS/x",
        "\u{feff}.mcp.json",
        ".mcp.json:stream",
        ".vscode\u{e0041}/tasks.json",
    ] {
        for effect in [Write, Destroy, Execute] {
            check(&policy, ("fs_write", effect, path(file)), Deny);
            check(&policy, ("fs_write", effect, linked("plain", file)), Deny);
            check(&policy, ("fs_write", effect, linked(file, "plain")), Deny);
        }
    }
}

#[test]
fn removing_a_directory_removes_what_is_protected_in_it() {
    let policy = policy(Profile::Locked, &["allow *", "deny destroy(data/keep/**)"]);
    for (dir, expect) in [
        (".github", Deny),
        ("a/.github", Deny),
        ("data", Deny),
        ("data/keep", Deny),
        ("data/other", Allow),
        ("fish", Deny),
        ("github", Allow),
    ] {
        check(&policy, ("fs_delete", Destroy, path(dir)), expect);
    }
    check(&policy, ("fs_mkdir", Write, path(".github")), Allow);
}

#[test]
fn ordinary_files_are_ordinary() {
    let policy = policy(Profile::Standard, &[]);
    for file in [
        "",
        "src/main.rs",
        ".gitignore",
        ".gitattributes",
        "README.md",
        ".github/ISSUE_TEMPLATE/x.md",
        ".github/dependabot.yml",
        "workflows/x.yml",
        "git",
        "src/git/mod.rs",
        "src/secret.rs",
        "src/secrets.rs",
        "docs/env.md",
        ".env.example",
        ".env.sample",
        ".env.template",
        "sub/.env.example",
        "environment.ts",
        "env.d.ts",
        "src/key.rs",
        "keys/mod.rs",
        "monkey",
        "credentials.rs",
        "package.json",
        "config.json",
        "docker/config.json",
        "id_rsa.pub",
        "kube/config",
        "CLAUDE.md",
        "AGENTS.md",
        "GIT~1x",
        "a b/c",
        "naïve.txt",
        "src/profile.rs",
        "terraform/main.tf",
    ] {
        check(&policy, ("fs_read", Read, path(file)), Allow);
        check(&policy, ("fs_write", Write, path(file)), Allow);
    }
    for file in [".git", ".git/HEAD", ".github/workflows/x.yml", ".vscode/settings.json", ".mcp.json", ".bashrc", ".envrc", ".ssh"] {
        check(&policy, ("fs_read", Read, path(file)), Allow);
    }
}

#[test]
fn secrets_are_closed() {
    let policy = policy(Profile::Standard, &["allow read", "allow read(**)", "allow fs_read(config/**)", "allow fs"]);
    for file in [
        ".env",
        "config/.env",
        ".env.local",
        ".env.production",
        "prod.env",
        "x.pem",
        "config/server.key",
        "a.p12",
        "a.pfx",
        "a.jks",
        "a.keystore",
        "id_rsa",
        "id_ed25519",
        "id_ecdsa_sk",
        "id_dsa",
        ".netrc",
        ".git-credentials",
        ".npmrc",
        ".pypirc",
        ".aws/credentials",
        ".docker/config.json",
        ".kube/config",
        "credentials.json",
        "service-account-x.json",
        ".ssh/config",
        ".gnupg/x/y",
        "a.kdbx",
        ".htpasswd",
        "secrets.yml",
        "config/secrets.toml",
        ".vault-token",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        "prod.tfvars",
        ".git/config",
        "sub/.git/config",
        ".git/modules/a/b/config",
        ".ENV",
        "ENV~1",
        ".env::$DATA",
        "X.PEM",
        ".e\u{200d}nv",
        "a:b.PEM",
        "GIT~1/config",
        ".env.",
    ] {
        check(&policy, ("fs_read", Read, path(file)), Deny);
        check(&policy, ("fs_write", Write, path(file)), Deny);
        check(&policy, ("fs_read", Read, linked(file, "plain")), Deny);
        check(&policy, ("fs_read", Read, linked("plain", file)), Deny);
    }
}

#[test]
fn a_rule_that_names_a_secret_opens_it() {
    for (rules, file, expect) in [
        (&["allow read(.env)"][..], ".env", Allow),
        (&["allow read(.env)"], "sub/.env", Allow),
        (&["allow read(/.env)"], "sub/.env", Deny),
        (&["allow read(.env)"], ".ENV", Deny),
        (&["allow read(.env)"], ".env.local", Deny),
        (&["allow read(.env*)"], ".env.local", Allow),
        (&["allow read(*.pem)"], "tls/a.pem", Allow),
        (&["allow read(*)"], "a.pem", Deny),
        (&["allow read(tls/*)"], "tls/a.pem", Deny),
        (&["allow read(tls)"], "tls/a.pem", Deny),
        (&["allow read(.ssh)"], ".ssh/config", Deny),
        (&["allow read(.ssh/config)"], ".ssh/config", Allow),
        (&["allow read(//home/me/project/.env)"], ".env", Allow),
        (&["ask read(.env)"], ".env", Ask),
        (&["allow fs_stat(.env)"], ".env", Deny),
        (&["allow write(.env)"], ".env", Deny),
        (&["only read(.env)"], ".env", Allow),
        (&["allow read(.env)", "deny read(.env)"], ".env", Deny),
    ] {
        check(&policy(Profile::Standard, rules), ("fs_read", Read, path(file)), expect);
    }
    let open = policy(Profile::Standard, &["allow read(.env)"]);
    check(&open, ("fs_read", Read, linked(".env", "settings")), Allow);
    check(&open, ("fs_read", Read, linked("real.pem", ".env")), Deny);
    check(&open, ("fs_write", Write, path(".env")), Deny);
    let write = policy(Profile::Standard, &["allow fs_write(.env)", "allow fs_write(.netrc)"]);
    check(&write, ("fs_write", Write, path(".env")), Allow);
    check(&write, ("fs_write", Write, path(".netrc")), Deny);
}

#[test]
fn an_allowed_directory_inside_a_guarded_one_is_guarded() {
    let policy = policy(Profile::Standard, &[]);
    for (directory, file, effect, expect) in [
        ("/repo/.github", "workflows/x.yml", Write, Deny),
        ("/repo/.github", "README.md", Write, Allow),
        ("/repo/.git", "hooks/pre-commit", Write, Deny),
        ("/repo/.Git", "config", Read, Deny),
        ("/home/me/.aws", "credentials", Read, Deny),
        ("/home/me/.ssh", "x", Read, Deny),
        ("/home/me/.config/gh", "hosts.yml", Read, Deny),
        ("/repo/.claude/worktrees/one", "src/a.rs", Write, Allow),
        ("/", "home/me/.ssh/x", Read, Deny),
        ("/", "a", Read, Allow),
    ] {
        let resource = Resource::Path(PathResource { directory: Arc::from(directory), path: file.to_owned(), requested: None });
        check(&policy, ("fs_x", effect, resource), expect);
    }
}

#[test]
fn a_malformed_access_is_denied() {
    let policy = policy(Profile::Standard, &["allow *"]);
    let long = "a/".repeat(5000) + "a";
    for file in ["..", "a/../b", ".", "a/./b", "a//b", "/a", "a/", "a\0b", "/", &long] {
        check(&policy, ("fs_read", Read, path(file)), Deny);
        check(&policy, ("fs_read", Read, linked("a", file)), Deny);
    }
    for directory in ["", "relative", "relative/x", "/a//b", "/a/../b"] {
        let resource = Resource::Path(PathResource { directory: Arc::from(directory), path: "a".to_owned(), requested: None });
        check(&policy, ("fs_read", Read, resource), Deny);
    }
}
