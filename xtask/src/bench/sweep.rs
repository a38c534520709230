//! A sweep: one work at several lengths and several batches, and how time grows with them.

use super::plan::Case;
use super::plot::{Dot, Panel};
use super::points::Points;
use super::report::Part;
use super::rows::{Group, RATIO, RATIO_NOTE};
use super::stats::{max, median, min, table};

/// What the sweep of one work found.
pub(super) fn part(points: &Points, groups: &[Group]) -> Part {
    let Some(Case { work, preset, .. }) = groups.first().map(|group| &group.case) else {
        return Part::default();
    };
    let head = [
        "frames",
        "batch",
        "side",
        "median s",
        "min s",
        "max s",
        RATIO,
        "peak MiB",
        "ms a frame",
    ];
    let mut rows = Vec::new();
    for group in groups {
        for side in &group.sides {
            let case = &group.case;
            let mut row = vec![
                case.frames.to_string(),
                case.batch.to_string(),
                side.side.clone(),
            ];
            row.extend(group.times(side));
            let time = per_frame(group, &side.side);
            row.push(time.map_or_else(String::new, |time| format!("{:.3}", time * 1e3)));
            rows.push(row);
        }
    }
    let (lengths, batches) = (points.lengths(groups), points.batches(groups));
    let mut text = format!(
        "{RATIO_NOTE} Frames of a row, 50 a second.\n\n{}",
        table(&head, &rows)
    );
    text += &growth("seconds", &lengths, |case| case.seconds());
    text += &growth("batch", &batches, |case| case.batch as f64);
    let panel =
        |title: String, x: &'static str, row: &[&Group], at: fn(&Case) -> f64| Panel::Lines {
            title,
            x,
            y: "s",
            lines: lines(row, at),
        };
    let name = work.name();
    let base = points.base;
    Part {
        key: "sweep",
        title: format!("Sweep of {name}, {preset}"),
        text,
        rows: groups.iter().flat_map(Group::json).collect(),
        panels: vec![
            panel(
                format!("{name}, {preset}, batch 1"),
                "seconds of audio",
                &lengths,
                Case::seconds,
            ),
            panel(
                format!("{name}, {preset}, {base} s"),
                "batch",
                &batches,
                |case| case.batch as f64,
            ),
        ],
        failures: groups.iter().flat_map(Group::failures).collect(),
        unsteady: groups.iter().flat_map(Group::unsteady).collect(),
        // A side that fails at some size is what a sweep is there to find.
        may_fail: true,
        versions: groups.iter().flat_map(Group::versions).collect(),
    }
}

/// A side's median for each frame of each row.
fn per_frame(group: &Group, side: &str) -> Option<f64> {
    let side = group.sides.iter().find(|other| other.side == side)?;
    let frames = group.case.frames * group.case.batch;
    Some(median(&side.result.as_ref().ok()?.seconds) / frames as f64)
}

/// Time per frame at each point over that at the first, and total times where one point is twice
/// another.
fn growth(what: &str, row: &[&Group], at: impl Fn(&Case) -> f64) -> String {
    let Some((first, rest)) = row.split_first() else {
        return String::new();
    };
    let values: Vec<f64> = row.iter().map(|group| at(&group.case)).collect();
    let twice: Vec<(usize, usize)> = (0..row.len())
        .flat_map(|a| (a + 1..row.len()).map(move |b| (a, b)))
        .filter(|&(a, b)| values[b] == 2.0 * values[a])
        .collect();
    let mut head = vec!["side".to_owned()];
    head.extend(values.iter().skip(1).map(|value| format!("{value}")));
    head.extend(
        twice
            .iter()
            .map(|&(a, b)| format!("{} over {}", values[b], values[a])),
    );
    let cell = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
    let rows: Vec<Vec<String>> = first
        .sides
        .iter()
        .map(|side| {
            let time = |group: &Group| per_frame(group, &side.side);
            let over = |a: &Group, b: &Group| Some(time(b)? / time(a)?);
            let mut cells = vec![side.side.clone()];
            cells.extend(rest.iter().map(|group| cell(over(first, group))));
            cells.extend(
                twice
                    .iter()
                    .map(|&(a, b)| cell(over(row[a], row[b]).map(|r| r * 2.0))),
            );
            cells
        })
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    format!(
        "\nGrowth with {what}: time per frame relative to that at {} (1 is growth in proportion), then the whole \
         time of one size over that of half of it (2 is in proportion).\n\n{}",
        values[0],
        table(&head, &rows)
    )
}

/// A line for each side, without the points where it failed.
fn lines(row: &[&Group], at: fn(&Case) -> f64) -> Vec<(String, Vec<Dot>)> {
    let Some(first) = row.first() else {
        return Vec::new();
    };
    let line = |name: &String| {
        let dot = |group: &&Group| {
            let side = group.sides.iter().find(|side| side.side == *name)?;
            let seconds = &side.result.as_ref().ok()?.seconds;
            Some(Dot {
                x: at(&group.case),
                middle: median(seconds),
                low: min(seconds),
                high: max(seconds),
            })
        };
        (name.clone(), row.iter().filter_map(dot).collect())
    };
    first.sides.iter().map(|side| line(&side.side)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sides::Role;
    use super::super::testing::{group, side};
    use super::*;

    /// Ours takes what `ours` gives for (seconds, batch), the peer a second a row; it fails where
    /// there are more than two.
    fn swept(points: &Points, ours: fn(f64, f64) -> f64) -> Part {
        let at = |case: Case| {
            let (seconds, batch) = (case.seconds(), case.batch as f64);
            let theirs: &[f64] = if case.batch > 2 { &[] } else { &[batch] };
            let sides = vec![
                side("ours", Role::Ours, &[ours(seconds, batch)]),
                side("theirs", Role::Peer, theirs),
            ];
            Group { case, sides }
        };
        let cases = points.cases(&group(vec![]).case);
        part(points, &cases.into_iter().map(at).collect::<Vec<_>>())
    }

    fn after(part: &Part, heading: &str, side: &str) -> Vec<String> {
        let text = part.text.split(heading).nth(1).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.contains(side))
            .unwrap_or_default();
        line.split_whitespace()
            .filter(|word| *word != "|")
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn growth_is_told_per_frame_and_per_doubling() {
        let points = Points::new(vec![10, 30, 60], vec![1, 2, 4], 10);
        // In proportion to the square of the length, and to the batch.
        let part = swept(&points, |seconds, batch| seconds * seconds * batch);
        // 30 and 60 against 10, then 60 over 30
        assert_eq!(
            after(&part, "Growth with seconds", "ours"),
            ["ours", "3.00", "6.00", "4.00"]
        );
        // 2 and 4 against 1, then 2 over 1 and 4 over 2
        assert_eq!(
            after(&part, "Growth with batch", "ours"),
            ["ours", "1.00", "1.00", "2.00", "2.00"]
        );
        assert!(part.text.contains("60 over 30"), "{}", part.text);
        // 100 s for 500 frames
        assert_eq!(
            after(&part, "ms a frame", "ours")
                .last()
                .map(String::as_str),
            Some("200.000")
        );
    }

    #[test]
    fn a_side_that_fails_leaves_a_gap() {
        let points = Points::new(vec![10], vec![1, 2, 4], 10);
        let part = swept(&points, |seconds, batch| seconds * batch);
        assert_eq!(
            after(&part, "Growth with batch", "theirs"),
            ["theirs", "1.00", "2.00"]
        );
        assert_eq!(part.failures.len(), 1);
        assert!(part.may_fail);
        let Some(Panel::Lines { lines, .. }) = part.panels.get(1) else {
            panic!("the second picture is of the batches");
        };
        let dots = |line: usize| lines[line].1.iter().map(|dot| dot.x).collect::<Vec<_>>();
        assert_eq!((dots(0), dots(1)), (vec![1.0, 2.0, 4.0], vec![1.0, 2.0]));
    }
}
