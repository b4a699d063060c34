//! Gives the memory of program code back while a process only waits.
//!
//! A shim has nothing to do for hours, and there may be many. The pages of its program that were
//! needed to start belong to the file and are shared, yet they count in the resident set of each
//! shim. What always holds: only pages that the kernel can read from the file again are given back,
//! so nothing is lost but a moment when they are needed next.

use std::ffi::c_void;
use std::fs;

use rustix::mm::{Advice, madvise};

/// Gives back the code and the constants of this program and its libraries.
///
/// Left alone is what could differ from the file: whatever is or was writable, which includes the
/// tables that the loader relocates and then write-protects.
pub(crate) fn give_back_code() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for (start, length) in maps.lines().filter_map(code) {
        give_back(start, length);
    }
}

/// The place of a mapping that holds code, or the constants before it: `START-END PERMS OFFSET
/// DEVICE INODE PATH` of proc_pid_maps(5). Constants lie at the head of the file; what the loader
/// relocated lies behind the code.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let offset = usize::from_str_radix(fields.next()?, 16).ok()?;
    let is_of_file = fields.nth(2)?.starts_with('/');
    let is_code = permissions == "r-xp" || (permissions == "r--p" && offset == 0);
    let place = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (place(start)?, place(end)?);
    (is_of_file && is_code).then_some((start, end.checked_sub(start)?))
}

fn give_back(start: usize, length: usize) {
    #[expect(unsafe_code, reason = "advice on memory is given by its address")]
    // SAFETY: the range is a private mapping of a file that was never writable, so each of its
    // pages is as the file has it, and the kernel reads it from there when it is touched again.
    // A range that is gone meanwhile is refused.
    let advised = unsafe {
        madvise(
            std::ptr::with_exposed_provenance_mut::<c_void>(start),
            length,
            Advice::LinuxDontNeed,
        )
    };
    if let Err(error) = advised {
        tracing::debug!(%error, "memory of the program's code was not given back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_constants_are_given_back_and_nothing_that_was_writable() {
        let file = "fe:00 77 /usr/bin/qcli";
        let line = |about: &str| code(&format!("1000-3000 {about} {file}"));
        assert_eq!(line("r-xp 00200000"), Some((0x1000, 0x2000)));
        assert_eq!(line("r--p 00000000"), Some((0x1000, 0x2000)));
        for other in [
            "rw-p 00000000",
            "rw-p 00400000",
            "r--p 00400000",
            "r--s 00000000",
        ] {
            assert_eq!(line(other), None, "{other}");
        }
        assert_eq!(code("1000-3000 rw-p 00000000 00:00 0"), None);
        assert_eq!(code("1000-3000 r-xp 00000000 00:00 0  [vdso]"), None);
    }

    #[test]
    fn a_process_goes_on_with_less_resident_memory() {
        let resident = || {
            let status = fs::read_to_string("/proc/self/status").expect("we have a status");
            let line = status.lines().find(|line| line.starts_with("RssFile:"));
            let digits = line.and_then(|line| line.split_ascii_whitespace().nth(1));
            digits
                .and_then(|text| text.parse::<u64>().ok())
                .expect("a number of kB")
        };
        // Whatever else the tests of this crate need meanwhile is little beside all of its code.
        let shrank = (0..100).any(|_| {
            let before = resident();
            give_back_code();
            resident() < before
        });
        assert!(shrank);
    }
}
