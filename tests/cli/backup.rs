//! `qcli backup`: a copy that is a store itself.

#[test]
fn a_copy_is_a_store_and_nothing_is_overwritten() {
    let env = support::test_env!();
    env.enqueue(&["-n", "kept", "--", "true"]);
    env.qcli(&["backup", "copy.db"]).ok().says("copy.db");
    env.enqueue(&["--", "true"]);
    env.qcli(&["--db", "copy.db", "list"]).ok().prints("kept");
    assert_eq!(
        env.json(&["--db", "copy.db", "list"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    env.file("precious", "x");
    env.qcli(&["backup", "precious"])
        .exits(4)
        .says("is not overwritten");
    assert_eq!(env.read("precious"), "x");
}
