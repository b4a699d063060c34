//! Words that are spelled once: enums whose cases have one spelling in SQL, JSON, code and help.
//!
//! `spelled_enum!` declares them, and keeps what is written over each case for the documents;
//! [`UnknownWord`] is what reading any other word comes to.

/// Declares an enum whose cases have one spelling, shared by SQL, JSON, code and help.
macro_rules! spelled_enum {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[doc = $case_doc:literal])+ $case:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[doc = $case_doc])+ #[serde(rename = $word)] $case,)+
        }

        impl $name {
            /// Every case, in the order they are documented.
            pub const ALL: &'static [$name] = &[$($name::$case,)+];

            /// The one spelling, as it stands in SQL, JSON and help.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$case => $word,)+ }
            }

            /// What it means, as documents and help say it: the text that stands over the case.
            pub const fn meaning(self) -> &'static str {
                match self { $($name::$case => concat!($($case_doc),+).trim_ascii(),)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::words::UnknownWord> {
                match word {
                    $($word => Ok($name::$case),)+
                    _ => Err($crate::words::UnknownWord {
                        what: $what,
                        word: word.to_owned(),
                        known: [$($word,)+].join(", "),
                    }),
                }
            }
        }
    };
}
pub(crate) use spelled_enum;

/// A word that names no case of an enum; the text lists those that exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a {what}; known are: {known}")]
pub struct UnknownWord {
    /// What was asked for, as "state" or "failure class".
    pub what: &'static str,
    /// The word that was given.
    pub word: String,
    /// The words that exist, separated by commas.
    pub known: String,
}
