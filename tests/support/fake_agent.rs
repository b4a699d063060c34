//! A folder of fake agents: links by which the double acts as claude, codex …, and what they share.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Makes a folder of fake agents at a path: `fake_agents!(env.work().join("agents"))`.
#[macro_export]
macro_rules! fake_agents {
    ($home:expr) => {
        $crate::FakeAgents::new(env!("CARGO_BIN_EXE_fake-agent"), $home)
    };
}

/// A folder of fake agents that share an account. See the module.
///
/// Put it into `PATH` ([`FakeAgents::path`]) or start a link by its path. What they share lies in
/// `state` there: `calls.jsonl`, `ledger.jsonl`, `sessions/`, `limit_until`.
pub struct FakeAgents {
    program: PathBuf,
    home: PathBuf,
}

impl FakeAgents {
    /// Makes the folder; [`crate::fake_agents!`] knows the program.
    pub fn new(program: &str, home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        fs::create_dir_all(home.join("state")).expect("the folder can be made");
        Self {
            program: program.into(),
            home,
        }
    }

    /// Lets `agent` act as the scenario of that name in `tests/fixtures/agents` says; gives the program to start.
    pub fn act(&self, agent: &str, scenario: &str) -> PathBuf {
        let path = fixture(&format!("{scenario}.toml"));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.act_out(agent, &text)
    }

    /// Lets `agent` act as the text of a scenario says; gives the program to start.
    pub fn act_out(&self, agent: &str, scenario: &str) -> PathBuf {
        fs::write(self.home.join(format!("{agent}.toml")), scenario)
            .expect("the folder can be written");
        let link = self.home.join(agent);
        if !link.exists() {
            symlink(&self.program, &link).expect("the folder can be written");
        }
        link
    }

    /// `PATH` with this folder in front.
    pub fn path(&self) -> String {
        let rest = std::env::var("PATH").unwrap_or_default();
        format!("{}:{rest}", self.home.display())
    }

    /// A file of what they share.
    pub fn state(&self, name: &str) -> PathBuf {
        self.home.join("state").join(name)
    }

    /// Every start and end so far, in order: `event` (`start`, `end`), `pid`, `at`, `argv`, `env`, `stdin`,
    /// `cwd`, `session`, `resumed`, `overlaps`, `run`.
    pub fn calls(&self) -> Vec<Value> {
        lines_of(&self.state("calls.jsonl"))
    }

    /// The starts so far.
    pub fn starts(&self) -> Vec<Value> {
        let mut calls = self.calls();
        calls.retain(|call| call["event"] == "start");
        calls
    }

    /// What was booked, in order: `session`, `job`, `cost_usd`.
    pub fn ledger(&self) -> Vec<Value> {
        lines_of(&self.state("ledger.jsonl"))
    }

    /// Lets the account's limit hold until then (milliseconds since 1970), whatever the scenario says.
    pub fn limit_until(&self, until_ms: i64) {
        fs::write(self.state("limit_until"), until_ms.to_string())
            .expect("the folder can be written");
    }

    /// Lets those go on that wait for this.
    pub fn say(&self, name: &str) {
        fs::write(self.state(name), "").expect("the folder can be written");
    }
}

/// The path of a file in `tests/fixtures/agents`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/agents")
        .join(name)
}

fn lines_of(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // A last line without its end is still being written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .expect("the double writes JSON lines")
}
