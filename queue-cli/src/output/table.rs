//! Tables and lists of facts, laid out for a width.
//!
//! Commands fill a [`Table`] or [`Fields`] and hand it to [`super::Output`]; `layout` decides which columns give way when
//! the terminal is narrow. Every cell is made harmless when it is made, is measured in terminal cells (a CJK letter takes
//! two), and no line is wider than the width given; without a width nothing is cut and nothing left out.

mod layout;

use layout::{Gives, Need};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::color::{Paint, Role};
use super::sanitize::sanitize;

/// Stands for what was cut off.
const ELLIPSIS: char = '…';

/// One cell: a harmless text, perhaps with a colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    role: Option<Role>,
}

impl Cell {
    /// Makes a cell from any text; control characters in it are shown as escapes.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: sanitize(text.as_ref()).into_owned(),
            role: None,
        }
    }

    /// Makes a cell whose colour repeats what its text says.
    pub fn colored(text: impl AsRef<str>, role: Role) -> Self {
        Self {
            role: Some(role),
            ..Self::new(text)
        }
    }

    fn paint(&self, text: &str, paint: Paint) -> String {
        match self.role {
            Some(role) => paint.apply(role, text),
            None => text.to_owned(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::new(number.to_string())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::new(number.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// The heading of a column and how it is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    heading: String,
    align: Align,
    gives: Gives,
    spare: Option<u8>,
}

impl Column {
    /// A column of words, at the left.
    pub fn left(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            align: Align::Left,
            gives: Gives::Late,
            spare: None,
        }
    }

    /// A column of numbers, at the right. They are never cut.
    pub fn right(heading: impl Into<String>) -> Self {
        Self {
            align: Align::Right,
            gives: Gives::Never,
            ..Self::left(heading)
        }
    }

    /// The column that gives way first when the terminal is narrow: a command line, a message.
    pub fn flexible(heading: impl Into<String>) -> Self {
        Self {
            gives: Gives::First,
            ..Self::left(heading)
        }
    }

    /// The same column, left out when the terminal is too narrow. The one with the lowest number goes first.
    #[must_use]
    pub fn spare(self, order: u8) -> Self {
        Self {
            spare: Some(order),
            ..self
        }
    }
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Makes a table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When the row has not as many cells as there are columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        assert_eq!(
            cells.len(),
            self.columns.len(),
            "a row has a cell for every column"
        );
        self.rows.push(cells);
    }

    /// Tells whether no row was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lays the table out. `width` is that of the terminal in cells; without one nothing is cut.
    #[must_use]
    pub fn render(&self, width: Option<usize>, paint: Paint, with_headings: bool) -> String {
        let widths = layout::fit(&self.needs(with_headings), width);
        let mut text = String::new();
        if with_headings {
            let headings: Vec<Cell> = self
                .columns
                .iter()
                .map(|column| Cell::colored(&column.heading, Role::Heading))
                .collect();
            self.render_row(&mut text, &headings, &widths, paint);
        }
        for row in &self.rows {
            self.render_row(&mut text, row, &widths, paint);
        }
        text
    }

    fn needs(&self, with_headings: bool) -> Vec<Need> {
        let need = |(at, column): (usize, &Column)| {
            let heading = if with_headings {
                column.heading.width()
            } else {
                0
            };
            let cells = self.rows.iter().map(|row| row[at].text.width());
            Need {
                natural: cells.max().unwrap_or(0).max(heading),
                heading,
                gives: column.gives,
                spare: column.spare,
            }
        };
        self.columns.iter().enumerate().map(need).collect()
    }

    fn render_row(&self, text: &mut String, row: &[Cell], widths: &[usize], paint: Paint) {
        let mut line = String::new();
        let mut owed = 0; // blanks that are only written when something follows them
        for ((cell, column), &width) in row.iter().zip(&self.columns).zip(widths) {
            if width == 0 {
                continue;
            }
            let shown = truncate(&cell.text, width);
            let blanks = width.saturating_sub(shown.width());
            let (before, after) = match column.align {
                Align::Left => (0, blanks),
                Align::Right => (blanks, 0),
            };
            if shown.is_empty() {
                owed += before + after + layout::GAP;
                continue;
            }
            line.extend(std::iter::repeat_n(' ', owed + before));
            line.push_str(&cell.paint(&shown, paint));
            owed = after + layout::GAP;
        }
        text.push_str(&line);
        text.push('\n');
    }
}

/// Labelled facts, one below the other: the form of `show`.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    facts: Vec<(String, Cell)>,
}

impl Fields {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact.
    pub fn add(&mut self, label: impl Into<String>, value: impl Into<Cell>) {
        self.facts.push((label.into(), value.into()));
    }

    /// Adds a fact if there is one.
    pub fn add_if(&mut self, label: impl Into<String>, value: Option<impl Into<Cell>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    /// Lays the list out. Values are never cut: this is where a person looks for the whole of it.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let width = self
            .facts
            .iter()
            .map(|(label, _)| label.width())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (label, value) in &self.facts {
            let blanks = " ".repeat(width - label.width());
            let label = paint.apply(Role::Faint, label);
            let line = format!("{label}{blanks}  {}", value.paint(&value.text, paint));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Cuts a text to a width in terminal cells; what is cut off is an ellipsis. Marks that combine with a letter stay with it.
#[must_use]
pub fn truncate(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else {
        return String::new();
    };
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        shown.push(c);
    }
    // A sequence (a flag, a family) may be wider than its parts: then one part less.
    while shown.width() > room {
        shown.pop();
    }
    shown.push(ELLIPSIS);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Table {
        let mut table = Table::new([
            Column::right("ID"),
            Column::left("STATE"),
            Column::flexible("COMMAND"),
            Column::left("WHEN"),
        ]);
        table.row([
            "7".into(),
            Cell::colored("failed", Role::Bad),
            "make -j8 all".into(),
            "2 h ago".into(),
        ]);
        table.row([
            "1234".into(),
            "completed".into(),
            "sha256sum /usr/share/dict/words".into(),
            "now".into(),
        ]);
        table
    }

    fn widest_line(text: &str) -> usize {
        text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    #[test]
    fn without_a_width_everything_is_there_in_columns() {
        assert_eq!(
            jobs().render(None, Paint::plain(), true),
            concat!(
                "  ID  STATE      COMMAND                          WHEN\n",
                "   7  failed     make -j8 all                     2 h ago\n",
                "1234  completed  sha256sum /usr/share/dict/words  now\n",
            )
        );
    }

    #[test]
    fn the_flexible_column_gives_way() {
        assert_eq!(
            jobs().render(Some(44), Paint::plain(), true),
            concat!(
                "  ID  STATE      COMMAND             WHEN\n",
                "   7  failed     make -j8 all        2 h ago\n",
                "1234  completed  sha256sum /usr/sh…  now\n",
            )
        );
    }

    #[test]
    fn a_table_fits_whatever_the_width_and_no_heading_is_cut() {
        for width in 4..80 {
            let text = jobs().render(Some(width), Paint::plain(), true);
            assert!(widest_line(&text) <= width, "{width}:\n{text}");
            let headings = text.lines().next().unwrap();
            assert!(!headings.contains(ELLIPSIS), "{width}:\n{text}");
        }
    }

    #[test]
    fn wide_letters_take_two_cells() {
        let mut table = Table::new([Column::flexible("NAME"), Column::left("STATE")]);
        table.row(["夜间构建任务".into(), "pending".into()]);
        table.row(["nightly".into(), "pending".into()]);
        assert_eq!(
            table.render(None, Paint::plain(), false),
            "夜间构建任务  pending\nnightly       pending\n"
        );
        for width in 12..24 {
            let text = table.render(Some(width), Paint::plain(), true);
            assert!(widest_line(&text) <= width, "{width}:\n{text}");
        }
    }

    #[test]
    fn a_cut_text_is_never_wider_than_asked_and_keeps_marks_with_their_letter() {
        assert_eq!(truncate("abcdef", 4), "abc…");
        assert_eq!(truncate("abcdef", 6), "abcdef");
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(truncate("abc", 1), "…");
        assert_eq!(truncate("abc", 0), "");
        for text in ["👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "🇩🇪🇫🇷🇯🇵", "a👍🏽b👍🏽c", "❤️❤️❤️❤️"]
        {
            for width in 0..8 {
                assert!(truncate(text, width).width() <= width, "{text} {width}");
            }
        }
    }

    #[test]
    fn colour_changes_neither_the_words_nor_the_columns() {
        let painted = jobs().render(Some(44), Paint::colored(), true);
        let mut bare = String::new();
        let mut rest = painted.as_str();
        while let Some(at) = rest.find('\u{1b}') {
            bare.push_str(&rest[..at]);
            rest = &rest[at..];
            rest = &rest[rest.find('m').unwrap() + 1..];
        }
        bare.push_str(rest);
        assert_eq!(bare, jobs().render(Some(44), Paint::plain(), true));
        assert!(painted.contains("\x1b[31mfailed\x1b[0m"), "{painted:?}");
    }

    #[test]
    fn a_cell_from_a_job_stays_one_line_and_cannot_steer_the_terminal() {
        let mut table = Table::new([Column::left("NAME")]);
        table.row([Cell::new("a\n\u{1b}[2Jb")]);
        assert_eq!(table.render(None, Paint::plain(), false), "a\\n\\x1b[2Jb\n");
    }

    #[test]
    fn no_line_ends_in_blanks() {
        let mut table = Table::new([Column::left("A"), Column::right("B"), Column::left("C")]);
        table.row(["long text".into(), "".into(), "".into()]);
        table.row(["".into(), "12".into(), "".into()]);
        let text = table.render(None, Paint::colored(), true);
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
        assert!(text.ends_with("\n           12\n"), "{text:?}");
    }

    #[test]
    fn facts_stand_in_a_column_and_are_never_cut() {
        let mut fields = Fields::new();
        fields.add("state", Cell::colored("failed", Role::Bad));
        fields.add("command", "x".repeat(200));
        fields.add_if("name", None::<&str>);
        fields.add_if("exit code", Some(3_i64));
        let text = fields.render(Paint::plain());
        let expected = format!(
            "state      failed\ncommand    {}\nexit code  3\n",
            "x".repeat(200)
        );
        assert_eq!(text, expected);
    }

    #[test]
    #[should_panic(expected = "a row has a cell for every column")]
    fn a_row_of_another_length_is_a_mistake() {
        Table::new([Column::left("A")]).row([]);
    }
}
