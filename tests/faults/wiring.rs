//! The failpoints are there for these tests, and nowhere in the product.

use std::{path::Path, process::Command};

/// The features of `queue-core` in what cargo builds for `packages`.
fn features_of_core(packages: &[&str]) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args([
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--format",
        "{p} [{f}]",
    ]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    let output = cargo.output().unwrap();
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let of_core: Vec<_> = tree
        .lines()
        .filter(|line| line.contains("queue-core"))
        .collect();
    assert!(!of_core.is_empty(), "{tree}");
    of_core.join("\n")
}

#[test]
fn the_product_is_built_without_failpoints() {
    let product = features_of_core(&["queue-core", "queue-worker", "queue-cli"]);
    assert!(!product.contains("failpoints"), "{product}");
    // The same question finds them where they are.
    let tests = features_of_core(&["queue-tests"]);
    assert!(tests.contains("failpoints"), "{tests}");
}
