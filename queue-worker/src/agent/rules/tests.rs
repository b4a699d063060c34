//! What a file of rules may say, and what is said about one that makes no sense.

use std::error::Error as _;

use super::*;

fn with(text: &str) -> Result<Rules, RulesError> {
    Rules::built_in().with(text, Path::new("/home/me/rules.toml"))
}

fn ids(rules: &Rules) -> Vec<&str> {
    rules.iter().map(|rule| rule.id.as_str()).collect()
}

#[test]
fn the_built_in_rules_make_sense_and_every_one_says_why_it_is_there() {
    let rules = Rules::built_in();
    assert!(rules.version > 0);
    assert!(rules.iter().all(|rule| !rule.note.is_empty()));
    let mut names = ids(&rules);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.iter().count(), "ids are unique");
    for outcome in Judged::ALL {
        assert!(
            rules.iter().any(|rule| rule.outcome == outcome),
            "no rule gives {outcome}"
        );
    }
}

#[test]
fn a_known_id_is_replaced_in_its_place() {
    let rules = with(
        r#"[[rule]]
           id = "claude-429"
           agents = ["claude"]
           where = ["result"]
           when = [{ status = [429] }]
           outcome = "limit""#,
    );
    let rules = rules.unwrap();
    assert_eq!(ids(&rules), ids(&Rules::built_in()));
    let rule = rules.iter().find(|rule| rule.id == "claude-429").unwrap();
    assert_eq!(rule.outcome, Judged::Limit);
    assert_eq!(rule.from.as_deref(), Some(Path::new("/home/me/rules.toml")));
}

#[test]
fn new_rules_go_in_their_order_before_all_that_look_at_words() {
    let rule = |id: &str, more: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\nagents = [\"any\"]\nwhere = [\"stderr\"]\noutcome = \"auth\"\n\
             when = [{{ contains = [\"x\"] }}]\n{more}\n"
        )
    };
    let text = [
        rule("mine", ""),
        rule("late", "before = \"any-crash\""),
        rule("too", ""),
    ]
    .concat();
    let rules = with(&text).unwrap();
    let names = ids(&rules);
    let place = |id: &str| names.iter().position(|name| *name == id).unwrap();
    assert_eq!(place("too"), place("mine") + 1);
    assert_eq!(place("late"), place("any-crash") - 1);
    assert!(place("killed") + 1 == place("mine") && place("mine") < place("claude-throttle"));
}

#[test]
fn exit_codes_of_plain_commands_get_a_meaning() {
    let rules = with("[exit_codes]\n75 = \"transient\"\n77 = \"auth\"\n").unwrap();
    let rule = rules.iter().find(|rule| rule.id == "exit-77").unwrap();
    assert_eq!(
        (
            rule.outcome,
            rule.is_for(SHELL, None),
            rule.is_for("claude", None)
        ),
        (Judged::Auth, true, false)
    );
}

#[test]
fn a_rule_holds_for_the_versions_it_names() {
    let text = "[[rule]]\nid = \"a\"\nagents = [\"claude\"]\nwhen = [{ exit = [3] }]\noutcome = \"auth\"\n\
                since = \"2.1.9\"\nuntil = \"2.1.240\"\n";
    let rules = with(text).unwrap();
    let rule = rules.iter().find(|rule| rule.id == "a").unwrap();
    let holds = |version| rule.is_for("claude", version);
    assert!(holds(Some("2.1.10")) && holds(Some("2.1.240")) && holds(None));
    assert!(!holds(Some("2.1.8")) && !holds(Some("2.1.241")) && !holds(Some("2.2.0")));
}

#[test]
fn an_error_names_file_rule_and_what_is_wrong() {
    let rule = |more: &str| format!("[[rule]]\nid = \"mine\"\n{more}");
    let body = "agents = [\"claude\"]\noutcome = \"auth\"\nwhere = [\"stderr\"]\n";
    for (text, expected) in [
        (
            rule("agents = [\"claude\"]\nwhen = [{ exit = [1] }]"),
            "it has no `outcome`",
        ),
        (
            rule("outcome = \"auth\"\nwhen = [{ exit = [1] }]"),
            "it has no `agents`",
        ),
        (rule(body), "it has no `when`"),
        (
            rule(&format!("{body}when = [{{}}]")),
            "would fit every attempt",
        ),
        (
            rule(&format!("{body}when = [{{ matches = [\"(\"] }}]")),
            "`(` is not a regular expression",
        ),
        (
            rule(&format!("{body}when = [{{ contains = [\"@nothing\"] }}]")),
            "no list of texts `nothing`",
        ),
        (
            rule(&format!("{body}when = [{{ exits = [1] }}]")),
            "unknown field `exits`",
        ),
        (
            rule(&format!(
                "{body}when = [{{ exit = [1] }}]\nbefore = \"nobody\""
            )),
            "no rule `nobody`",
        ),
        (
            rule("agents = [\"claude\"]\noutcome = \"limits\"\nwhen = [{ exit = [1] }]"),
            "unknown variant `limits`",
        ),
        (
            rule("agents = [\"claude\"]\noutcome = \"auth\"\nwhen = [{ contains = [\"x\"] }]"),
            "`where` names none",
        ),
        (rule("enabled = false"), "no rule `mine`"),
    ] {
        let error = with(&text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot use the rules in /home/me/rules.toml, rule `mine`",
            "{text}"
        );
        let problem = error.source().unwrap().to_string();
        assert!(problem.contains(expected), "{text}\n{problem}");
    }
    let twice = format!("{}\n{}", rule("outcome = \"auth\""), "");
    assert!(with(&twice).is_err());
    let error = with("rules = 3").unwrap_err();
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("unknown field `rules`")
    );
    assert!(with("[exit_codes]\n300 = \"auth\"").is_err());
}

#[test]
fn every_agent_that_a_rule_names_is_one_that_can_be_asked_for() {
    let adapters = crate::agent::adapter::Adapters::built_in();
    for rule in Rules::built_in().iter() {
        for name in &rule.agents {
            let is_known = [SHELL, "any"].contains(&name.as_str()) || adapters.get(name).is_ok();
            assert!(is_known, "rule `{}` is for `{name}`", rule.id);
        }
    }
}
