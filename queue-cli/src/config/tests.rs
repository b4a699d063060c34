//! Which setting wins, and what is refused.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::output::color::Paint;

/// A home with a project in it; nothing of the real one is seen.
struct Home {
    _root: TempDir,
    around: Surroundings,
}

impl Home {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let home = fs::canonicalize(root.path()).unwrap();
        let cwd = home.join("project/src");
        fs::create_dir_all(&cwd).unwrap();
        let around = Surroundings {
            cwd,
            variables: HashMap::new(),
            config_home: Some(home.join("config")),
            data_home: Some(home.join("data")),
            home: Some(home),
        };
        Self {
            _root: root,
            around,
        }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.around.home.as_ref().unwrap().join(inside)
    }

    fn write(&self, inside: &str, text: &str) -> PathBuf {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn set(&mut self, name: &str, value: &str) {
        self.around.variables.insert(name.into(), value.into());
    }

    fn load(&self, args: &GlobalArgs) -> Result<Config, CliError> {
        Config::load(args, &self.around)
    }

    fn store(&self) -> Setting<StoreLocation> {
        self.load(&GlobalArgs::default()).unwrap().store
    }

    /// Loads without flags and gives the words of the error.
    fn refusal(&self) -> String {
        let error = self.load(&GlobalArgs::default()).unwrap_err();
        assert_eq!(error.exit_code().number(), 2);
        error.render(Paint::plain())
    }
}

fn db(text: &str) -> GlobalArgs {
    GlobalArgs {
        db: Some(text.to_owned()),
        ..GlobalArgs::default()
    }
}

#[test]
fn the_store_is_named_by_flag_then_variable_then_project_then_user_then_default() {
    let mut home = Home::new();
    let found = |setting: Setting<StoreLocation>| (setting.value.path().to_owned(), setting.origin);

    assert_eq!(
        found(home.store()),
        (home.path("data/qcli/queue.db"), Origin::Default)
    );
    let user = home.write("config/qcli/config.toml", "db = \"u.db\"");
    assert_eq!(
        found(home.store()),
        (home.path("config/qcli/u.db"), Origin::User(user))
    );
    let project = home.write("project/.queue.toml", "db = \".queue/p.db\"");
    assert_eq!(
        found(home.store()),
        (home.path("project/.queue/p.db"), Origin::Project(project))
    );
    home.set("QUEUE_DB", "../e.db");
    let by_variable = (home.path("project/e.db"), Origin::Variable("QUEUE_DB"));
    assert_eq!(found(home.store()), by_variable);
    let flagged = home.load(&db("f.db")).unwrap().store;
    assert_eq!(
        found(flagged),
        (home.path("project/src/f.db"), Origin::Flag("--db"))
    );
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let mut home = Home::new();
    home.set("QUEUE_DB", "");
    assert_eq!(home.store().origin, Origin::Default);
}

#[test]
fn queue_and_colour_come_from_the_nearest_file_that_has_them() {
    let home = Home::new();
    let user = home.write(
        "config/qcli/config.toml",
        "queue = \"slow\"\ncolor = \"never\"",
    );
    let project = home.write("project/.queue.toml", "queue = \"builds\"");
    let config = home.load(&GlobalArgs::default()).unwrap();
    assert_eq!(
        config.queue,
        Setting {
            value: "builds".into(),
            origin: Origin::Project(project)
        }
    );
    assert_eq!(
        config.color,
        Setting {
            value: ColorChoice::Never,
            origin: Origin::User(user)
        }
    );
    let flag = GlobalArgs {
        color: Some(ColorChoice::Always),
        ..GlobalArgs::default()
    };
    assert_eq!(
        home.load(&flag).unwrap().color.origin,
        Origin::Flag("--color")
    );
}

#[test]
fn every_setting_is_shown_with_its_origin() {
    let home = Home::new();
    let project = home.write("project/.queue.toml", "queue = \"builds\"");
    let entries = home.load(&db("/var/q.db")).unwrap().entries();
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| format!("{} = {} ({})", entry.key, entry.value, entry.origin))
        .collect();
    let by_project = format!("queue = builds (project file {})", project.display());
    assert_eq!(
        lines,
        [
            "db = /var/q.db (flag --db)",
            &by_project,
            "color = auto (default)"
        ]
    );
    assert_eq!(
        entries.iter().map(|entry| entry.key).collect::<Vec<_>>(),
        file::KEYS
    );
}

#[test]
fn an_unknown_key_is_refused_naming_file_and_key() {
    let home = Home::new();
    let path = home.write("project/.queue.toml", "queue = \"a\"\ndatabase = \"x.db\"");
    let text = home.refusal();
    assert_eq!(
        text,
        format!(
            "error: unknown key `database` in {}\nhint: the keys are db, queue, color\n",
            path.display()
        )
    );
}

#[test]
fn a_value_of_the_wrong_kind_names_file_and_key() {
    let home = Home::new();
    for (text, what) in [
        ("db = 3", "`db` in"),
        ("queue = \"\"", "`queue` in"),
        (
            "color = \"blue\"",
            "must be \"auto\", \"always\" or \"never\"",
        ),
        ("\n\ndb = ", "line 3 is not TOML"),
    ] {
        let path = home.write("project/.queue.toml", text);
        let words = home.refusal();
        assert!(
            words.contains(what) && words.contains(path.to_str().unwrap()),
            "{words}"
        );
    }
}

#[test]
fn a_project_file_that_cannot_be_read_is_an_error_and_not_another_store() {
    let home = Home::new();
    fs::create_dir_all(home.path("project/.queue.toml")).unwrap();
    assert!(home.refusal().contains("cannot read the configuration"));
}

#[test]
fn a_tilde_in_a_file_is_the_home() {
    let home = Home::new();
    home.write("config/qcli/config.toml", "db = \"~/jobs/q.db\"");
    assert_eq!(home.store().value.path(), home.path("jobs/q.db"));
}

#[test]
fn a_postgres_url_is_refused_and_its_password_is_not_shown() {
    let mut home = Home::new();
    home.set("QUEUE_DB", "postgres://me:hunter2@host/db");
    let text = home.refusal();
    assert!(
        text.contains("environment variable QUEUE_DB names a PostgreSQL store"),
        "{text}"
    );
    assert!(text.contains("not in this release"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    home.set("QUEUE_DB", "mysql://me:hunter2@host/db");
    assert!(home.refusal().contains("unknown kind (mysql://…)"));
}

#[test]
fn a_sqlite_url_is_its_path_and_a_colon_in_a_name_is_no_url() {
    let home = Home::new();
    let path = |text: &str| home.load(&db(text)).unwrap().store.value.path().to_owned();
    assert_eq!(path("sqlite:///a/b.db"), Path::new("/a/b.db"));
    assert_eq!(path("sqlite:/a/b.db"), Path::new("/a/b.db"));
    assert_eq!(path("sqlite:b.db"), home.path("project/src/b.db"));
    assert_eq!(path("./x/../b.db"), home.path("project/src/b.db"));
    assert_eq!(path("a:b.db"), home.path("project/src/a:b.db"));
}

#[test]
fn what_names_no_file_is_refused() {
    let home = Home::new();
    for text in ["", "/", "..", "sqlite:"] {
        let error = home.load(&db(text)).unwrap_err();
        assert_eq!(
            error.message(),
            "flag --db names no file for the store",
            "{text:?}"
        );
    }
}

#[test]
fn without_a_home_only_a_named_store_works() {
    let mut home = Home::new();
    home.around.data_home = None;
    home.around.config_home = None;
    assert!(home.refusal().contains("name it with `--db PATH`"));
    assert!(home.load(&db("/a.db")).is_ok());
}

// S7
#[test]
fn a_new_store_is_announced_with_its_place_and_who_named_it() {
    let home = Home::new();
    let store = home.store();
    let prepared = store.prepare().unwrap();
    assert!(prepared.created);
    let place = home.path("data/qcli/queue.db");
    let notice = format!("created a new store at {} (default)", place.display());
    assert_eq!(prepared.notice(), Some(notice));
    fs::write(&place, "").unwrap();
    let again = store.prepare().unwrap();
    assert!(!again.created && again.notice().is_none());
}

#[test]
fn the_data_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let _ = home.store().prepare().unwrap();
    let mode = fs::metadata(home.path("data/qcli"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_command_that_only_looks_makes_no_store() {
    let home = Home::new();
    let error = home.store().existing().unwrap_err();
    assert_eq!(error.exit_code().number(), 5);
    assert!(
        error.message().starts_with("there is no store at "),
        "{error}"
    );
    assert!(!home.path("data").exists());
}

#[test]
fn a_directory_a_missing_directory_and_a_file_on_the_way_are_told_apart() {
    let home = Home::new();
    home.write("project/src/file", "");
    for (text, why) in [
        (".", "names no file"),
        ("../src", "it is a directory"),
        ("missing/q.db", "does not exist"),
        ("file/q.db", "not a directory"),
    ] {
        let prepared = home
            .load(&db(text))
            .and_then(|config| config.store.prepare());
        let words = prepared.unwrap_err().render(Paint::plain());
        assert!(
            words.contains(why) && words.contains("--db"),
            "{text}: {words}"
        );
    }
}
