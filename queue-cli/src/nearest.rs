//! The name that was meant by one that nobody knows.
//!
//! Called by commands that take a name which may be new, or say that there is none like it. What always holds: names are
//! measured as the argument parser measures options, so that `did you mean` means the same everywhere.

/// How alike two names have to be, of 1 for the same: the measure of clap's own suggestions (clap_builder,
/// `src/parser/features/suggestions.rs`).
const ALIKE: f64 = 0.7;

/// The one among the known names that is most like `name`, where one is alike at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let measured = known.into_iter().map(|it| (strsim::jaro(name, it), it));
    let alike = measured.filter(|(likeness, _)| *likeness > ALIKE);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_finds_its_name_and_another_word_finds_none() {
        let known = ["claude", "claude/work", "codex", "gemini"];
        let meant = |name| nearest(name, known);
        assert_eq!(meant("cluade"), Some("claude"));
        assert_eq!(meant("claud"), Some("claude"));
        assert_eq!(meant("claude/wrok"), Some("claude/work"));
        assert_eq!(meant("codx"), Some("codex"));
        assert_eq!(meant("billing-api"), None);
        assert_eq!(nearest("claude", []), None);
    }
}
