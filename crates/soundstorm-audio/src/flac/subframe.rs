//! One channel of a block: constant, as it is, or what a fixed polynomial leaves (RFC 9639, sections 9.2.2 to 9.2.5).

use super::bits::BitWriter;
use super::rice::Plan;

/// Predictors have at most this many samples to go by.
const MOST_ORDER: usize = 4;

/// A channel ready to be written.
#[derive(Debug)]
pub(super) struct Subframe {
    /// Samples without the zeros below.
    samples: Vec<i32>,
    /// Bits of each, without those zeros.
    bits: u32,
    /// Lowest bits that are zero in every sample.
    wasted: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// All samples are one.
    Constant,
    /// As they are.
    Verbatim,
    /// Differences of the order that the warm-up has samples.
    Fixed { residuals: Vec<i32>, plan: Plan },
}

impl Subframe {
    /// The shortest form of samples of `bits` bits.
    pub(super) fn of(samples: &[i32], bits: u32) -> Self {
        let all = samples.iter().fold(0, |all, sample| all | sample);
        // Silence is constant, with no bit that matters.
        let wasted = if all == 0 { 0 } else { all.trailing_zeros() };
        let samples: Vec<i32> = samples.iter().map(|sample| sample >> wasted).collect();
        let bits = bits - wasted;
        let mut subframe = Self {
            kind: Kind::Verbatim,
            samples,
            bits,
            wasted,
        };
        if subframe.samples.windows(2).all(|pair| pair[0] == pair[1]) {
            subframe.kind = Kind::Constant;
            return subframe;
        }
        let verbatim = subframe.bits();
        let residuals = shortest_differences(&subframe.samples);
        let plan = Plan::of(&residuals, subframe.samples.len() - residuals.len());
        subframe.kind = Kind::Fixed { residuals, plan };
        if subframe.bits() >= verbatim {
            subframe.kind = Kind::Verbatim;
        }
        subframe
    }

    /// What writing takes.
    pub(super) fn bits(&self) -> u64 {
        let header = 8 + u64::from(self.wasted);
        let sample = u64::from(self.bits);
        let count = self.samples.len() as u64;
        header
            + match &self.kind {
                Kind::Constant => sample,
                Kind::Verbatim => sample * count,
                Kind::Fixed { residuals, plan } => {
                    sample * (count - residuals.len() as u64) + plan.bits()
                }
            }
    }

    pub(super) fn write(&self, out: &mut BitWriter) {
        let code = match &self.kind {
            Kind::Constant => 0,
            Kind::Verbatim => 1,
            Kind::Fixed { residuals, .. } => 8 + (self.samples.len() - residuals.len()) as u64,
        };
        out.put(code, 7);
        out.put(u64::from(self.wasted > 0), 1);
        if self.wasted > 0 {
            out.put_unary(self.wasted - 1);
        }
        let raw = match &self.kind {
            Kind::Constant => &self.samples[..1],
            Kind::Verbatim => &self.samples[..],
            Kind::Fixed { residuals, .. } => &self.samples[..self.samples.len() - residuals.len()],
        };
        for &sample in raw {
            out.put_signed(sample, self.bits);
        }
        if let Kind::Fixed { residuals, plan } = &self.kind {
            plan.write(out, residuals, raw.len());
        }
    }
}

/// The differences, of order 0 to 4, with the smallest sum of magnitudes. They have at most 29 bits of samples of 25.
fn shortest_differences(samples: &[i32]) -> Vec<i32> {
    let size = |values: &[i32]| -> u64 { values.iter().map(|v| u64::from(v.unsigned_abs())).sum() };
    let mut best = samples.to_vec();
    let mut current = best.clone();
    for _ in 0..MOST_ORDER.min(samples.len() - 1) {
        current = current.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if size(&current) < size(&best) {
            best.clone_from(&current);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(samples: &[i32]) -> String {
        match Subframe::of(samples, 16).kind {
            Kind::Constant => "constant".into(),
            Kind::Verbatim => "verbatim".into(),
            Kind::Fixed { residuals, .. } => format!("order {}", samples.len() - residuals.len()),
        }
    }

    #[test]
    fn the_shortest_form_is_taken() {
        let polynomial =
            |degree: u32| -> Vec<i32> { (-15..17_i32).map(|i| i.pow(degree) % 30_000).collect() };
        assert_eq!(kind(&[7; 31]), "constant");
        assert_eq!(kind(&[-7]), "constant");
        assert_eq!(kind(&polynomial(1)), "order 2");
        assert_eq!(kind(&polynomial(2)), "order 3");
        assert_eq!(kind(&polynomial(3)), "order 4");
        let noise: Vec<i32> = (0..64_i64)
            .map(|i| ((i * i * i * 48_271 + i * 7_919) % 65_521 - 32_760) as i32)
            .collect();
        assert_eq!(kind(&noise), "verbatim");
    }

    #[test]
    fn zeros_below_are_not_written() {
        let fine = Subframe::of(&[3, -5, 7, 11], 16);
        let coarse = Subframe::of(&[3 << 6, -5 << 6, 7 << 6, 11 << 6], 22);
        assert_eq!((fine.wasted, coarse.wasted), (0, 6));
        assert_eq!(coarse.bits(), fine.bits() + 6);
        assert_eq!(Subframe::of(&[0, 0], 16).wasted, 0);
    }

    #[test]
    fn it_takes_what_it_says() {
        for samples in [
            vec![7; 5],
            vec![3, -5, 7, 11],
            (0..97).map(|i| i * i).collect(),
            vec![64, 192, -64],
        ] {
            let subframe = Subframe::of(&samples, 16);
            let mut out = BitWriter::default();
            subframe.write(&mut out);
            assert_eq!(out.into_bytes().len() as u64, subframe.bits().div_ceil(8));
        }
    }
}
