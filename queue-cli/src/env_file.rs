//! Reads files of variables for `--env-file`.
//!
//! Owns their form: `KEY=VALUE` lines, comments, quotes, `export`. `enqueue` and `run` call it. Such files hold secrets,
//! so no error and no `Debug` ever shows a value, nor a line that could not be understood.
//!
//! ```text
//! # a comment, as is an empty line
//! export TOKEN=plain text, up to the end or to a blank and a `#`
//! SINGLE='taken as it is: $HOME, \n, #'
//! DOUBLE="\n, \r, \t, \", \\ and \$ are escapes; nothing else is replaced"
//! ```
//!
//! A quoted value may go on over several lines. A key that comes twice has its last value.

use std::fmt;
use std::fs;
use std::iter::Peekable;
use std::path::Path;
use std::str::CharIndices;

use crate::error::CliError;

/// One variable; its `Debug` hides the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name: letters, digits and `_`, not beginning with a digit.
    pub key: String,
    /// The value, a secret for all we know.
    pub value: String,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.key)
    }
}

/// Reads the variables of a file, in their order.
///
/// # Errors
/// When the file cannot be read or a line cannot be understood (exit code 2); it names the file and the line.
pub fn read(path: &Path) -> Result<Vec<Variable>, CliError> {
    let bytes =
        fs::read(path).map_err(|cause| CliError::file("read the env file", path, &cause))?;
    parse(&bytes).map_err(|problem| {
        CliError::usage(format!("{} line {}: {}", path.display(), problem.line, problem.what))
            .hint("a line reads KEY=VALUE; quote a value that has blanks at its ends, quotes or a `#` in it")
    })
}

/// What is wrong with a file, without any of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    line: usize,
    what: &'static str,
}

fn parse(bytes: &[u8]) -> Result<Vec<Variable>, Problem> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            return Err(Problem {
                line: line_at(bytes, error.valid_up_to()),
                what: "is not UTF-8",
            });
        }
    };
    let mut variables: Vec<Variable> = Vec::new();
    let mut reader = Reader {
        text,
        chars: text.char_indices().peekable(),
    };
    while let Some(variable) = reader.next_variable()? {
        variables.retain(|earlier| earlier.key != variable.key);
        variables.push(variable);
    }
    Ok(variables)
}

/// Counts lines from 1 up to a place in the file.
fn line_at(bytes: &[u8], place: usize) -> usize {
    1 + bytes[..place].iter().filter(|&&byte| byte == b'\n').count()
}

/// Walks through the file once.
struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn next_variable(&mut self) -> Result<Option<Variable>, Problem> {
        self.skip(char::is_whitespace);
        while self.peek() == Some('#') {
            self.skip(|c| c != '\n');
            self.skip(char::is_whitespace);
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        let start = self.place();
        let key = self.key(start)?;
        let value = self.value()?;
        if value.contains('\0') {
            return Err(self.problem(start, "the value has a null byte in it"));
        }
        Ok(Some(Variable { key, value }))
    }

    fn key(&mut self, start: usize) -> Result<String, Problem> {
        let mut key = self.take(|c| c != '=' && c != '\n');
        if self.peek() != Some('=') {
            return Err(self.problem(start, "has no `=`"));
        }
        self.chars.next();
        if let Some(name) = key
            .strip_prefix("export")
            .filter(|name| name.starts_with([' ', '\t']))
        {
            key = name.trim_start();
        }
        let key = key.trim_end();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty()
            || key.starts_with(|c: char| c.is_ascii_digit())
            || !key.chars().all(is_name)
        {
            let what = "what stands before `=` is no variable name: letters, digits and `_`";
            return Err(self.problem(start, what));
        }
        Ok(key.to_owned())
    }

    fn value(&mut self) -> Result<String, Problem> {
        self.skip(is_blank);
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => Ok(self.unquoted()),
        }
    }

    fn unquoted(&mut self) -> String {
        let line = self.take(|c| c != '\n');
        // A `#` begins a comment only after a blank, so `a#b` stays whole.
        let comment = line
            .char_indices()
            .find(|&(at, c)| c == '#' && (at == 0 || line[..at].ends_with(is_blank)));
        let value = comment.map_or(line, |(at, _)| &line[..at]);
        value.trim_end().to_owned()
    }

    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let start = self.place();
        self.chars.next();
        let mut value = String::new();
        loop {
            match self.chars.next() {
                None => return Err(self.problem(start, "the quote is never closed")),
                Some((_, c)) if c == quote => break,
                Some((at, '\\')) if quote == '"' => match self.chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('"' | '\\' | '$'))) => value.push(c),
                    Some(_) => {
                        return Err(
                            self.problem(at, "unknown escape: write `\\\\` for a backslash")
                        );
                    }
                    None => return Err(self.problem(start, "the quote is never closed")),
                },
                Some((_, c)) => value.push(c),
            }
        }
        let end = self.place();
        let rest = self.take(|c| c != '\n').trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(self.problem(end, "something follows the closing quote"));
        }
        Ok(value)
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, c)| c)
    }

    fn place(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |&(at, _)| at)
    }

    fn skip(&mut self, matches: impl Fn(char) -> bool) {
        while self.chars.next_if(|&(_, c)| matches(c)).is_some() {}
    }
}

impl<'a> Reader<'a> {
    fn take(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let start = self.place();
        self.skip(matches);
        let end = self.place();
        &self.text[start..end]
    }

    fn problem(&self, place: usize, what: &'static str) -> Problem {
        Problem {
            line: line_at(self.text.as_bytes(), place),
            what,
        }
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Reads a file and gives its variables as pairs.
    fn variables(text: &str) -> Vec<(String, String)> {
        let variables =
            parse(text.as_bytes()).unwrap_or_else(|problem| panic!("{text:?}: {problem:?}"));
        variables
            .into_iter()
            .map(|variable| (variable.key, variable.value))
            .collect()
    }

    fn one(text: &str) -> String {
        let mut all = variables(text);
        assert_eq!(all.len(), 1, "{text:?}");
        all.remove(0).1
    }

    #[test]
    fn lines_comments_and_export_are_understood() {
        let text =
            "\u{feff}# head\n\nA=1\r\n  export B = two words \t\n#C=3\nexport\tD=\nexported=5";
        let expected = [("A", "1"), ("B", "two words"), ("D", ""), ("exported", "5")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(variables(text), expected);
    }

    #[test]
    fn an_unquoted_value_ends_at_a_comment_after_a_blank() {
        assert_eq!(one("A=a#b"), "a#b");
        assert_eq!(one("A=a #b"), "a");
        assert_eq!(one("A= # only a comment"), "");
        assert_eq!(
            one("A=postgres://u:p@h/db?x=y=z"),
            "postgres://u:p@h/db?x=y=z"
        );
        assert_eq!(one("A=it's"), "it's");
        assert_eq!(one("A=$HOME\\n"), "$HOME\\n");
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        assert_eq!(one("A='  $HOME \\n # \"x\" '"), "  $HOME \\n # \"x\" ");
        assert_eq!(
            one(r#"A="a\n\t\r\"\\\$b # c" # comment"#),
            "a\n\t\r\"\\$b # c"
        );
        assert_eq!(one("A=\"\""), "");
    }

    #[test]
    fn a_quoted_value_may_go_on_over_lines() {
        let text = "KEY=\"-----BEGIN-----\nabc\n-----END-----\"\nNEXT=1";
        let all = variables(text);
        assert_eq!(all[0].1, "-----BEGIN-----\nabc\n-----END-----");
        assert_eq!(all[1], ("NEXT".to_owned(), "1".to_owned()));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        assert_eq!(one("A=1\nA=2"), "2");
    }

    #[test]
    fn a_problem_names_its_line_and_no_content() {
        let cases: [(&[u8], usize, &str); 8] = [
            (b"A=1\nsk-hunter2\n", 2, "has no `=`"),
            (b"\n\n1A=hunter2", 3, "variable name"),
            (b"=hunter2", 1, "variable name"),
            (b"A=1\nB='hunter2\n\n", 2, "never closed"),
            (b"A=\"hunter2\\", 1, "never closed"),
            (b"A='1'\nB='hunter2'x", 2, "follows the closing quote"),
            (b"A=\"1\nhunter2\\q\"", 2, "unknown escape"),
            (b"A=1\nB=hunter2\xff", 2, "UTF-8"),
        ];
        for (text, line, what) in cases {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.line, line, "{problem:?}");
            assert!(problem.what.contains(what), "{problem:?}");
        }
        assert_eq!(
            parse(b"A=a\0b").unwrap_err().what,
            "the value has a null byte in it"
        );
    }

    #[test]
    fn an_error_names_the_file_and_never_a_value() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"OK=1\nTOKEN='hunter2").unwrap();
        let error = read(file.path()).unwrap_err();
        let text = error.render(crate::output::color::Paint::plain());
        assert!(
            text.contains(&format!("{} line 2: ", file.path().display())),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(error.exit_code().number(), 2);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nowhere/.env")).unwrap_err();
        assert_eq!(
            error.message(),
            "cannot read the env file /nowhere/.env: no such file or directory"
        );
    }

    #[test]
    fn debug_hides_values() {
        let variable = Variable {
            key: "TOKEN".into(),
            value: "hunter2".into(),
        };
        assert_eq!(format!("{variable:?}"), "TOKEN=…");
    }
}
