//! The sides of one case, as rows of a table and of the JSON, as bars, and as what failed.

use serde_json::{Value, json};

use super::machine::Facts;
use super::measure::{Measured, Timed};
use super::plan::Case;
use super::plot::Bar;
use super::sides::Role;
use super::stats::{max, median, min};

/// What the column of ratios is called; `RATIO_NOTE` says more.
pub(super) const RATIO: &str = "peer time / its time";
pub(super) const RATIO_NOTE: &str = "The ratio is the first peer's median over the side's own: above 1, the side is \
     faster than that peer.";

/// Slowest over fastest run, above which a side is called unsteady.
const UNSTEADY: f64 = 1.5;

/// One case, and everyone who was measured on it.
pub(super) struct Group {
    pub(super) case: Case,
    pub(super) sides: Vec<Measured>,
}

impl Group {
    /// The first peer's time over this side's; nothing where there is no such peer.
    pub(super) fn ratio(&self, side: &Measured) -> Option<f64> {
        let peer = self.sides.iter().find(|side| side.role == Role::Peer)?;
        let timed = |side: &Measured| Some(median(&side.result.as_ref().ok()?.seconds));
        Some(timed(peer)? / timed(side)?)
    }

    /// Cells from a failed side's name on: median, least, most, ratio, peak.
    pub(super) fn times(&self, side: &Measured) -> Vec<String> {
        let Ok(timed) = &side.result else {
            return vec![
                "failed".to_owned(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ];
        };
        let peak = timed.stopped.peak_mib;
        vec![
            format!("{:.3}", median(&timed.seconds)),
            format!("{:.3}", min(&timed.seconds)),
            format!("{:.3}", max(&timed.seconds)),
            self.ratio(side)
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            peak.map_or_else(|| "?".to_owned(), |mib| format!("{mib:.0}")),
        ]
    }

    /// What each side did; blank where it failed.
    pub(super) fn shape(&self, side: &Measured) -> Vec<String> {
        let counts = side.result.as_ref().map(|timed| timed.shape.counts());
        let cell = |index: usize| match &counts {
            Ok(counts) => counts[index].1.to_string(),
            Err(_) => String::new(),
        };
        (0..4).map(cell).collect()
    }

    pub(super) fn json(&self) -> Vec<Value> {
        self.sides.iter().map(|side| self.row(side)).collect()
    }

    fn row(&self, side: &Measured) -> Value {
        let Case {
            work,
            preset,
            frames,
            batch,
            steps,
        } = &self.case;
        let mut row = json!({
            "work": work.name(), "preset": preset, "batch": batch, "steps": steps, "side": side.side,
        });
        let more = match &side.result {
            Ok(timed) => timed_row(timed, self.ratio(side)),
            Err(why) => json!({"frames": frames, "failed": why}),
        };
        if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
            row.extend(more);
        }
        row
    }

    pub(super) fn bars(&self) -> Vec<Bar> {
        let bar = |side: &Measured| {
            let seconds = &side.result.as_ref().ok()?.seconds;
            Some(Bar {
                label: side.side.clone(),
                middle: median(seconds),
                low: min(seconds),
                high: max(seconds),
            })
        };
        self.sides.iter().filter_map(bar).collect()
    }

    pub(super) fn failures(&self) -> Vec<String> {
        let (what, frames, batch) = self.size();
        let failure = |side: &Measured| {
            let why = side.result.as_ref().err()?;
            let side = &side.side;
            Some(format!(
                "{what}, {frames} frames, batch {batch}: {side}: {why}"
            ))
        };
        self.sides.iter().filter_map(failure).collect()
    }

    /// Sides whose slowest run took much longer than their fastest: something else ran, and what
    /// is computed from their medians says little.
    pub(super) fn unsteady(&self) -> Vec<String> {
        let sides = self.sides.iter().filter_map(|side| {
            let seconds = &side.result.as_ref().ok()?.seconds;
            let times = max(seconds) / min(seconds);
            let (what, frames, batch) = self.size();
            (times > UNSTEADY).then(|| {
                format!(
                    "{what}, {frames} frames, batch {batch}: {}: the slowest run took {times:.1} times the fastest",
                    side.side
                )
            })
        });
        sides.collect()
    }

    fn size(&self) -> (&'static str, usize, usize) {
        (self.case.work.name(), self.case.frames, self.case.batch)
    }

    /// What the sides say of their versions.
    pub(super) fn versions(&self) -> Facts {
        let facts = self.sides.iter().filter_map(|side| {
            let versions = side.result.as_ref().ok()?.stopped.versions.clone()?;
            Some((side.side.clone(), versions))
        });
        facts.collect()
    }
}

fn timed_row(timed: &Timed, ratio: Option<f64>) -> Value {
    let shape = &timed.shape;
    json!({
        "seconds": timed.seconds,
        "median_s": median(&timed.seconds),
        "min_s": min(&timed.seconds),
        "max_s": max(&timed.seconds),
        "ratio": ratio,
        "peak_mib": timed.stopped.peak_mib,
        "passes": shape.passes, "levels": shape.levels,
        "frames": shape.frames, "parameters": shape.parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{group, side};
    use super::*;

    fn ratios(group: &Group) -> Vec<Option<f64>> {
        let ratio = |side| group.ratio(side);
        group.sides.iter().map(ratio).collect()
    }

    #[test]
    fn the_ratio_is_the_first_peers_time_over_the_sides() {
        let group = group(vec![
            side("ours", Role::Ours, &[3.0, 2.0, 2.5]),
            side("peer", Role::Peer, &[5.0, 4.0, 6.0]),
            side("second peer", Role::Peer, &[10.0]),
        ]);
        assert_eq!(ratios(&group), [Some(2.0), Some(1.0), Some(0.5)]);
        assert_eq!(
            group.times(&group.sides[0]),
            ["2.500", "2.000", "3.000", "2.00", "100"]
        );
    }

    #[test]
    fn there_is_no_ratio_to_what_failed() {
        let failed = group(vec![
            side("ours", Role::Ours, &[3.0]),
            side("peer", Role::Peer, &[]),
        ]);
        assert_eq!(ratios(&failed), [None, None]);
    }

    #[test]
    fn what_failed_is_told() {
        let group = group(vec![
            side("ours", Role::Ours, &[3.0]),
            side("peer", Role::Peer, &[]),
        ]);
        assert_eq!(
            group.failures(),
            ["generate, 500 frames, batch 2: peer: out of memory"]
        );
        assert_eq!(group.times(&group.sides[1])[0], "failed");
        assert_eq!(group.shape(&group.sides[1]), ["", "", "", ""]);
        assert_eq!(group.json()[1]["failed"], json!("out of memory"));
        assert_eq!(group.json()[0]["failed"], Value::Null);
        assert_eq!(group.bars().len(), 1);
    }

    #[test]
    fn an_unsteady_side_is_told() {
        let group = group(vec![
            side("ours", Role::Ours, &[2.0, 2.9]),
            side("peer", Role::Peer, &[2.0, 3.0, 5.0]),
            side("gone", Role::Peer, &[]),
        ]);
        assert_eq!(
            group.unsteady(),
            ["generate, 500 frames, batch 2: peer: the slowest run took 2.5 times the fastest"]
        );
    }

    #[test]
    fn json_holds_every_run_and_the_size() {
        let group = group(vec![
            side("ours", Role::Ours, &[3.0, 2.0, 2.5]),
            side("peer", Role::Peer, &[5.0]),
        ]);
        let expect = json!({
            "work": "generate", "preset": "reference", "batch": 2, "steps": "16,1", "side": "ours",
            "seconds": [3.0, 2.0, 2.5], "median_s": 2.5, "min_s": 2.0, "max_s": 3.0, "ratio": 2.0,
            "peak_mib": 99.5, "passes": 27, "levels": 12, "frames": 500, "parameters": 7,
        });
        assert_eq!(group.json()[0], expect);
        assert_eq!(
            group.versions()[1],
            ("peer".to_owned(), "peer 1".to_owned())
        );
    }
}
