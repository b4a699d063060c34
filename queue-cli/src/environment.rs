//! Which variables of the enqueuer's environment a job gets.
//!
//! Owns the lists: [`PASSED`] is what every job gets where it is set, [`NEVER`] what no job gets however the list is
//! widened, because it belongs to the session that enqueues or to the attempt that runs. `enqueue` and `run` capture with
//! it once, so a job runs the same tomorrow, under whichever worker.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use queue_core::raw_text::RawText;

/// Passed to every job where set: what programs need to find themselves, their user and their language; toolchains;
/// proxies and certificates; accounts and settings of agents and of the providers they talk to.
pub(crate) const PASSED: &[(&str, &[&str])] = &[
    (
        "the user and the machine",
        &[
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "LANG",
            "LANGUAGE",
            "LC_*",
            "TZ",
            "TERM",
            "COLORTERM",
            "NO_COLOR",
            "TMPDIR",
            "XDG_*",
            "SSH_AUTH_SOCK",
            "GNUPGHOME",
            "DBUS_SESSION_BUS_ADDRESS",
            "EDITOR",
            "VISUAL",
            "MANPATH",
        ],
    ),
    (
        "toolchains",
        &[
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_JOBS",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "SCCACHE_*",
            "CCACHE_*",
            "GOPATH",
            "GOROOT",
            "GOBIN",
            "GOCACHE",
            "GOMODCACHE",
            "GOPROXY",
            "GOPRIVATE",
            "GOFLAGS",
            "GOTOOLCHAIN",
            "JAVA_HOME",
            "JDK_HOME",
            "MAVEN_HOME",
            "M2_HOME",
            "GRADLE_HOME",
            "GRADLE_USER_HOME",
            "SDKMAN_DIR",
            "ANDROID_HOME",
            "ANDROID_SDK_ROOT",
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "CONDA_DEFAULT_ENV",
            "CONDA_EXE",
            "MAMBA_ROOT_PREFIX",
            "PYENV_ROOT",
            "PYENV_VERSION",
            "PYTHONPATH",
            "PIPX_HOME",
            "PIP_*",
            "POETRY_HOME",
            "UV_*",
            "NVM_DIR",
            "NVM_BIN",
            "FNM_DIR",
            "VOLTA_HOME",
            "NODE_PATH",
            "NPM_CONFIG_*",
            "PNPM_HOME",
            "BUN_INSTALL",
            "DENO_DIR",
            "DENO_INSTALL",
            "GEM_HOME",
            "GEM_PATH",
            "RBENV_ROOT",
            "RBENV_VERSION",
            "ASDF_DIR",
            "ASDF_DATA_DIR",
            "MISE_DATA_DIR",
            "MISE_CONFIG_DIR",
            "DOTNET_ROOT",
            "OPAMROOT",
            "GHCUP_INSTALL_BASE_PREFIX",
            "CC",
            "CXX",
            "CFLAGS",
            "CXXFLAGS",
            "LDFLAGS",
            "CPATH",
            "LIBRARY_PATH",
            "LD_LIBRARY_PATH",
            "PKG_CONFIG_PATH",
            "CMAKE_PREFIX_PATH",
            "CMAKE_GENERATOR",
            "CUDA_HOME",
            "CUDA_VISIBLE_DEVICES",
            "HOMEBREW_PREFIX",
            "NIX_PATH",
            "NIX_PROFILES",
            "DOCKER_HOST",
            "DOCKER_CONFIG",
            "DOCKER_CONTEXT",
            "KUBECONFIG",
            "GIT_AUTHOR_*",
            "GIT_COMMITTER_*",
            "GIT_SSH",
            "GIT_SSH_COMMAND",
        ],
    ),
    (
        "proxies and certificates",
        &[
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "FTP_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "ftp_proxy",
            "all_proxy",
            "no_proxy",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "NIX_SSL_CERT_FILE",
            "CURL_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "GIT_SSL_CAINFO",
        ],
    ),
    (
        "agents and their providers",
        &[
            "ANTHROPIC_*",
            "CLAUDE_*",
            "API_TIMEOUT_MS",
            "MAX_THINKING_TOKENS",
            "DISABLE_AUTOUPDATER",
            "DISABLE_TELEMETRY",
            "OPENAI_*",
            "CODEX_*",
            "GEMINI_*",
            "GOOGLE_API_KEY",
            "GOOGLE_GENAI_*",
            "GOOGLE_CLOUD_*",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "CLOUD_ML_REGION",
            "VERTEX_*",
            "AWS_*",
            "AZURE_*",
            "OPENROUTER_*",
            "MISTRAL_*",
            "GROQ_*",
            "DEEPSEEK_*",
            "XAI_*",
            "COHERE_*",
            "TOGETHER_*",
            "FIREWORKS_*",
            "CEREBRAS_*",
            "MOONSHOT_*",
            "DASHSCOPE_*",
            "QWEN_*",
            "OLLAMA_*",
            "OPENCODE_*",
            "CURSOR_API_KEY",
            "AMP_*",
            "GH_TOKEN",
            "GH_HOST",
            "GITHUB_TOKEN",
            "GITLAB_TOKEN",
            "HF_TOKEN",
            "HF_HOME",
        ],
    ),
];

/// Never passed, also not by `--env-all`: what tells an agent that it runs inside another one's session, what belongs to
/// the attempt (the worker sets it anew), and what a shell keeps about itself. `--env KEY=VALUE` still sets any of them.
pub(crate) const NEVER: &[&str] = &[
    "QUEUE_*",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SKIP_PROMPT_HISTORY",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_JOB_DIR",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_*",
    "CODEX_THREAD_ID",
    "GEMINI_CLI",
    "QWEN_CODE",
    "OPENCODE",
    "OPENCODE_PID",
    "CURSOR_AGENT",
    "CURSOR_TRACE_ID",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
];

/// Renders the lists of `docs/reference/environment.md`.
#[must_use]
pub fn reference() -> String {
    let rows = PASSED
        .iter()
        .map(|(what, patterns)| (*what, *patterns))
        .chain([("never, also not with `--env-all`", NEVER)]);
    let mut page = String::from("| for | variables |\n|---|---|\n");
    for (what, patterns) in rows {
        page.push_str(&format!("| {what} | `{}` |\n", patterns.join("` `")));
    }
    page
}

/// A pattern of variable names, in which `*` stands for any letters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains(['=', '\0']) {
            return Err(format!(
                "`{text}` is no pattern of variable names: write `NAME`, `PREFIX_*` or `*_TOKEN`"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What is passed beside [`PASSED`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Widened<'a> {
    /// Everything that is not in [`NEVER`].
    pub(crate) all: bool,
    /// Everything that one of these matches and is not in [`NEVER`].
    pub(crate) patterns: &'a [Pattern],
}

/// Takes from `variables` what a job gets. Names that are not UTF-8 stay behind: no program of the lists has one.
pub(crate) fn capture<'a>(
    variables: impl IntoIterator<Item = (&'a OsString, &'a OsString)>,
    widened: &Widened<'_>,
) -> BTreeMap<String, RawText> {
    variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| is_passed(name, widened))
        .map(|(name, value)| (name.to_owned(), RawText::from(value.clone())))
        .collect()
}

fn is_passed(name: &str, widened: &Widened<'_>) -> bool {
    if name.is_empty() || NEVER.iter().any(|pattern| matches(pattern, name)) {
        return false;
    }
    widened.all
        || widened
            .patterns
            .iter()
            .any(|pattern| matches(&pattern.0, name))
        || PASSED
            .iter()
            .flat_map(|(_, patterns)| *patterns)
            .any(|pattern| matches(pattern, name))
}

/// Matches a whole name against a pattern with `*` and `?`, by going back to the last `*` at most.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&letter) if letter == b'?' || letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    p = *at + 1;
                    n = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&letter| letter == b'*')
}

/// Finds a program as the job will look for it: `program` as it is where it has a slash (seen from `cwd`), else in the
/// directories of `path`.
pub(crate) fn is_program_there(
    program: &OsStr,
    path: Option<&OsStr>,
    cwd: &std::path::Path,
) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    if program.as_bytes().contains(&b'/') {
        return is_executable(&cwd.join(program));
    }
    std::env::split_paths(path.unwrap_or_default())
        .any(|folder| is_executable(&cwd.join(folder).join(program)))
}

fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn captured(names: &[&str], widened: &Widened<'_>) -> Vec<String> {
        let variables: HashMap<OsString, OsString> = names
            .iter()
            .map(|name| (name.into(), "value".into()))
            .collect();
        capture(&variables, widened).into_keys().collect()
    }

    #[test]
    fn a_job_gets_what_programs_need_and_nothing_of_the_session() {
        let got = captured(
            &[
                "PATH",
                "LC_ALL",
                "ANTHROPIC_API_KEY",
                "CLAUDE_CONFIG_DIR",
                "https_proxy",
                "NVM_DIR",
                "SECRET_OF_MINE",
                "CLAUDECODE",
                "CLAUDE_CODE_ENTRYPOINT",
                "QUEUE_JOB_ID",
                "QUEUE_DB",
                "GIT_DIR",
                "GIT_INDEX_FILE",
                "MAKEFLAGS",
            ],
            &Widened::default(),
        );
        assert_eq!(
            got,
            [
                "ANTHROPIC_API_KEY",
                "CLAUDE_CONFIG_DIR",
                "LC_ALL",
                "NVM_DIR",
                "PATH",
                "https_proxy"
            ]
        );
    }

    #[test]
    fn the_list_is_widened_by_pattern_or_to_all_but_never_to_the_session() {
        let names = [
            "SECRET_OF_MINE",
            "OTHER",
            "CLAUDECODE",
            "QUEUE_EPOCH",
            "PWD",
        ];
        let patterns = ["SECRET_*".parse().unwrap(), "CLAUDE*".parse().unwrap()];
        let some = Widened {
            all: false,
            patterns: &patterns,
        };
        assert_eq!(captured(&names, &some), ["SECRET_OF_MINE"]);
        let all = Widened {
            all: true,
            patterns: &[],
        };
        assert_eq!(captured(&names, &all), ["OTHER", "SECRET_OF_MINE"]);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("A*", "A", true),
            ("A*", "AB_C", true),
            ("A*", "BA", false),
            ("*_TOKEN", "GH_TOKEN", true),
            ("*_TOKEN", "GH_TOKEN_2", false),
            ("*A*B", "xAyAzB", true),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!("A=B".parse::<Pattern>().is_err());
    }

    #[test]
    fn a_program_is_looked_for_as_the_job_will() {
        let cwd = std::path::Path::new("/");
        let there =
            |program: &str| is_program_there(program.as_ref(), Some("/usr/bin:/bin".as_ref()), cwd);
        assert!(there("sh") && there("/bin/sh") && there("bin/sh"));
        assert!(!there("no-such-program-here") && !there("/etc/passwd"));
    }
}
