//! Finds files by a pattern: `*` and `?` within a name, `[…]` for one of several characters, `**`
//! for any number of directories.
//!
//! Called for expectations about files. What always holds: git's own directory and links to
//! directories are not gone into by `**`, so a walk comes to an end; it stops at the first file that
//! will do.

use std::ffi::OsString;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Calls `visit` with each file below `base` that fits, until it breaks off.
pub(super) fn each<B>(
    base: &Path,
    pattern: &str,
    visit: &mut impl FnMut(&Path, &fs::Metadata) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let (base, pattern) = match pattern.strip_prefix('/') {
        Some(rest) => (Path::new("/"), rest),
        None => (base, pattern),
    };
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    walk(base, &parts, visit)
}

fn walk<B>(
    place: &Path,
    parts: &[&str],
    visit: &mut impl FnMut(&Path, &fs::Metadata) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let Some((part, rest)) = parts.split_first() else {
        return match fs::metadata(place) {
            Ok(found) if found.is_file() => visit(place, &found),
            _ => ControlFlow::Continue(()),
        };
    };
    if *part == "**" {
        // At the end it stands for all files below.
        let rest = if rest.is_empty() { &["*"] } else { rest };
        walk(place, rest, visit)?;
        for (name, is_directory) in entries(place) {
            if is_directory && name != ".git" {
                walk(&place.join(name), parts, visit)?;
            }
        }
        return ControlFlow::Continue(());
    }
    if !part.contains(['*', '?', '[', '\\']) {
        return walk(&place.join(part), rest, visit);
    }
    for (name, _) in entries(place) {
        if fits(part.as_bytes(), name.as_bytes()) {
            walk(&place.join(name), rest, visit)?;
        }
    }
    ControlFlow::Continue(())
}

/// The names in a directory in their order, and which of them are directories and no links.
fn entries(directory: &Path) -> Vec<(OsString, bool)> {
    let listed = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut entries: Vec<_> = listed
        .map(|entry| {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            (entry.file_name(), is_directory)
        })
        .collect();
    entries.sort();
    entries
}

/// Whether a name fits one part of a pattern.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where the last `*` stands, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match one(&pattern[at..], name[from]) {
            Some(_) if pattern.get(at) == Some(&b'*') => {
                star = Some((at, from));
                at += 1;
                continue;
            }
            Some(length) => {
                at += length;
                from += 1;
                continue;
            }
            None => {}
        }
        let Some((place, taken)) = star else {
            return false;
        };
        star = Some((place, taken + 1));
        (at, from) = (place + 1, taken + 1);
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How long the first element of a pattern is, if it fits the byte. A star always does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'*' | b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', set @ ..] => match class(set, byte) {
            Some((length, holds)) => holds.then_some(1 + length),
            // Without an end it is a bracket like any other.
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Reads `a-z]` or `!a-z]`: its length, and whether it holds the byte.
fn class(set: &[u8], byte: u8) -> Option<(usize, bool)> {
    let is_negated = matches!(set.first(), Some(b'!' | b'^'));
    let mut at = usize::from(is_negated);
    let first = at;
    let mut holds = false;
    while let Some(low) = set.get(at) {
        if *low == b']' && at > first {
            return Some((at + 1, holds != is_negated));
        }
        let high = match set.get(at + 1..at + 3) {
            Some([b'-', high]) if *high != b']' => {
                at += 2;
                high
            }
            _ => low,
        };
        holds |= (*low..=*high).contains(&byte);
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits_text(pattern: &str, name: &str) -> bool {
        fits(pattern.as_bytes(), name.as_bytes())
    }

    #[test]
    fn a_name_fits_a_part_of_a_pattern() {
        for (pattern, name) in [
            ("*", "anything"),
            ("*.rs", "main.rs"),
            ("a*b*c", "aXbYbZc"),
            ("?x", "ax"),
            ("[a-c]1", "b1"),
            ("[!a-c]1", "d1"),
            ("[]]", "]"),
            ("[x", "[x"),
            (r"\*", "*"),
            ("a*", "a"),
        ] {
            assert!(fits_text(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.rs", "main.rsx"),
            ("?", ""),
            ("[a-c]", "d"),
            ("a*b", "ac"),
            (r"\*", "x"),
            ("", "x"),
        ] {
            assert!(!fits_text(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn directories_are_gone_into_as_the_pattern_says() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        for file in ["a/b/c.md", "a/d.md", "e.md", ".git/f.md"] {
            fs::create_dir_all(base.join(file).parent().unwrap()).unwrap();
            fs::write(base.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(base, base.join("a/loop")).unwrap();
        let found = |pattern: &str| {
            let mut names = Vec::new();
            let _ = each(base, pattern, &mut |path, _| {
                names.push(path.strip_prefix(base).unwrap().display().to_string());
                ControlFlow::<()>::Continue(())
            });
            names
        };
        assert_eq!(found("*.md"), ["e.md"]);
        assert_eq!(found("**/*.md"), ["e.md", "a/d.md", "a/b/c.md"]);
        assert_eq!(found("a/*/c.md"), ["a/b/c.md"]);
        assert_eq!(found("a/**"), ["a/d.md", "a/b/c.md"]);
        assert_eq!(found("./e.md"), ["e.md"]);
        assert!(found("a").is_empty());
        assert_eq!(found(base.join("e.md").to_str().unwrap()), ["e.md"]);
    }
}
