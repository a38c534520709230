//! How many frames of each row are filled and masked again at each step of a level, known before
//! the first pass, but with an entropy budget.

use crate::{DecodeOptions, OptionsError, Remask};

/// The schedule of one level for rows with the same options.
pub(crate) struct LevelPlan {
    pub(crate) steps: usize,
    remask: Remask,
    bounded: bool,
    /// Masked frames by step and row; entry 0 is the start.
    masked: Vec<Vec<usize>>,
}

impl LevelPlan {
    /// A plan for rows that start with so many masked frames.
    pub(crate) fn new(
        level: usize,
        start: &[usize],
        options: &DecodeOptions,
    ) -> Result<Self, OptionsError> {
        let steps = options.steps_at(level);
        let bounded = options.entropy_budget.is_some();
        let mut masked = vec![start.to_vec()];
        masked.resize(steps + 1, Vec::with_capacity(start.len()));
        for &count in start {
            let spans = count.div_ceil(options.span);
            let counts = match bounded {
                // Until it is known how many are left.
                true => [vec![count; steps - 1], vec![0]].concat(),
                false => options
                    .schedule
                    .masked_after(spans, steps, options.clip_schedule)?,
            };
            for (row_counts, spans) in masked[1..].iter_mut().zip(counts) {
                row_counts.push(count.min(spans * options.span));
            }
        }
        Ok(Self {
            steps,
            remask: options.remask,
            bounded,
            masked,
        })
    }

    /// Masked frames of each row after a step; before the first at 0, and none after the last.
    pub(crate) fn after(&self, step: usize) -> &[usize] {
        &self.masked[step.min(self.steps)]
    }

    /// Whether how many frames a step fills is told by the device.
    pub(crate) fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Takes down how many frames are left after a step.
    pub(crate) fn left_after(&mut self, step: usize, left: &[i64]) {
        for counts in &mut self.masked[step..self.steps] {
            for (count, &left) in counts.iter_mut().zip(left) {
                *count = left.max(0) as usize;
            }
        }
    }

    /// Frames of each row that are filled at a step: how many the schedule says, and as many more
    /// as are masked again.
    pub(crate) fn filled(&self, step: usize) -> Vec<i64> {
        let counts = self.after(step - 1).iter().zip(self.after(step));
        counts
            .zip(self.remasked(step))
            .map(|((before, after), again)| (before + again - after) as i64)
            .collect()
    }

    /// Frames of each row that are not masked after a step, of those masked at the start.
    pub(crate) fn kept(&self, step: usize) -> Vec<i64> {
        let counts = self.masked[0].iter().zip(self.after(step));
        counts
            .map(|(start, after)| (start - after) as i64)
            .collect()
    }

    /// Frames of each row that are drawn to be masked again at a step.
    pub(crate) fn remasked(&self, step: usize) -> Vec<usize> {
        let counts = self.masked[0].iter().zip(self.after(step - 1));
        counts
            .zip(self.after(step))
            .map(|((start, before), &after)| self.remask.drawn(start - before, after))
            .collect()
    }

    /// Whether a step needs logits: some row fills a frame, or may exchange one.
    pub(crate) fn has_pass(&self, step: usize) -> bool {
        if step > self.steps {
            return false;
        }
        let (before, after) = (self.after(step - 1), self.after(step));
        if self.bounded {
            return before.iter().any(|&count| count > 0);
        }
        let exchanges = || match self.remask {
            Remask::LeastConfident => {
                let counts = self.masked[0].iter().zip(before).zip(after);
                counts
                    .into_iter()
                    .any(|((start, before), &after)| start > before && after > 0)
            }
            _ => self.remasked(step).iter().any(|&count| count > 0),
        };
        before != after || exchanges()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Schedule;

    fn plan(start: &[usize], options: DecodeOptions) -> LevelPlan {
        LevelPlan::new(0, start, &options).unwrap()
    }

    fn linear(steps: usize) -> DecodeOptions {
        DecodeOptions {
            steps: vec![steps],
            schedule: Schedule::Linear,
            ..Default::default()
        }
    }

    /// 13 frames are 5 spans of 3, of which 3, 2 and 1 stay masked after three of four steps
    /// (rounded down from 3.75, 2.5 and 1.25).
    #[test]
    fn spans_are_counted_whole() {
        let options = DecodeOptions {
            span: 3,
            ..linear(4)
        };
        let plan = plan(&[13, 2, 0], options);
        let of = |row: usize| -> Vec<usize> { (0..=4).map(|s| plan.after(s)[row]).collect() };
        assert_eq!(of(0), [13, 9, 6, 3, 0]);
        assert_eq!(of(1), [2, 0, 0, 0, 0]);
        assert_eq!(of(2), [0; 5]);
        assert_eq!(plan.filled(2), [3, 0, 0]);
    }

    /// What is masked again is filled besides, so that the schedule's counts hold.
    #[test]
    fn what_is_masked_again_is_made_up_for() {
        let options = DecodeOptions {
            remask: Remask::cap(0.5),
            ..linear(4)
        };
        let plan = plan(&[8], options);
        let of = |f: fn(&LevelPlan, usize) -> i64| -> Vec<i64> {
            (1..=4).map(|step| f(&plan, step)).collect()
        };
        assert_eq!(of(|p, s| p.after(s)[0] as i64), [6, 4, 2, 0]);
        assert_eq!(of(|p, s| p.remasked(s)[0] as i64), [0, 1, 2, 0]);
        assert_eq!(of(|p, s| p.filled(s)[0]), [2, 3, 4, 2]);
        assert_eq!(of(|p, s| p.kept(s)[0]), [2, 4, 6, 8]);
    }

    /// 3 frames in 5 steps leave 2, 2, 1, 0, 0: the second fills nothing, but may exchange one.
    #[test]
    fn steps_that_change_nothing_need_no_pass() {
        let passes = |remask| -> Vec<bool> {
            let options = DecodeOptions {
                steps: vec![5],
                remask,
                ..Default::default()
            };
            let plan = plan(&[3], options);
            (1..=6).map(|step| plan.has_pass(step)).collect()
        };
        let (yes, no) = (true, false);
        assert_eq!(passes(Remask::Never), [yes, no, yes, yes, no, no]);
        assert_eq!(passes(Remask::LeastConfident), [yes, yes, yes, yes, no, no]);
        assert_eq!(passes(Remask::cap(1.0)), [yes, yes, yes, yes, no, no]);
        assert_eq!(passes(Remask::cap(0.9)), [yes, no, yes, yes, no, no]);
    }

    #[test]
    fn a_bounded_level_ends_when_nothing_is_left() {
        let options = DecodeOptions {
            entropy_budget: Some(1.0),
            ..linear(5)
        };
        let mut plan = plan(&[7, 0], options);
        assert!((1..=5).all(|step| plan.has_pass(step)));
        plan.left_after(1, &[4, 0]);
        assert_eq!(plan.after(1), [4, 0]);
        plan.left_after(2, &[0, 0]);
        let passes: Vec<bool> = (1..=5).map(|step| plan.has_pass(step)).collect();
        assert_eq!(passes, [true, true, false, false, false]);
    }
}
