//! However bytes are cut, and whatever they are, reading gives the same and never fails.

use proptest::prelude::*;
use queue_worker::agent::facts::Facts;
use queue_worker::agent::stream::{Format, Reader};
use queue_worker::log::Stream;

use crate::corpus::{AGENTS, cases};

/// Everything the agents of the corpus wrote, with what else turns up between their lines.
fn noisy(agent: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, case) in cases(agent).iter().enumerate() {
        bytes.extend(case.output().bytes());
        match number % 5 {
            0 => bytes.extend(b"[SandboxDebug] x\r\n"),
            1 => bytes.extend(b"\xff\xfe{\"type\":\"\xc3\"}\n\n"),
            2 => bytes.extend(b"{\n  \"type\": \"result\",\n  \"subtype\": \"success\",\n  \"is_error\": false\n}\n"),
            3 => bytes.extend(b"{\"type\":\"brand_new\",\"x\":[1,{}]}\r\n"),
            _ => bytes.extend(b"{\n half of a document\n"),
        }
    }
    bytes.extend(
        b"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"end\"}",
    );
    bytes
}

fn read(agent: &str, pieces: &[&[u8]]) -> Facts {
    let mut reader = Reader::new(Format::of_agent(agent), Facts::of(agent));
    for piece in pieces {
        reader.feed(Stream::Stdout, piece);
    }
    reader.into_facts()
}

/// Cuts bytes at places that may come in any order.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places {
        pieces.push(&bytes[from..place]);
        from = place;
    }
    pieces.push(&bytes[from..]);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_bytes_give_the_same_facts_however_they_are_cut(
        agent in prop::sample::select(AGENTS.to_vec()),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let bytes = noisy(agent);
        let whole = read(agent, &[&bytes]);
        prop_assert!(whole.events > 0 || agent == "aider");
        prop_assert_eq!(read(agent, &cut(&bytes, &places)), whole);
    }

    #[test]
    fn no_bytes_make_it_fail_and_none_are_lost_after_them(
        agent in prop::sample::select(AGENTS.to_vec()),
        junk in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
    ) {
        let mut bytes = noisy(agent);
        let place = at.index(bytes.len() + 1);
        bytes.splice(place..place, junk);
        let facts = read(agent, &[&bytes]);
        prop_assert!(facts.errors.len() <= 8 && facts.plain_tail.len() <= 16 * 1024);
    }
}

#[test]
fn one_byte_at_a_time_is_the_same_as_all_at_once() {
    for agent in AGENTS {
        let bytes = noisy(agent);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(agent, &single), read(agent, &[&bytes]), "{agent}");
    }
}
