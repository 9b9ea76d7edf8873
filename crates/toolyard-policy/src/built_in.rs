//! Paths that are guarded under every profile.
//!
//! Protected paths steer what programs, hosts and services do later on, so changing one is a way
//! out of the policy. Secret paths hold credentials.

use std::sync::LazyLock;

use crate::index::Index;
use crate::pattern::Pattern;
use crate::segment::Mode;

/// A path pattern that holds under every profile, at any depth, for every alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInPath {
    /// The pattern; it covers everything below what it matches.
    pub pattern: &'static str,
    /// Names that the last segment of the pattern leaves out.
    pub unless: &'static [&'static str],
    /// What the path is: `it is …`.
    pub reason: &'static str,
}

const fn guard(pattern: &'static str, reason: &'static str) -> BuiltInPath {
    guard_unless(pattern, &[], reason)
}

const fn guard_unless(pattern: &'static str, unless: &'static [&'static str], reason: &'static str) -> BuiltInPath {
    BuiltInPath { pattern, unless, reason }
}

const VCS: &str = "version control data, whose hooks and settings run programs";
const HOOKS: &str = "a set of commands that version control runs";
const AGENT: &str = "the settings of an agent or MCP host, which decide what it may do";
const EDITOR: &str = "the settings of an editor, which run programs";
const CI: &str = "a pipeline definition, which runs with the credentials of the project";
const SHELL: &str = "a file that a shell or a login runs";
const LOGIN: &str = "a file that decides who gets in, or with which credentials";

/// Paths that no tool changes, in the order of the documentation.
pub const fn protected_paths() -> &'static [BuiltInPath] {
    PROTECTED
}

/// Paths that no tool reads or changes unless a rule names them, in the order of the documentation.
pub const fn secret_paths() -> &'static [BuiltInPath] {
    SECRET
}

const PROTECTED: &[BuiltInPath] = &[
    guard(".git", VCS),
    guard(".gitmodules", VCS),
    guard(".gitconfig", VCS),
    guard(".config/git", VCS),
    guard(".hg", VCS),
    guard(".hgrc", VCS),
    guard(".svn", VCS),
    guard(".jj", VCS),
    guard(".bzr", VCS),
    guard(".husky", HOOKS),
    guard(".githooks", HOOKS),
    guard(".pre-commit-config.{yaml,yml}", HOOKS),
    guard("{lefthook,.lefthook,lefthook-local}.{yml,yaml,toml,json}", HOOKS),
    guard(".claude", AGENT),
    guard(".claude.json", AGENT),
    guard(".mcp.json", AGENT),
    guard("mcp-config.json", AGENT),
    guard("claude_desktop_config.json", AGENT),
    guard(".toolyard", AGENT),
    guard(".codex", AGENT),
    guard(".gemini", AGENT),
    guard(".cursor", AGENT),
    guard(".cursorrules", AGENT),
    guard(".windsurf", AGENT),
    guard(".windsurfrules", AGENT),
    guard(".clinerules", AGENT),
    guard(".roo", AGENT),
    guard(".kiro", AGENT),
    guard(".amazonq", AGENT),
    guard(".continue", AGENT),
    guard(".opencode", AGENT),
    guard("opencode.{json,jsonc}", AGENT),
    guard(".aider.conf.yml", AGENT),
    guard(".junie", AGENT),
    guard(".vscode", EDITOR),
    guard("*.code-workspace", EDITOR),
    guard(".idea", EDITOR),
    guard(".fleet", EDITOR),
    guard(".zed", EDITOR),
    guard("{.vimrc,.nvimrc,.exrc,.lvimrc,.nvim.lua}", EDITOR),
    guard("{.dir-locals.el,.emacs,.emacs.d}", EDITOR),
    guard(".devcontainer", EDITOR),
    guard(".devcontainer.json", EDITOR),
    guard(".github/workflows", CI),
    guard(".github/actions", CI),
    guard("{.gitea,.forgejo}/{workflows,actions}", CI),
    guard(".gitlab-ci.{yml,yaml}", CI),
    guard(".circleci", CI),
    guard(".buildkite", CI),
    guard(".teamcity", CI),
    guard(".semaphore", CI),
    guard(".woodpecker", CI),
    guard("{.travis,.drone,.woodpecker,.appveyor,appveyor}.{yml,yaml}", CI),
    guard("{azure-pipelines,bitbucket-pipelines,cloudbuild}.{yml,yaml}", CI),
    guard(".azure-pipelines", CI),
    guard("Jenkinsfile", CI),
    guard("{.bashrc,.bash_profile,.bash_login,.bash_logout,.bash_aliases}", SHELL),
    guard("{.profile,.login,.logout,.xprofile,.xinitrc,.xsession,.pam_environment}", SHELL),
    guard("{.zshrc,.zprofile,.zshenv,.zlogin,.zlogout}", SHELL),
    guard("{.kshrc,.cshrc,.tcshrc,.inputrc}", SHELL),
    guard("fish/{config.fish,conf.d,functions}", SHELL),
    guard("{Microsoft.PowerShell_profile.ps1,profile.ps1}", SHELL),
    guard(".config/{autostart,systemd,environment.d}", SHELL),
    guard("Library/LaunchAgents", SHELL),
    guard(".envrc", SHELL),
    guard(".direnv", SHELL),
    guard(".ssh", LOGIN),
    guard("authorized_keys", LOGIN),
    guard(".gnupg", LOGIN),
    guard(".aws", LOGIN),
    guard(".kube", LOGIN),
    guard(".docker/config.json", LOGIN),
    guard("{.npmrc,.yarnrc,.yarnrc.yml}", LOGIN),
    guard(".pypirc", LOGIN),
    guard("{.netrc,_netrc}", LOGIN),
    guard(".git-credentials", LOGIN),
];

const ENVIRONMENT: &str = "an environment file, which usually holds credentials";
const KEY: &str = "a private key or key store";
const TOKEN: &str = "a file with credentials";
const STATE: &str = "infrastructure state or variables, which hold credentials in the clear";

const SECRET: &[BuiltInPath] = &[
    guard(".env", ENVIRONMENT),
    guard_unless(".env.*", &[".env.example", ".env.sample", ".env.template", ".env.dist", ".env.*.example"], ENVIRONMENT),
    guard_unless("*.env", &["example.env", "sample.env", "template.env", "*.example.env"], ENVIRONMENT),
    guard(".dev.vars", ENVIRONMENT),
    guard("*.{pem,key,p12,pfx,pkcs12,jks,keystore,ppk,kdbx}", KEY),
    guard_unless("id_{rsa,dsa,ecdsa,ed25519}*", &["*.pub"], KEY),
    guard(".ssh/**", KEY),
    guard(".gnupg/**", KEY),
    guard("{.netrc,_netrc}", TOKEN),
    guard(".git-credentials", TOKEN),
    guard(".git/{config,config.worktree,credentials}", TOKEN),
    guard(".git/modules/**/config", TOKEN),
    guard(".config/git/credentials", TOKEN),
    guard("{.npmrc,.pypirc,.pgpass,.my.cnf,.s3cfg,.boto,.dockercfg}", TOKEN),
    guard(".aws/credentials", TOKEN),
    guard(".aws/{sso,cli}/cache", TOKEN),
    guard(".azure/{accessTokens.json,msal_token_cache.json,msal_token_cache.bin}", TOKEN),
    guard("{application_default_credentials,credentials}.json", TOKEN),
    guard("{service-account,service_account,client_secret,gha-creds-}*.json", TOKEN),
    guard("*firebase-adminsdk*.json", TOKEN),
    guard(".config/gh/hosts.yml", TOKEN),
    guard(".config/gcloud/**", TOKEN),
    guard(".docker/config.json", TOKEN),
    guard(".kube/config", TOKEN),
    guard("{kubeconfig,*.kubeconfig}", TOKEN),
    guard(".cargo/{credentials,credentials.toml}", TOKEN),
    guard(".gem/credentials", TOKEN),
    guard(".composer/auth.json", TOKEN),
    guard("{.terraformrc,credentials.tfrc.json}", TOKEN),
    guard(".claude/.credentials.json", TOKEN),
    guard(".codex/auth.json", TOKEN),
    guard(".gemini/oauth_creds.json", TOKEN),
    guard(".htpasswd", TOKEN),
    guard("{.vault-token,.vault_pass,.vault_password}", TOKEN),
    guard("rclone.conf", TOKEN),
    guard("secrets.{json,yml,yaml,toml}", TOKEN),
    guard("terraform.tfstate*", STATE),
    guard("*.tfstate", STATE),
    guard_unless("*.tfvars", &["example.tfvars", "*.example.tfvars"], STATE),
];

/// Both lists, compiled; rule numbers are positions in them.
#[derive(Debug)]
pub(crate) struct BuiltIns {
    pub(crate) protected: Index,
    pub(crate) secret: Index,
}

impl BuiltIns {
    /// The compiled lists, made for the first decision of the process; nothing if one is broken.
    ///
    /// Start-up does not wait for them: a host starts many servers that are never called.
    pub(crate) fn get() -> Option<&'static Self> {
        static LISTS: LazyLock<Option<BuiltIns>> = LazyLock::new(|| BuiltIns::compile().ok());
        LISTS.as_ref()
    }

    fn compile() -> Result<Self, String> {
        Ok(Self { protected: compile(PROTECTED)?, secret: compile(SECRET)? })
    }
}

fn compile(list: &[BuiltInPath]) -> Result<Index, String> {
    let mut index = Index::new(Mode::Strict);
    for (number, path) in (0_u32..).zip(list) {
        let patterns = Pattern::parse_built_in(path.pattern, path.unless)?;
        for pattern in patterns {
            index.add(number, pattern);
        }
    }
    Ok(index)
}
