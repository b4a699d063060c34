//! Tables on terminals of different widths.

use regex::Regex;
use support::TestEnv;

/// A store in which every table has something to show, and jobs of each sort.
fn filled() -> TestEnv {
    let env = support::test_env!().with("NO_COLOR", "1");
    env.qcli(&[
        "limit",
        "set",
        "provider-api",
        "--rate",
        "60/min",
        "--burst",
        "10",
    ])
    .ok();
    env.qcli(&["queue", "set", "nightly-builds", "--concurrency", "3"])
        .ok();
    env.enqueue(&[
        "--queue",
        "nightly-builds",
        "--name",
        "release",
        "--",
        "sh",
        "-c",
        "exit 127",
    ]);
    env.drain();
    env.enqueue(&[
        "--after",
        "release",
        "--limit",
        "provider-api=2",
        "--",
        "make",
        "-j8",
        "all",
    ]);
    env.enqueue(&[
        "--hold",
        "--shell",
        "find . -name '*.rs' | xargs wc -l | sort -n | tail -20",
    ]);
    env.qcli(&["queue", "pause", "nightly-builds"]).ok();
    env
}

/// The lines of the tables: not the path of the store, which differs from run to run.
fn tables(env: &TestEnv, columns: u16, args: &[&str]) -> String {
    let shown = env.on_terminal(columns, args);
    let ages = Regex::new(r"(now|\d+ (s|min) ago)$").expect("the pattern is a constant");
    let lines = shown
        .lines()
        .filter(|line| !line.contains(&*env.root().to_string_lossy()));
    lines
        .map(|line| format!("{}\n", ages.replace(line, "AGE")))
        .collect()
}

#[test]
fn what_a_table_leaves_out_depends_on_the_width_of_the_terminal() {
    let env = filled();
    for columns in [60, 80, 120] {
        let shown: String = [&["status"][..], &["queue", "list"], &["limit", "list"]]
            .iter()
            .map(|args| {
                format!(
                    "$ qcli {}\n{}\n",
                    args.join(" "),
                    tables(&env, columns, args)
                )
            })
            .collect();
        insta::assert_snapshot!(format!("tables_at_{columns}"), shown);
    }
}

#[test]
fn no_table_is_wider_than_its_terminal_and_no_heading_is_cut() {
    let env = filled();
    let heading = Regex::new(r"^ *[A-Z#]+(  +[A-Z% ]+)+$").unwrap();
    let tables = [
        &["status"][..],
        &["list"],
        &["failed"],
        &["workers", "--all"],
        &["queue", "list"],
        &["limit", "list"],
        &["show", "1"],
    ];
    for columns in [40, 60, 80, 120] {
        for args in tables {
            let shown = env.on_terminal(columns, args);
            let mut rows = shown
                .lines()
                .skip_while(|line| !heading.is_match(line))
                .take_while(|line| !line.is_empty() && !line.starts_with("note:"))
                .peekable();
            assert!(rows.peek().is_some(), "{args:?} at {columns}:\n{shown}");
            for line in rows {
                assert!(
                    line.chars().count() <= usize::from(columns),
                    "{args:?} at {columns}: {line}\n{shown}"
                );
            }
        }
    }
}
