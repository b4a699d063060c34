//! Colour: when it is used, and what it stands for.
//!
//! Owns the decision (flag, then configuration, then `NO_COLOR` and `CLICOLOR_FORCE`, then whether a terminal looks on)
//! and the few roles that have a colour. Tables, errors and notes use it. Colour only repeats what the words already say,
//! so a text without it loses nothing.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set; anywhere when `CLICOLOR_FORCE` is set.
    #[default]
    Auto,
    /// Always, in pipes and files too.
    Always,
    /// Never.
    Never,
}

impl fmt::Display for ColorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

impl FromStr for ColorChoice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(()),
        }
    }
}

/// What a coloured word stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The heading of a column or a section.
    Heading,
    /// Ended well.
    Good,
    /// Runs now.
    Active,
    /// Waits for something, or asks for attention.
    Waiting,
    /// Ended badly.
    Bad,
    /// Less important than its surroundings.
    Faint,
    /// The word `error:`.
    Error,
    /// The word `hint:`.
    Hint,
}

impl Role {
    /// The parameters of the SGR sequence: the sixteen colours every theme defines, so light and dark both read well.
    const fn parameters(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Good => "32",
            Self::Active => "36",
            Self::Waiting => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Error => "1;31",
            Self::Hint => "1;36",
        }
    }
}

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    enabled: bool,
}

impl Paint {
    /// Leaves every word as it is.
    #[must_use]
    pub const fn plain() -> Self {
        Self { enabled: false }
    }

    /// Paints every word.
    #[must_use]
    pub const fn colored() -> Self {
        Self { enabled: true }
    }

    /// Decides for one stream. `variable` reads the environment; `is_terminal` is a fact about that stream.
    pub fn decide(
        choice: ColorChoice,
        variable: impl Fn(&str) -> Option<OsString>,
        is_terminal: bool,
    ) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is_forced =
            variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        let is_dumb = variable("TERM").is_some_and(|value| value == "dumb");
        let enabled = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if is_set("NO_COLOR") => false,
            ColorChoice::Auto if is_forced => true,
            ColorChoice::Auto => is_terminal && !is_dumb,
        };
        Self { enabled }
    }

    /// Paints a text that is harmless already.
    #[must_use]
    pub fn apply(self, role: Role, text: &str) -> String {
        if !self.enabled || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", role.parameters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(choice: ColorChoice, variables: &[(&str, &str)], is_terminal: bool) -> bool {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Paint::decide(choice, lookup, is_terminal).enabled
    }

    #[test]
    fn a_terminal_gets_colour_and_a_pipe_does_not() {
        assert!(decide(ColorChoice::Auto, &[], true));
        assert!(!decide(ColorChoice::Auto, &[], false));
        assert!(!decide(ColorChoice::Auto, &[("TERM", "dumb")], true));
    }

    #[test]
    fn no_color_wins_over_clicolor_force_and_the_flag_over_both() {
        let both = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")];
        assert!(!decide(ColorChoice::Auto, &both, true));
        assert!(decide(ColorChoice::Always, &both, false));
        assert!(decide(ColorChoice::Auto, &both[1..], false));
        assert!(!decide(ColorChoice::Never, &both[1..], true));
    }

    #[test]
    fn empty_and_zero_variables_count_as_absent() {
        assert!(decide(ColorChoice::Auto, &[("NO_COLOR", "")], true));
        assert!(!decide(
            ColorChoice::Auto,
            &[("CLICOLOR_FORCE", "0")],
            false
        ));
    }

    #[test]
    fn a_choice_reads_as_it_is_written() {
        for choice in [ColorChoice::Auto, ColorChoice::Always, ColorChoice::Never] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("blue".parse::<ColorChoice>(), Err(()));
    }

    #[test]
    fn nothing_is_painted_around_nothing() {
        assert_eq!(Paint::colored().apply(Role::Bad, ""), "");
        assert_eq!(Paint::plain().apply(Role::Bad, "failed"), "failed");
        assert_eq!(
            Paint::colored().apply(Role::Bad, "failed"),
            "\x1b[31mfailed\x1b[0m"
        );
    }
}
