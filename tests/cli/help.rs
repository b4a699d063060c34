//! The help of every verb, word for word.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p queue-tests --test cli help`.

use support::TestEnv;

/// All verbs, those below others behind them: `queue`, `queue list` …
fn verbs(command: &clap::Command, above: &str, found: &mut Vec<String>) {
    for verb in command.get_subcommands() {
        let name = format!("{above} {}", verb.get_name()).trim().to_owned();
        found.push(name.clone());
        verbs(verb, &name, found);
    }
}

/// The help without the options that every verb has: these stand in the help of `qcli` itself.
fn own_help(env: &TestEnv, verb: &str) -> String {
    let args: Vec<_> = verb.split(' ').chain(["--help"]).collect();
    let help = env.qcli(&args).ok().stdout;
    let (before, globals) = help
        .split_once("Global options:")
        .unwrap_or_else(|| panic!("the help of {verb} has no global options"));
    let after = globals
        .split_once("even more\n")
        .map_or("", |(_, after)| after);
    format!("{before}{}", after.trim_start())
}

#[test]
fn the_help_of_every_verb_stays_as_it_was_agreed() {
    let env = support::test_env!();
    let mut found = Vec::new();
    verbs(&queue_cli::command(), "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    insta::assert_snapshot!("qcli", env.qcli(&["--help"]).ok().stdout);
    for verb in found {
        insta::assert_snapshot!(verb.replace(' ', "_"), own_help(&env, &verb));
    }
}

#[test]
fn every_verb_shows_how_it_is_used() {
    let env = support::test_env!();
    for verb in queue_cli::command().get_subcommands() {
        let name = verb.get_name();
        let help = own_help(&env, name);
        assert!(
            help.contains(&format!("\n  qcli {name}")) || help.contains(&format!("qcli {name} ")),
            "{help}"
        );
        assert!(
            help.contains("Examples:"),
            "qcli {name} has no examples\n{help}"
        );
    }
}
