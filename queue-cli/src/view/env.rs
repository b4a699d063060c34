//! Which values of a job's environment may be shown.
//!
//! Owns the judgement of what is secret; the page and the JSON of a job call it. A value leaves this module only if
//! neither its name nor its form looks like a secret; when in doubt it is hidden, because a screen or a bug report cannot
//! be taken back.

use queue_core::raw_text::RawText;

/// What stands in the place of a hidden value.
pub const HIDDEN: &str = "(hidden)";

/// Parts of a name that tell of a secret. `KEY` and `PAT` would hit too much as mere letters, so they stand as words.
const SECRET_PARTS: &[&str] = &[
    "TOKEN",
    "SECRET",
    "PASSW",
    "PASSPHRASE",
    "PASSCODE",
    "CREDENTIAL",
    "AUTH",
    "APIKEY",
    "PRIVATE",
    "COOKIE",
    "SIGNATURE",
    "DSN",
    "WEBHOOK",
    "BEARER",
];

/// Words of a name, between underscores, that tell of a secret.
const SECRET_WORDS: &[&str] = &[
    "KEY", "KEYS", "PAT", "PASS", "PWD", "PIN", "SESSION", "JWT", "OTP", "SALT",
];

/// Names that sound secret and are not: directories and socket paths that a person needs to see.
const HARMLESS: &[&str] = &[
    "PWD",
    "OLDPWD",
    "SSH_AUTH_SOCK",
    "XAUTHORITY",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
];

/// Tells whether the variable `name` looks as if it held a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if HARMLESS.contains(&name.as_str()) {
        return false;
    }
    SECRET_PARTS.iter().any(|part| name.contains(part))
        || name.ends_with("KEY")
        || name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| SECRET_WORDS.contains(&word))
}

/// Gives the value of a variable as it may be shown; `None` where it is hidden.
///
/// A URL with a password in it and a private key are hidden whatever their name.
#[must_use]
pub fn shown<'a>(name: &str, value: &'a RawText) -> Option<&'a RawText> {
    (!is_secret(name) && !has_secret_form(&value.to_lossy())).then_some(value)
}

fn has_secret_form(value: &str) -> bool {
    has_password(value) || value.contains("PRIVATE KEY-----")
}

/// Whether a text has the form `scheme://user:password@host` somewhere.
fn has_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let end = rest
            .find(|c: char| c == '/' || c.is_whitespace())
            .unwrap_or(rest.len());
        rest[..end]
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_secret_are_hidden() {
        // L5
        for name in [
            "ANTHROPIC_API_KEY",
            "github_token",
            "DB_PASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "NPM_CONFIG__AUTH",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "PGPASSWORD",
            "APIKEY",
            "SLACK_WEBHOOK_URL",
            "GH_PAT",
            "SSHKEY",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_that_only_sound_so_are_shown() {
        for name in [
            "PATH",
            "HOME",
            "PWD",
            "SSH_AUTH_SOCK",
            "KEYBOARD",
            "LANG",
            "PATTERN",
            "MONKEYS_DIR",
            "COMPASS",
            "SSL_CERT_FILE",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_password_in_a_url_hides_the_value() {
        let value = |text: &str| RawText::from(text);
        for url in [
            "postgres://u:p@h/db",
            "x https://a:b@c y",
            "redis://:pw@host",
        ] {
            assert_eq!(shown("DATABASE_URL", &value(url)), None, "{url}");
        }
        for url in [
            "https://example.org:8080/a@b",
            "git@host:path",
            "ssh://git@host/x",
        ] {
            assert_eq!(shown("REMOTE", &value(url)), Some(&value(url)), "{url}");
        }
    }
}
