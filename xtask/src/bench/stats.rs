//! Medians, extremes and the layout of a table.

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The smallest value; infinity of nothing.
pub(super) fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The largest value; minus infinity of nothing.
pub(super) fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// A Markdown table, its columns padded so that it reads as plain text too. The first column is
/// set to the left, the others to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(head[column].chars().count()).max(3)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::from("|");
        for (column, (cell, width)) in cells.zip(&widths).enumerate() {
            text += &if column == 0 {
                format!(" {cell:<width$} |")
            } else {
                format!(" {cell:>width$} |")
            };
        }
        text + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    text.push('|');
    for (column, width) in widths.iter().enumerate() {
        text += &format!(
            "{}{}|",
            "-".repeat(width + 1),
            if column == 0 { '-' } else { ':' }
        );
    }
    text.push('\n');
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[5.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 10.0]), 3.0);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn extremes() {
        assert_eq!(
            (min(&[3.0, -1.0, 2.0]), max(&[3.0, -1.0, 2.0])),
            (-1.0, 3.0)
        );
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [
            vec!["généré".to_owned(), "1.5".to_owned()],
            vec!["b".to_owned(), "12.25".to_owned()],
        ];
        assert_eq!(
            table(&["work", "s"], &rows),
            "| work   |     s |\n|--------|------:|\n| généré |   1.5 |\n| b      | 12.25 |\n"
        );
    }
}
