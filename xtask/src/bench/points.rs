//! The sizes of a sweep: a row of lengths and a row of batches.

use super::plan::{Case, FRAMES_PER_SECOND};
use super::rows::Group;

/// Where a sweep goes.
#[derive(Debug, PartialEq)]
pub(super) struct Points {
    /// Seconds, at batch 1, the shortest first.
    seconds: Vec<usize>,
    /// Batches, at `base` seconds, the smallest first.
    batches: Vec<usize>,
    pub(super) base: usize,
}

impl Points {
    pub(super) fn new(mut seconds: Vec<usize>, mut batches: Vec<usize>, base: usize) -> Self {
        for list in [&mut seconds, &mut batches] {
            list.sort_unstable();
            list.dedup();
        }
        Self {
            seconds,
            batches,
            base,
        }
    }

    /// `case` at every point; one that is in both rows comes once.
    pub(super) fn cases(&self, case: &Case) -> Vec<Case> {
        let lengths = self.seconds.iter().map(|&seconds| (seconds, 1));
        let batches = self.batches.iter().map(|&batch| (self.base, batch));
        let mut points: Vec<(usize, usize)> = Vec::new();
        for point in lengths.chain(batches) {
            if !points.contains(&point) {
                points.push(point);
            }
        }
        let at = |(seconds, batch): (usize, usize)| Case {
            frames: seconds * FRAMES_PER_SECOND,
            batch,
            ..case.clone()
        };
        points.into_iter().map(at).collect()
    }

    /// The groups at each length.
    pub(super) fn lengths<'a>(&self, groups: &'a [Group]) -> Vec<&'a Group> {
        self.row(&self.seconds, groups, |seconds| (seconds, 1))
    }

    /// The groups at each batch.
    pub(super) fn batches<'a>(&self, groups: &'a [Group]) -> Vec<&'a Group> {
        self.row(&self.batches, groups, |batch| (self.base, batch))
    }

    fn row<'a>(
        &self,
        values: &[usize],
        groups: &'a [Group],
        point: impl Fn(usize) -> (usize, usize),
    ) -> Vec<&'a Group> {
        let find = |&value: &usize| {
            let (seconds, batch) = point(value);
            let here =
                |case: &Case| (case.frames, case.batch) == (seconds * FRAMES_PER_SECOND, batch);
            groups.iter().find(|group| here(&group.case))
        };
        values.iter().filter_map(find).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::group;
    use super::*;

    fn sizes(points: &Points) -> Vec<(usize, usize)> {
        let cases = points.cases(&group(vec![]).case);
        cases.iter().map(|case| (case.frames, case.batch)).collect()
    }

    #[test]
    fn the_point_in_both_rows_is_measured_once() {
        let points = Points::new(vec![30, 10], vec![4, 1, 4], 10);
        assert_eq!(sizes(&points), [(500, 1), (1500, 1), (500, 4)]);
        let apart = Points::new(vec![5], vec![1, 2], 10);
        assert_eq!(sizes(&apart), [(250, 1), (500, 1), (500, 2)]);
    }
}
