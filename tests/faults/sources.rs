//! Rules that every source file keeps, because no test of behaviour meets each breach of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The sources of the product, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for package in ["queue-core", "queue-worker", "queue-cli"] {
        collect(&workspace.join(package).join("src"), &mut found);
    }
    assert!(
        found.len() > 80,
        "{} files are not the product",
        found.len()
    );
    (found.into_iter())
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
            (path.strip_prefix(workspace).unwrap().to_owned(), product)
        })
        .collect()
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|end| end == "rs" || end == "sql")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The lines, but for comments, that `is_so` picks out of files that are not `allowed`.
fn breaches(allowed: &[&str], is_so: impl Fn(&str) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        if allowed.iter().any(|allowed| path.ends_with(allowed)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.starts_with("//") && !line.starts_with("--") && is_so(line) {
                breaches.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    breaches
}

/// What opens, reads, writes, copies, moves or removes a file.
const FILE_VERBS: &[&str] = &[
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions::new",
    "fs::read",
    "fs::write",
    "fs::copy",
    "fs::rename",
    "fs::hard_link",
    "fs::remove_file",
    "fs::OpenOptions",
    "read_to_string(",
    "rustix::fs::open",
    "mmap",
];

#[test]
fn nobody_but_sqlite_opens_the_database() {
    // T54: inside the engine each file that uses the file system is known.
    let known = [
        // Makes the empty file under another name and links it into place.
        "store/sqlite/connection.rs",
        // Opens the wake file, which no lock is on.
        "store/sqlite.rs",
        // Makes the empty target of a backup, which must not exist before.
        "store/sqlite/upkeep.rs",
        // Asks whether the disk has room, with a file of its own that is gone at once.
        "store/sqlite/fault.rs",
    ];
    let in_engine = breaches(&known, |line| {
        FILE_VERBS.iter().any(|verb| line.contains(verb))
    });
    let in_engine: Vec<_> = (in_engine.iter())
        .filter(|line| line.starts_with("queue-core/src/store"))
        .collect();
    assert!(in_engine.is_empty(), "{in_engine:#?}");

    // Elsewhere nobody hands the store's path to such a verb.
    let names_store = |line: &str| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let is_name = |word| matches!(word, "db" | "db_path" | "store" | "database" | "store_path");
        words.into_iter().any(is_name)
    };
    let elsewhere = breaches(&known, |line| {
        FILE_VERBS.iter().any(|verb| line.contains(verb)) && names_store(line)
    });
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    let side_files = breaches(&[], |line| {
        line.contains("-shm\"") || line.contains("-wal\"")
    });
    let opened: Vec<_> = (side_files.iter())
        .filter(|line| FILE_VERBS.iter().any(|verb| line.contains(verb)))
        .collect();
    assert!(opened.is_empty(), "{opened:#?}");
}

#[test]
fn whoever_reads_to_write_locks_first() {
    // T58: a deferred transaction that turns into a write fails at once when another one wrote
    // meanwhile, whatever the busy handler says.
    let known = [
        // Readers, whose connections cannot write.
        "store/sqlite/pool.rs",
        // One look before anything is set.
        "store/sqlite/migrate.rs",
    ];
    let deferred = breaches(&known, |line| {
        let line = line.to_lowercase();
        // The word alone, or with another kind of transaction; not `begins`, not `begin_session`.
        let begins = ["\"begin\"", "\"begin;", "\"begin "];
        (begins.iter().any(|word| line.contains(word)) && !line.contains("begin immediate"))
            || line.contains("begin deferred")
            || line.contains("transactionbehavior::deferred")
            || line.contains(".transaction()")
            || line.contains("unchecked_transaction")
    });
    assert!(deferred.is_empty(), "{deferred:#?}");
}

#[test]
fn every_connection_is_opened_where_its_settings_are_applied() {
    // T56, T61: foreign keys are off in SQLite unless each connection turns them on.
    let known = [
        "store/sqlite/connection.rs",
        // The target of a backup, which no job is read from.
        "store/sqlite/upkeep.rs",
    ];
    let others = breaches(&known, |line| line.contains("Connection::open"));
    assert!(others.is_empty(), "{others:#?}");
    let pool = sources()
        .into_iter()
        .find(|(path, _)| path.ends_with("store/sqlite/pool.rs"))
        .unwrap()
        .1;
    assert!(
        pool.contains("connection::configure("),
        "readers are set up like the writer"
    );
}
