//! How an agent is called, and what is refused before it is.

use support::test_env;

use crate::scene::{calls, with_agent};

#[test]
fn an_agent_gets_its_prompt_its_options_and_a_session_that_is_stored() {
    let env = with_agent(test_env!(), "claude", "ok");
    env.file("TASK.md", "# Task\nfix {prompt} it\n");
    let job = env.enqueue(&[
        "--agent",
        "claude",
        "--prompt-file",
        "TASK.md",
        "--model",
        "opus",
        "--allowed-tools",
        "Edit",
        "--allowed-tools",
        "Bash(git diff:*)",
        "--max-turns",
        "9",
        "--",
        "--add-dir",
        "/srv",
    ]);
    // What the file says later is no matter of the job.
    env.file("TASK.md", "something else");
    env.drain();
    let calls = calls(&env);
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].input, "# Task\nfix {prompt} it\n");
    let shown = env.show(job);
    let session = shown["attempts"][0]["session_id"].as_str().unwrap();
    assert_eq!(session.len(), 36, "{session}");
    assert_eq!(
        calls[0].args,
        [
            "-p",
            "--output-format=stream-json",
            "--verbose",
            &format!("--session-id={session}"),
            "--model=opus",
            "--allowedTools=Edit,Bash(git diff:*)",
            "--max-turns=9",
            "--add-dir",
            "/srv"
        ]
    );
    assert_eq!(shown["attempts"][0]["rung"], "cold");
    assert_eq!(shown["prompt"], "# Task\nfix {prompt} it\n");
    assert_eq!(shown["agent"]["prompt"], "# Task …");
    assert!(
        !env.qcli(&["list", "--all", "--json"])
            .ok()
            .stdout
            .contains("fix {prompt} it")
    );
}

#[test]
fn nothing_of_another_agents_session_gets_in_and_the_path_is_the_enqueuers() {
    // A1, A2
    let env = with_agent(test_env!(), "claude", "ok");
    let mut command = env.command(&["enqueue", "--agent", "claude", "--prompt", "x", "--env-all"]);
    command.envs([
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_SESSION_ID", "theirs"),
        ("CLAUDE_CONFIG_DIR", "/srv/claude"),
    ]);
    env.run(command).ok();
    // A worker with a bare PATH, itself inside somebody's session.
    let mut worker = env.worker_command(&["--drain"]);
    worker
        .env("PATH", "/usr/bin:/bin")
        .env("CLAUDECODE", "1")
        .env("SECRET_OF_WORKER", "1");
    env.run(worker).ok();
    let calls = calls(&env);
    let names: Vec<_> = calls[0]
        .env
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let has = |name: &str| names.iter().any(|(known, _)| *known == name);
    assert!(!has("CLAUDECODE") && !has("CLAUDE_CODE_SESSION_ID") && !has("SECRET_OF_WORKER"));
    assert!(
        has("CLAUDE_CONFIG_DIR") && has("DISABLE_AUTOUPDATER"),
        "{names:?}"
    );
}

#[test]
fn a_profile_is_another_account() {
    let env = with_agent(test_env!(), "claude", "ok");
    let config = env.root().join("home/config/qcli");
    std::fs::create_dir_all(&config).unwrap();
    env.qcli(&[
        "enqueue",
        "--agent",
        "claude",
        "--prompt",
        "x",
        "--profile",
        "work",
    ])
    .exits(2)
    .says("[agents.claude.profiles]");
    let text = "[agents.claude.profiles]\nwork = '~/.claude-work'\n";
    std::fs::write(config.join("agents.toml"), text).unwrap();
    env.enqueue(&["--agent", "claude", "--prompt", "x", "--profile", "work"]);
    env.drain();
    let directory = env.root().join("home/.claude-work");
    let line = format!("CLAUDE_CONFIG_DIR={}", directory.display());
    assert!(calls(&env)[0].env.lines().any(|known| known == line));
}

#[test]
fn a_prompt_that_cannot_be_used_is_refused_at_once() {
    let env = with_agent(test_env!(), "claude", "ok");
    let refused = |args: &[&str], words: &str| {
        let args: Vec<_> = ["enqueue", "--agent", "claude"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        env.qcli(&args).exits(2).says(words);
    };
    refused(&[], "nothing says what claude shall do");
    refused(&["--prompt-file", "no.md"], "no.md");
    env.file("empty.md", " \n");
    refused(&["--prompt-file", "empty.md"], "is empty");
    refused(&["--prompt", ""], "is empty");
    refused(&["--prompt", "a", "--shell", "b"], "does not go together");
    env.qcli(&["enqueue", "--agent", "cloude", "--prompt", "x"])
        .exits(2)
        .says("there is no agent `cloude`");
    env.qcli(&["enqueue", "--model", "opus", "--", "make"])
        .exits(2)
        .says("--model says nothing without an agent");
    for piped in [&["-"][..], &["--prompt", "-"], &["--prompt-file", "-"]] {
        let args = [&["enqueue", "--agent", "claude"], piped].concat();
        let id = env.qcli_with_input(&args, "from a pipe").ok().id();
        assert_eq!(env.show(id)["prompt"], "from a pipe", "{piped:?}");
    }
}

#[test]
fn an_agent_that_is_not_installed_is_warned_of_and_fails_with_a_clear_class() {
    let env = test_env!();
    let job = env
        .qcli(&["enqueue", "--agent", "goose", "--prompt", "x"])
        .ok()
        .says("`goose` is not in the PATH")
        .id();
    env.drain();
    let shown = env.show(job);
    assert_eq!(
        (shown["state"].as_str(), shown["class"].as_str()),
        (Some("failed"), Some("spawn_failed"))
    );
    env.qcli(&["agent", "test", "goose"]).exits(1);
}

#[test]
fn a_stray_key_is_warned_of_without_its_value() {
    let env = with_agent(test_env!(), "claude", "ok").with("ANTHROPIC_API_KEY", "hunter2");
    let outcome = env
        .qcli(&["enqueue", "--agent", "claude", "--prompt", "x"])
        .ok();
    outcome.says("ANTHROPIC_API_KEY is set");
    let test = env.qcli(&["agent", "test", "claude"]).ok();
    assert!(!test.stdout.contains("hunter2"));
}

#[test]
fn a_plain_command_line_of_an_agent_is_recognised_and_stays_as_it_is() {
    let env = with_agent(test_env!(), "claude", "ok");
    let words = [
        "--",
        "claude",
        "-p",
        "--output-format",
        "stream-json",
        "fix it",
    ];
    let job = env.enqueue(&words);
    let plain: Vec<_> = ["--no-adapter"].iter().chain(&words).copied().collect();
    let other = env.enqueue(&plain);
    env.drain();
    assert_eq!(
        calls(&env)[0].args,
        ["-p", "--output-format", "stream-json", "fix it"]
    );
    assert_eq!(env.show(job)["options"]["agent"], "claude");
    assert!(env.show(other)["options"]["agent"].is_null());
}

#[test]
fn a_file_of_tasks_and_an_edit_say_what_an_agent_shall_do() {
    let env = with_agent(test_env!(), "claude", "ok");
    let lines = "{\"agent\":\"claude\",\"prompt\":\"one\",\"max_turns\":3,\"argv\":[\"--verbose\"]}\n\
                 {\"prompt\":\"two\",\"model\":\"sonnet\"}\n";
    env.file("tasks.jsonl", lines);
    env.qcli(&[
        "enqueue",
        "--from-file",
        "tasks.jsonl",
        "--agent",
        "claude",
        "--model",
        "opus",
    ])
    .ok();
    let (one, two) = (env.show(1), env.show(2));
    assert_eq!(
        (&one["prompt"], &one["agent"]["max_turns"]),
        (&"one".into(), &3.into())
    );
    assert_eq!(
        (&two["prompt"], &two["agent"]["model"]),
        (&"two".into(), &"sonnet".into())
    );
    env.qcli(&["edit", "2", "--prompt", "three", "--max-turns", "4"])
        .ok();
    let two = env.show(2);
    assert_eq!(
        (
            &two["prompt"],
            &two["agent"]["model"],
            &two["agent"]["max_turns"]
        ),
        (&"three".into(), &"sonnet".into(), &4.into())
    );
    env.qcli(&["edit", "2", "--agent", "cloude"]).exits(2);
    env.qcli(&["edit", "2", "--", "make"]).ok();
    assert_eq!(env.show(2)["argv"][0], "make");
    env.qcli(&["edit", "2", "--prompt", "x"])
        .exits(2)
        .says("without an agent");
}

#[test]
fn a_broken_agents_file_is_told_where_agents_are_named_and_nowhere_else() {
    let env = with_agent(test_env!(), "claude", "ok");
    let config = env.root().join("home/config/qcli");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(
        config.join("agents.toml"),
        "[agents.claude]\nprogam = 'x'\n",
    )
    .unwrap();
    env.qcli(&["enqueue", "--agent", "claude", "--prompt", "x"])
        .exits(2)
        .says("unknown field `progam`");
    env.qcli(&["agent", "list"]).exits(2).says("agents.toml");
    let job = env.enqueue(&["--", "true"]);
    env.drain();
    assert_eq!(env.state(job), "completed");
}
