//! Two traces of one hit side by side: takes their lines and a width; gives rows in which only what differs is marked,
//! as `diff -y` does: `|` differs, `<` is on the left only, `>` on the right only.

use unicode_width::UnicodeWidthChar;

use super::text::{Line, Tone};
use crate::one_line::one_line;

/// A row of both columns; a long line takes several.
pub(super) struct Row {
    pub tone: Tone,
    pub text: String,
}

/// What a row stands for.
enum Pair<'l> {
    Same(&'l Line),
    Changed(&'l Line, &'l Line),
    Left(&'l Line),
    Right(&'l Line),
}

/// What stands on which side, and a line below.
pub(super) fn heading(left: &str, right: &str, width: usize) -> Vec<Row> {
    let line = |text: &str| Line { tone: Tone::Heading, text: one_line(text).into_owned() };
    let (left, right) = (line(left), line(right));
    let mut rows = pair_rows(Tone::Heading, ' ', &left.text, &right.text, column(width));
    rows.push(Row { tone: Tone::Faint, text: "-".repeat(width) });
    rows
}

fn column(width: usize) -> usize {
    width.saturating_sub(3) / 2
}

/// All rows. Whether anything differs tell the marks.
pub(super) fn rows(left: &[Line], right: &[Line], width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for pair in pairs(left, right) {
        let (mark, tone, left, right) = match pair {
            Pair::Same(line) => (' ', line.tone, &*line.text, &*line.text),
            Pair::Changed(left, right) => ('|', Tone::Waiting, &*left.text, &*right.text),
            Pair::Left(line) => ('<', Tone::Bad, &*line.text, ""),
            Pair::Right(line) => ('>', Tone::Good, "", &*line.text),
        };
        rows.extend(pair_rows(tone, mark, left, right, column(width)));
    }
    rows
}

fn pair_rows(tone: Tone, mark: char, left: &str, right: &str, column: usize) -> Vec<Row> {
    let (left, right) = (folded(left, column), folded(right, column));
    let rows = (0..left.len().max(right.len())).map(|row| {
        let part = |column: &[(String, usize)]| column.get(row).cloned().unwrap_or_default();
        let ((left, taken), (right, _)) = (part(&left), part(&right));
        let text = format!("{left}{:space$} {mark} {right}", "", space = column.saturating_sub(taken));
        Row { tone, text: text.trim_end().to_owned() }
    });
    rows.collect()
}

/// A line in parts that fit a column, each with its width; broken between words where there are any.
fn folded(line: &str, column: usize) -> Vec<(String, usize)> {
    let width = |text: &str| text.chars().map(|c| c.width().unwrap_or(0)).sum();
    let mut parts = Vec::new();
    let (mut part, mut taken) = (String::new(), 0);
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if taken + wide > column && taken > 0 {
            let end = part.trim_start().rfind(' ').map_or(part.len(), |_| part.rfind(' ').unwrap_or(0) + 1);
            let rest = part.split_off(end);
            parts.push((part.clone(), width(&part)));
            (part, taken) = (rest.clone(), width(&rest));
        }
        part.push(c);
        taken += wide;
    }
    parts.push((part, taken));
    parts
}

/// How many lines are compared with how many others. Beyond that, the traces of a hundred events say, lines face each other
/// in their order alone.
const MAX_COMPARED: usize = 10_000_000;

/// Lines that are the same face each other; of what lies between, lines face each other in their order.
fn pairs<'l>(left: &'l [Line], right: &'l [Line]) -> Vec<Pair<'l>> {
    let is_same = |(line, other): &(&Line, &Line)| line.text == other.text;
    let start = left.iter().zip(right).take_while(is_same).count();
    let (head, left) = left.split_at(start);
    let (_, right) = right.split_at(start);
    let end = left.iter().rev().zip(right.iter().rev()).take_while(is_same).count();
    let (left, tail) = left.split_at(left.len() - end);
    let (right, _) = right.split_at(right.len() - end);
    let mut pairs: Vec<_> = head.iter().map(Pair::Same).collect();
    if left.len().saturating_mul(right.len()) > MAX_COMPARED {
        face(&mut left.iter().collect(), &mut right.iter().collect(), &mut pairs);
    } else {
        pairs.extend(aligned(left, right));
    }
    pairs.extend(tail.iter().map(Pair::Same));
    pairs
}

fn aligned<'l>(left: &'l [Line], right: &'l [Line]) -> Vec<Pair<'l>> {
    // How long the common part of the rests is, from each pair of beginnings.
    let mut common = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for (i, line) in left.iter().enumerate().rev() {
        for (j, other) in right.iter().enumerate().rev() {
            let longest =
                if line.text == other.text { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
            common[i][j] = longest;
        }
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    loop {
        let facing = left.get(i).zip(right.get(j)).filter(|(line, other)| line.text == other.text);
        if let Some((line, _)) = facing {
            face(&mut gone, &mut come, &mut pairs);
            pairs.push(Pair::Same(line));
            (i, j) = (i + 1, j + 1);
        } else if j < right.len() && (i == left.len() || common[i][j + 1] > common[i + 1][j]) {
            come.extend(right.get(j));
            j += 1;
        } else if i < left.len() {
            gone.extend(left.get(i));
            i += 1;
        } else {
            face(&mut gone, &mut come, &mut pairs);
            return pairs;
        }
    }
}

fn face<'l>(gone: &mut Vec<&'l Line>, come: &mut Vec<&'l Line>, pairs: &mut Vec<Pair<'l>>) {
    let facing = gone.len().min(come.len());
    pairs.extend(gone.drain(..facing).zip(come.drain(..facing)).map(|(left, right)| Pair::Changed(left, right)));
    pairs.extend(gone.drain(..).map(Pair::Left));
    pairs.extend(come.drain(..).map(Pair::Right));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(left: &str, right: &str) -> String {
        let lines = |text: &str| -> Vec<Line> {
            text.lines().map(|text| Line { tone: Tone::Plain, text: text.to_owned() }).collect()
        };
        rows(&lines(left), &lines(right), 15).iter().map(|row| format!("{}\n", row.text)).collect()
    }

    #[test]
    fn only_what_differs_is_marked() {
        insta::assert_snapshot!(marked("a\nb\nc\nd", "a\nx\nc\ny\nd\nz"), @r"
        a        a
        b      | x
        c        c
               > y
        d        d
               > z
        ");
        insta::assert_snapshot!(marked("a\nlonger than six", "a\nlonger as well\nand more"), @r"
        a        a
        longer | longer
         than  |  as
        six    | well
               > and
               > more
        ");
        let many = |first: usize| (first..first + 4_000).map(|line| format!("{line}\n")).collect::<String>();
        let rows = marked(&format!("a\n{}z", many(0)), &format!("a\n{}z", many(1)));
        assert_eq!(
            rows.lines().filter(|row| row.contains('|')).count(),
            4_000,
            "too many are not compared with each other"
        );
        assert!(rows.starts_with("a        a\n") && rows.ends_with("z        z\n"), "{}", rows.len());
        insta::assert_snapshot!(marked("a\nb", ""), @r"
        a      <
        b      <
        ");
    }
}
