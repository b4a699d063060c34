//! `qcli cost` and `qcli budget` where nothing was spent yet; `tests/agents` has what agents cost.

use support::test_env;

#[test]
fn nothing_spent_is_said_and_is_a_zero_that_is_known() {
    let env = test_env!();
    env.qcli(&["enqueue", "--", "true"]).ok();
    env.qcli(&["cost"])
        .ok()
        .says("no agent has cost anything in that time");
    let costs = env.json(&["cost", "--by", "model"]);
    assert_eq!(
        (&costs["by"], &costs["rows"]),
        (&"model".into(), &serde_json::json!([]))
    );
    assert_eq!(
        (&costs["total"]["cost_usd"], &costs["total"]["attempts"]),
        (&0.0.into(), &0.into())
    );
    env.qcli(&["cost", "--by", "week"])
        .exits(2)
        .says("day, model, agent, queue, tag, job");
}

#[test]
fn a_budget_is_set_listed_changed_and_removed() {
    let env = test_env!().with("TZ", "America/Santiago");
    env.qcli(&["enqueue", "--", "true"]).ok();
    env.qcli(&["budget"]).ok().says("no budget is set");
    env.qcli(&[
        "budget",
        "set",
        "--queue",
        "nightly",
        "--max-cost",
        "20usd",
        "--max-tokens",
        "5M",
    ])
    .ok()
    .says("budget queue:nightly: $0.00 of $20.00, 0 of 5M tokens for agents in queue nightly");
    env.qcli(&[
        "budget",
        "set",
        "--tag",
        "team=web",
        "--max-tokens",
        "2k",
        "--per",
        "ever",
        "--zone",
        "UTC",
    ])
    .ok()
    .says("budget tag:team=web/ever: 0 of 2k tokens for agents with team=web, for ever");
    let list = env.json(&["budget", "list"]);
    let nightly = &list[0];
    assert_eq!(
        (
            &nightly["name"],
            &nightly["max_cost_usd"],
            &nightly["max_tokens"],
            &nightly["zone"]
        ),
        (
            &"queue:nightly".into(),
            &20.0.into(),
            &5_000_000.into(),
            &"America/Santiago".into()
        )
    );
    assert_eq!(
        (&nightly["per"], &nightly["used_up"]),
        (&"day".into(), &false.into())
    );
    assert!(nightly["begins_anew_at"].is_string());
    assert!(list[1]["begins_anew_at"].is_null(), "{list:#}");
    let table = env.qcli(&["budget", "list"]).ok().stdout;
    assert!(
        table.contains("(America/Santiago)") && table.contains("never"),
        "{table}"
    );
    // What is not named of one that is there stays.
    env.qcli(&[
        "budget",
        "set",
        "queue:nightly",
        "--max-cost",
        "30",
        "--hard",
    ])
    .ok()
    .says("$0.00 of $30.00, 0 of 5M tokens for agents in queue nightly");
    env.qcli(&["budget", "set", "queue:nightly", "--max-cost", "31"])
        .ok();
    assert_eq!(env.json(&["budget", "list"])[0]["hard"], true);
    env.qcli(&["budget", "set", "queue:nightly", "--no-hard"])
        .ok();
    assert_eq!(env.json(&["budget", "list"])[0]["hard"], false);
    env.qcli(&["budget", "rm", "queue:nightly"])
        .ok()
        .says("budget queue:nightly is removed");
    env.qcli(&["budget", "rm", "queue:nightly"])
        .exits(3)
        .says("there is no budget");
    env.qcli(&["budget", "set"])
        .exits(2)
        .says("how much budget `all` is, is not said");
    env.qcli(&["budget", "set", "a b", "--max-cost", "1"])
        .exits(2)
        .says("without spaces");
    env.qcli(&["budget", "set", "--max-cost", "1", "--zone", "Mars/Olympus"])
        .exits(2)
        .says("no zone");
}
