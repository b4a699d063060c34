//! A home with an agent in its PATH, and what that agent was called with.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::TestEnv;

/// What Claude Code writes, as functions of shell: `init`, `ok`, and `limit UNTIL` in seconds since
/// 1970. Shapes of version 2.1.300.
const CLAUDE: &str = r#"
init() {
    echo "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"$s\",\"model\":\"opus\",\"claude_code_version\":\"2.1.300\"}"
}
ok() {
    init
    echo "{\"type\":\"assistant\",\"message\":{\"id\":\"m$n\",\"model\":\"opus\",\"content\":[{\"type\":\"text\",\"text\":\"done\"}],\"usage\":{\"input_tokens\":10,\"output_tokens\":5}},\"session_id\":\"$s\"}"
    echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"num_turns\":1,\"result\":\"done\",\"session_id\":\"$s\",\"total_cost_usd\":0.25,\"usage\":{\"input_tokens\":10,\"output_tokens\":5},\"modelUsage\":{\"opus\":{\"inputTokens\":10,\"outputTokens\":5,\"costUSD\":0.25}},\"permission_denials\":[]}"
}
limit() {
    init
    echo "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\",\"resetsAt\":$1,\"rateLimitType\":\"five_hour\"},\"session_id\":\"$s\"}"
    echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"terminal_reason\":\"api_error\",\"api_error_status\":429,\"num_turns\":1,\"total_cost_usd\":0,\"result\":\"You've hit your session limit\",\"session_id\":\"$s\"}"
    exit 1
}
"#;

/// Puts a program of that name in front of the PATH that jobs get. It notes its arguments, one a
/// line, its standard input and its environment in `calls/N.{args,input,env}`, and goes on with
/// these lines of shell, in which `$n` is the number of the call.
pub(crate) fn with_agent(env: TestEnv, name: &str, lines: &str) -> TestEnv {
    let bin = env.root().join("bin");
    let calls = env.root().join("calls");
    fs::create_dir_all(&bin).expect("a fresh directory can be written");
    fs::create_dir_all(&calls).expect("a fresh directory can be written");
    let calls = calls.display();
    let script = format!(
        "#!/bin/sh\nn=1; while ! mkdir {calls}/$n 2>/dev/null; do n=$((n + 1)); done\n\
         env > {calls}/$n/env; cat > {calls}/$n/input\n\
         s=; for word; do printf '%s\\n' \"$word\"; case $word in --session-id=*|--resume=*) \
         s=${{word#*=}};; esac; done > {calls}/$n/args\n{CLAUDE}{lines}\n"
    );
    let program = bin.join(name);
    fs::write(&program, script).expect("a fresh directory can be written");
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755))
        .expect("a fresh directory can be written");
    let path = std::env::var("PATH").unwrap_or_default();
    env.with("PATH", &format!("{}:{path}", bin.display()))
}

/// What an agent was called with.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) args: Vec<String>,
    pub(crate) input: String,
    pub(crate) env: String,
}

impl Call {
    /// The value of `--name=value` among the arguments.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = |arg: &'_ String| Some(arg.strip_prefix(name)?.strip_prefix('=')?.len());
        let found = self.args.iter().find(|arg| value(arg).is_some())?;
        found.split_once('=').map(|(_, value)| value)
    }
}

/// The calls there were, the first one first.
pub(crate) fn calls(env: &TestEnv) -> Vec<Call> {
    let read = |n: usize| {
        let place = env.root().join(format!("calls/{n}"));
        Some(Call {
            args: fs::read_to_string(place.join("args"))
                .ok()?
                .lines()
                .map(str::to_owned)
                .collect(),
            input: fs::read_to_string(place.join("input")).ok()?,
            env: fs::read_to_string(place.join("env")).ok()?,
        })
    };
    (1..).map_while(read).collect()
}
