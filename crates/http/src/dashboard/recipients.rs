//! Receivers as people paste them: numbers one a line, or a list from a spreadsheet whose first line
//! names its columns. Nothing is sent while one line is at fault.

use domain::message::BATCH_MESSAGES_MAX;
use domain::phone::Recipient;

use super::list_columns::{named_separator, number_column};

/// Most characters of a faulty cell that are shown.
const SHOWN_CHARS_MAX: usize = 40;

/// One receiver with the values of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receiver {
    /// The line it stands in, counted from 1.
    pub(super) line: usize,
    /// As it was written.
    pub(super) to: String,
    /// The columns' names and this line's values.
    pub(super) values: Vec<(String, String)>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LineFault {
    /// A spreadsheet has shortened the number, as in `6.28E+12`.
    Shortened,
    /// It is no number and no group.
    NoNumber,
    /// It stands where the columns are named, and names none of numbers.
    NoColumn,
    /// It has no number at all.
    Empty,
    /// There are more lines than may be.
    TooMany,
    /// A quote is not closed, or only by the next one.
    OpenQuote,
    /// Something stands behind a closing quote.
    AfterQuote,
    /// Between quotes are other lines of the list.
    NumbersInQuotes,
    /// Nothing is left of the text with this line's values.
    NoText,
    /// The text with this line's values is too long.
    LongText,
    /// Why the gateway takes none of the messages.
    Refused(String),
}

/// What was pasted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct List {
    /// The receivers, in order.
    pub(super) receivers: Vec<Receiver>,
    /// The names of the columns, where the first line has them.
    pub(super) columns: Vec<String>,
    /// The lines at fault, with what stands there.
    pub(super) faults: Vec<(usize, String, LineFault)>,
    /// Whether its lines have several cells, and no column is named.
    pub(super) lacks_names: bool,
}

impl List {
    /// Reads what was pasted. `country` replaces a leading zero.
    pub(super) fn read(text: &str, country: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let named = text.lines().next().and_then(named_separator);
        let separator = named.unwrap_or_else(|| separator(text));
        let Rows { mut rows, faults, .. } = Rows::read(text, separator);
        if !faults.is_empty() {
            // Where its cells end is not known.
            return Self { faults, ..Self::default() };
        }
        if named.is_some() {
            rows.remove(0);
        }
        rows.retain(|(_, cells)| cells.iter().any(|cell| !cell.trim().is_empty()));
        let columns = header(&rows);
        let lacks_names = columns.is_empty() && rows.iter().any(|(_, cells)| cells.len() > 1);
        if let (true, Some(fault)) = (columns.is_empty(), unknown_header(&rows)) {
            return Self { faults: vec![fault], lacks_names, ..Self::default() };
        }
        if !columns.is_empty() {
            rows.remove(0);
        }
        let number = number_column(&columns).unwrap_or(0);
        let mut list = Self { columns, lacks_names, ..Self::default() };
        for (line, cells) in rows {
            if !list.columns.is_empty() {
                list.add(line, number, &cells, country);
                continue;
            }
            // Without names of columns each cell is a receiver: none may vanish.
            for cell in cells.iter().filter(|cell| !cell.trim().is_empty()) {
                list.add(line, 0, std::slice::from_ref(cell), country);
            }
        }
        list
    }

    /// Whether it is more than one number or group that was written alone.
    pub(super) fn is_list(&self) -> bool {
        self.receivers.len() > 1 || !self.columns.is_empty()
    }

    fn add(&mut self, line: usize, number: usize, cells: &[String], country: &str) {
        let to = cells.get(number).map(|cell| cell.trim()).unwrap_or_default().to_owned();
        let fault = if self.receivers.len() >= BATCH_MESSAGES_MAX {
            Some(LineFault::TooMany)
        } else if to.is_empty() {
            Some(LineFault::Empty)
        } else if is_shortened(&to) {
            Some(LineFault::Shortened)
        } else {
            Recipient::parse(&to, country).is_err().then_some(LineFault::NoNumber)
        };
        if let Some(fault) = fault {
            self.faults.push((line, to, fault));
            return;
        }
        let values = self.columns.iter().enumerate().map(|(n, name)| {
            (name.clone(), cells.get(n).map(|cell| cell.trim().to_owned()).unwrap_or_default())
        });
        self.receivers.push(Receiver { line, to, values: values.collect() });
    }

    /// The variables of a text that no column has.
    pub(super) fn unknown_variables(&self, text: &str) -> Vec<String> {
        let known = |name: &String| {
            self.columns.iter().any(|column| column.eq_ignore_ascii_case(name.trim()))
        };
        variables(text).into_iter().filter(|name| !known(name)).collect()
    }
}

impl Receiver {
    /// The text with this line's values in place of `{column}`.
    pub(super) fn filled(&self, text: &str) -> String {
        let mut rest = text;
        let mut filled = String::with_capacity(text.len());
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let value = after.split_once('}').and_then(|(name, behind)| {
                let is_it =
                    |(column, _): &&(String, String)| column.eq_ignore_ascii_case(name.trim());
                self.values.iter().find(is_it).map(|(_, value)| (value, behind))
            });
            match value {
                Some((value, behind)) => {
                    filled.push_str(value);
                    rest = behind;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled + rest
    }
}

/// The names in braces of a text.
fn variables(text: &str) -> Vec<String> {
    let opened = text.split('{').skip(1);
    let names = opened.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.len() <= 40
            && name.chars().all(|c| c.is_alphanumeric() || "_- ".contains(c))
    };
    names.filter(is_name).map(str::to_owned).collect()
}

/// What stands between the cells: the mark that the first line has most of.
fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |mark: char| first.matches(mark).count();
    let best = ['\t', ';', ','].into_iter().max_by_key(|mark| count(*mark));
    best.filter(|mark| count(*mark) > 0).unwrap_or(',')
}

/// Where a cell stands with its quotes; the line its first quote is in.
#[derive(Clone, Copy)]
enum Quoting {
    No,
    Open(usize),
    Closed(usize),
}

/// Reads rows. Quoted cells may hold separators, line ends and doubled quotes.
struct Rows {
    separator: char,
    /// Each with the line it begins in.
    rows: Vec<(usize, Vec<String>)>,
    faults: Vec<(usize, String, LineFault)>,
    row: Vec<String>,
    cell: String,
    quoting: Quoting,
    line: usize,
    began: usize,
}

impl Rows {
    fn read(text: &str, separator: char) -> Self {
        let (rows, faults, row, cell) = Default::default();
        let quoting = Quoting::No;
        let mut read = Self { separator, rows, faults, row, cell, quoting, line: 1, began: 1 };
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let is_open = matches!(read.quoting, Quoting::Open(_));
            match c {
                '"' if is_open && chars.peek() == Some(&'"') => {
                    chars.next();
                    read.cell.push('"');
                }
                '"' => read.quote(),
                c if c == separator && !is_open => read.end_cell(),
                '\r' => {}
                '\n' => read.end_line(is_open),
                c => read.push(c),
            }
        }
        if let Quoting::Open(line) = read.quoting {
            read.fault(line, LineFault::OpenQuote);
        }
        read.end_line(false);
        read
    }

    fn quote(&mut self) {
        match self.quoting {
            Quoting::Open(line) => self.quoting = Quoting::Closed(line),
            Quoting::No if self.cell.trim().is_empty() => {
                self.cell.clear();
                self.quoting = Quoting::Open(self.line);
            }
            _ => self.push('"'),
        }
    }

    fn push(&mut self, c: char) {
        if let Quoting::Closed(line) = self.quoting {
            if c.is_whitespace() {
                return;
            }
            // The end that was found is another cell's beginning, where the quote went on over lines.
            let is_over_lines = self.cell.contains('\n');
            let fault = if is_over_lines { LineFault::OpenQuote } else { LineFault::AfterQuote };
            self.fault(line, fault);
            self.quoting = Quoting::No;
        }
        self.cell.push(c);
    }

    fn end_cell(&mut self) {
        if let Quoting::Closed(line) = self.quoting
            && self.has_swallowed_numbers()
        {
            self.fault(line, LineFault::NumbersInQuotes);
        }
        self.quoting = Quoting::No;
        self.row.push(std::mem::take(&mut self.cell));
    }

    fn end_line(&mut self, is_open: bool) {
        self.line += 1;
        if is_open {
            self.cell.push('\n');
            return;
        }
        self.end_cell();
        self.rows.push((self.began, std::mem::take(&mut self.row)));
        self.began = self.line;
    }

    /// Whether the cell holds whole lines of the list, with numbers of their own.
    fn has_swallowed_numbers(&self) -> bool {
        let is_number = |cell: &str| {
            let cell = cell.trim_matches(|c: char| c.is_whitespace() || c == '"');
            cell.bytes().filter(u8::is_ascii_digit).count() >= 8
                && cell.chars().all(|c| c.is_ascii_digit() || "+-. ()".contains(c))
        };
        let is_row =
            |line: &str| line.contains(self.separator) && line.split(self.separator).any(is_number);
        self.cell.lines().skip(1).any(is_row)
    }

    fn fault(&mut self, line: usize, fault: LineFault) {
        let first = self.cell.lines().next().unwrap_or_default();
        let shown = first.chars().take(SHOWN_CHARS_MAX);
        self.faults.push((line, std::iter::once('"').chain(shown).collect(), fault));
    }
}

/// The names of the columns: the first line, when none of its cells is a number and one names it.
fn header(rows: &[(usize, Vec<String>)]) -> Vec<String> {
    let Some((_, cells)) = rows.first() else { return Vec::new() };
    let names: Vec<String> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
    let is_header = !has_number(cells) && number_column(&names).is_some();
    if is_header { names } else { Vec::new() }
}

/// A first line that holds no receiver, with others below it.
fn unknown_header(rows: &[(usize, Vec<String>)]) -> Option<(usize, String, LineFault)> {
    let (line, cells) = rows.first().filter(|(_, cells)| rows.len() > 1 && !has_number(cells))?;
    if cells.iter().any(|cell| cell.contains('@')) {
        return None;
    }
    let names: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
    let shown = names.join(", ").chars().take(SHOWN_CHARS_MAX).collect();
    Some((*line, shown, LineFault::NoColumn))
}

fn has_number(cells: &[String]) -> bool {
    cells
        .iter()
        .any(|cell| cell.chars().filter(char::is_ascii_digit).count() >= 5 || is_shortened(cell))
}

/// Whether a spreadsheet wrote the number as a power of ten.
fn is_shortened(text: &str) -> bool {
    let Some((front, power)) = text.split_once(['e', 'E']) else { return false };
    let is_front =
        !front.is_empty() && front.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
    let power = power.strip_prefix('+').unwrap_or(power);
    is_front && !power.is_empty() && power.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tos(list: &List) -> Vec<&str> {
        list.receivers.iter().map(|receiver| receiver.to.as_str()).collect()
    }

    #[test]
    fn numbers_and_groups_stand_one_a_line() {
        let list = List::read("0812-3456-7890\r\n\n+62 813 1111 2222\n120363@g.us\n", "62");
        assert_eq!(tos(&list), ["0812-3456-7890", "+62 813 1111 2222", "120363@g.us"]);
        assert_eq!(list.receivers[1].line, 3);
        assert!(list.columns.is_empty() && list.faults.is_empty(), "{list:?}");
        assert_eq!(tos(&List::read("628123456789", "62")), ["628123456789"]);
        let one_line = List::read("08123456789, 08133456789;08143456789", "62");
        assert_eq!(one_line.receivers.len() + one_line.faults.len(), 2, "{one_line:?}");
        assert_eq!(
            tos(&List::read("08123456789,08133456789", "62")),
            ["08123456789", "08133456789"]
        );
        assert_eq!(List::read("Sri,08123456789", "62").faults.len(), 1);
    }

    #[test]
    fn a_spreadsheets_list_has_columns() {
        for text in [
            "\u{feff}Nama;Nomor;Tagihan\nSri;08123456789;\"Rp 1.000;00\"\n\"Budi \"\"B\"\"\";62813000111;5",
            "Nama,Nomor,Tagihan\nSri,08123456789,Rp 1.000;00\n\"Budi \"\"B\"\"\",62813000111,5",
            "Nama\tNomor\tTagihan\nSri\t08123456789\tRp 1.000;00\nBudi \"B\"\t62813000111\t5",
        ] {
            let list = List::read(text, "62");
            assert!(list.faults.is_empty(), "{text}: {list:?}");
            assert_eq!(tos(&list), ["08123456789", "62813000111"], "{text}");
            let filled = |n: usize| list.receivers[n].filled("{nama}, {Tagihan} {x} {");
            assert_eq!(filled(0), "Sri, Rp 1.000;00 {x} {");
            assert_eq!(filled(1), "Budi \"B\", 5 {x} {");
            assert_eq!(list.unknown_variables("{nama} {x} {}"), ["x"]);
        }
    }

    #[test]
    fn a_list_without_a_column_of_numbers_says_so_once() {
        let list = List::read("Nama;Alamat\nSri;Jl. Mawar 1\nBudi;Jl. Melati 2", "62");
        assert_eq!(list.faults, [(1, "Nama, Alamat".to_owned(), LineFault::NoColumn)]);
        assert!(list.receivers.is_empty() && list.lacks_names);
        let list = List::read("sep=;\nNama;No. Telp\nSri, S.E.;08123456789", "62");
        assert_eq!((tos(&list), list.receivers[0].line), (vec!["08123456789"], 3), "{list:?}");
        assert_eq!(list.receivers[0].filled("{nama}"), "Sri, S.E.");
        let list = List::read("Sri;08123456789\nBudi;08123456780", "62");
        assert!(list.lacks_names && list.faults.len() == 2, "{list:?}");
        assert!(!List::read("08123456789\nSri", "62").lacks_names);
    }

    #[test]
    fn faults_name_their_lines() {
        let list = List::read("phone,name\n6.28E+12,a\n,b\nhello,c\n08123456789,d\n", "62");
        let faults: Vec<_> = list.faults.iter().map(|(line, _, fault)| (*line, fault)).collect();
        let expected =
            [(2, &LineFault::Shortened), (3, &LineFault::Empty), (4, &LineFault::NoNumber)];
        assert_eq!(faults, expected);
        assert_eq!(tos(&list), ["08123456789"]);
        let long = "08123456789\n".repeat(BATCH_MESSAGES_MAX + 1);
        let list = List::read(&long, "62");
        assert_eq!(list.faults[0].2, LineFault::TooMany);
    }

    #[test]
    fn a_stray_quote_swallows_no_line() {
        let faults = |text: &str| {
            let list = List::read(text, "62");
            assert!(list.receivers.is_empty() || list.faults.is_empty(), "{text}: {list:?}");
            let faults = list.faults.into_iter();
            faults.collect::<Vec<_>>()
        };
        let at = |line, text: &str, fault| vec![(line, text.to_owned(), fault)];
        let head = "number,name\n628123456789,";
        let rest = "\n628123456780,Budi\n628123456781,Cici";
        use LineFault::{AfterQuote, NumbersInQuotes, OpenQuote};
        for (text, expected) in [
            (format!("{head}\"Ani{rest}"), at(2, "\"Ani", OpenQuote)),
            (format!("{head}Ani\n62812345677,\"Dedi{rest}"), at(3, "\"Dedi", OpenQuote)),
            (format!("{head}\"Ani{rest}\n628123456782,\"Dedi\""), at(2, "\"Ani", OpenQuote)),
            (format!("{head}\"Ani{rest}\"\n628123456782,Dedi"), at(2, "\"Ani", NumbersInQuotes)),
            (format!("{head}\"A\" ni{rest}"), at(2, "\"A", AfterQuote)),
            (format!("number,\"name\n628123456789,Ani{rest}"), at(1, "\"name", OpenQuote)),
            (
                "628123456789\n\"628123456780\n628123456781".to_owned(),
                at(2, "\"628123456780", OpenQuote),
            ),
            ("\"".to_owned(), at(1, "\"", OpenQuote)),
        ] {
            assert_eq!(faults(&text), expected, "{text}");
        }
        let whole = format!("{head}\"Ani \"\"A\"\"\nJl. Mawar 1, Jakarta 12190\" {rest}");
        assert_eq!(faults(&whole), []);
        assert_eq!(List::read(&whole, "62").receivers.len(), 3);
        assert_eq!(faults(&format!("{head}TV 32\"{rest}")), []);
    }

    #[test]
    fn a_list_is_more_than_a_number() {
        for (text, is_list) in [
            ("628123456789", false),
            ("120363@g.us\n", false),
            ("number\n628123456789", true),
            ("628123456789\n628123456780", true),
        ] {
            assert_eq!(List::read(text, "62").is_list(), is_list, "{text}");
        }
    }

    #[test]
    fn values_are_never_read_as_variables() {
        let list = List::read("nomor,nama\n08123456789,{nomor}\n", "62");
        assert_eq!(list.receivers[0].filled("Hi {nama}"), "Hi {nomor}");
    }
}
