//! The name of a gate.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a gate is called: `claude`, `claude/work`, `claude/work/opus`. Agents name theirs
/// `AGENT[/PROFILE[/MODEL]]`; to the queue it is a name like any other.
///
/// It has from 1 to [`GateName::MOST_BYTES`] bytes, without white space, control characters,
/// commas and empty parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GateName(String);

impl GateName {
    /// The longest name, in bytes.
    pub const MOST_BYTES: usize = 200;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot name a gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a gate: write one such as `claude` or `claude/work`, without spaces, commas and empty parts"
)]
pub struct BadGateName(pub String);

impl FromStr for GateName {
    type Err = BadGateName;

    fn from_str(text: &str) -> Result<Self, BadGateName> {
        let is_good = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
        let has_parts = text.split('/').all(|part| !part.is_empty());
        if has_parts && text.len() <= Self::MOST_BYTES && text.chars().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadGateName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for GateName {
    type Error = BadGateName;

    fn try_from(text: String) -> Result<Self, BadGateName> {
        text.parse()
    }
}

impl From<GateName> for String {
    fn from(name: GateName) -> Self {
        name.0
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_spaces_commas_and_empty_parts() {
        for good in ["claude", "claude/work/opus-4[1m]", "büro", "a.b-c_d:e@f"] {
            assert_eq!(good.parse::<GateName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(GateName::MOST_BYTES + 1);
        for bad in [
            "", "/", "claude/", "/work", "a//b", "a b", "a,b", "a\n", "a\0", &long,
        ] {
            let error = bad.parse::<GateName>().unwrap_err();
            assert!(error.to_string().contains("cannot name a gate"), "{bad:?}");
        }
    }
}
