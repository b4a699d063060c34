//! How wide each column of a table becomes, and which go when there is no room.
//!
//! Numbers in, numbers out; [`super::Table`] calls it before it renders. A heading that is shown is whole and so is a
//! number, a column that says least goes first, and no row is wider than the terminal.

/// Cells between two columns.
pub(super) const GAP: usize = 2;
/// Words give way down to this width before a column that could be spared goes, or if none can.
const WORDS_AT_LEAST: usize = 12;

/// What a column asks for, in terminal cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Its widest cell, its heading included; 0 where there is nothing to show.
    pub(super) natural: usize,
    /// Its heading, which is never cut.
    pub(super) heading: usize,
    /// How it gives way.
    pub(super) gives: Gives,
    /// Whether it is left out on a narrow terminal: 1 goes first.
    pub(super) spare: Option<u8>,
}

/// How a column gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// First of all: it is a text of any length.
    First,
    /// When nothing can be left out any more: it is words.
    Late,
    /// Never: half a number is another number.
    Never,
}

impl Need {
    fn least(&self) -> usize {
        match self.gives {
            Gives::First | Gives::Late => self.heading.max(self.natural.min(WORDS_AT_LEAST)),
            Gives::Never => self.natural,
        }
    }
}

/// Gives the width of each column; 0 for one that is not shown.
pub(super) fn fit(needs: &[Need], room: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = needs.iter().map(|need| need.natural).collect();
    let Some(room) = room else {
        return widths;
    };
    loop {
        let mut shown = widths.clone();
        give_way(needs, &mut shown, room, Gives::First, Need::least);
        let Some(at) = next_to_go(needs, &widths).filter(|_| excess(&shown, room) > 0) else {
            widths = shown;
            break;
        };
        widths[at] = 0;
    }
    give_way(needs, &mut widths, room, Gives::Late, Need::least);
    for gives in [Gives::First, Gives::Late] {
        give_way(needs, &mut widths, room, gives, |need| need.heading.max(1));
    }
    leave_out_from_the_right(&mut widths, room);
    widths
}

/// How many cells a row is wider than the terminal.
fn excess(widths: &[usize], room: usize) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    let cells = widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1);
    cells.saturating_sub(room)
}

fn next_to_go(needs: &[Need], widths: &[usize]) -> Option<usize> {
    (0..needs.len())
        .filter(|&at| widths[at] > 0)
        .filter_map(|at| Some((needs[at].spare?, at)))
        .min()
        .map(|(_, at)| at)
}

/// Takes cells from the widest of the columns that give way so, until the row fits or each has its least.
fn give_way(
    needs: &[Need],
    widths: &mut [usize],
    room: usize,
    gives: Gives,
    least: impl Fn(&Need) -> usize,
) {
    for _ in 0..excess(widths, room) {
        let widest = needs
            .iter()
            .zip(widths.iter_mut())
            .filter(|(need, width)| need.gives == gives && **width > least(need))
            .max_by_key(|(_, width)| **width);
        let Some((_, width)) = widest else {
            return;
        };
        *width -= 1;
    }
}

/// No terminal that a person reads is so narrow; what is shown is still right.
fn leave_out_from_the_right(widths: &mut [usize], room: usize) {
    while excess(widths, room) > 0 {
        let shown: Vec<usize> = (0..widths.len()).filter(|&at| widths[at] > 0).collect();
        match shown[..] {
            [.., last] if shown.len() > 1 => widths[last] = 0,
            [only] => widths[only] = room,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(natural: usize, heading: usize, gives: Gives, spare: Option<u8>) -> Need {
        Need {
            natural,
            heading,
            gives,
            spare,
        }
    }

    /// A number, words, a text, and a column of words that can be spared.
    fn needs() -> [Need; 4] {
        [
            need(4, 2, Gives::Never, None),
            need(20, 9, Gives::Late, None),
            need(30, 7, Gives::First, None),
            need(8, 3, Gives::Late, Some(1)),
        ]
    }

    #[test]
    fn the_text_gives_way_then_a_spare_column_goes_then_words_are_cut() {
        for (room, expected) in [
            (None, [4, 20, 30, 8]),
            (Some(68), [4, 20, 30, 8]),
            (Some(60), [4, 20, 22, 8]),
            (Some(50), [4, 20, 12, 8]),
            (Some(49), [4, 20, 21, 0]),
            (Some(40), [4, 20, 12, 0]),
            (Some(36), [4, 16, 12, 0]),
            (Some(32), [4, 12, 12, 0]),
            (Some(30), [4, 12, 10, 0]),
            (Some(24), [4, 9, 7, 0]),
            (Some(23), [4, 9, 0, 0]),
            (Some(9), [4, 0, 0, 0]),
            (Some(3), [3, 0, 0, 0]),
        ] {
            assert_eq!(fit(&needs(), room), expected, "{room:?}");
        }
    }

    #[test]
    fn the_column_with_the_lowest_number_goes_first() {
        let needs = [3, 1, 2].map(|order| need(5, 5, Gives::Never, Some(order)));
        assert_eq!(fit(&needs, Some(19)), [5, 5, 5]);
        assert_eq!(fit(&needs, Some(18)), [5, 0, 5]);
        assert_eq!(fit(&needs, Some(11)), [5, 0, 0]);
    }

    #[test]
    fn a_column_with_nothing_in_it_takes_no_room() {
        let needs = [
            need(5, 5, Gives::Late, None),
            need(0, 0, Gives::Late, None),
            need(5, 5, Gives::Late, Some(1)),
        ];
        assert_eq!(fit(&needs, Some(12)), [5, 0, 5]);
    }
}
