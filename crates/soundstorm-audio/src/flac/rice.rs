//! Residuals as Rice codes in partitions of equal length (RFC 9639, section 9.2.7).

use super::bits::BitWriter;

/// As far as the format's streamable subset goes.
const MOST_ORDER: u32 = 8;
/// The largest parameter of 4 bits; 15 stands for something else. In 5 bits 31 does.
const LARGEST_SHORT: u32 = 14;
const LARGEST: u32 = 30;

/// How residuals are divided, and what they take.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// 2^order partitions.
    order: u32,
    /// A parameter for each.
    parameters: Vec<u32>,
    /// Bits in all.
    bits: u64,
}

impl Plan {
    /// The plan that takes the fewest bits. `residuals` are those of a block but for its first `warm_up` samples,
    /// which count in the first partition's length.
    pub(super) fn of(residuals: &[i32], warm_up: usize) -> Self {
        let codes: Vec<u32> = residuals.iter().map(|&value| zigzag(value)).collect();
        let block = warm_up + codes.len();
        let mut best = Self::with_order(&codes, warm_up, 0);
        for order in 1..=MOST_ORDER {
            let length = block >> order;
            if length << order != block || length <= warm_up {
                break;
            }
            let plan = Self::with_order(&codes, warm_up, order);
            if plan.bits < best.bits {
                best = plan;
            }
        }
        best
    }

    fn with_order(codes: &[u32], warm_up: usize, order: u32) -> Self {
        let (parameters, bits): (Vec<_>, Vec<_>) =
            partitions(codes, warm_up, order).map(parameter).unzip();
        let width = width(&parameters);
        let bits = 6 + u64::from(width) * parameters.len() as u64 + bits.iter().sum::<u64>();
        Self {
            order,
            parameters,
            bits,
        }
    }

    /// What writing takes.
    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    /// Appends the residuals that the plan was made for.
    pub(super) fn write(&self, out: &mut BitWriter, residuals: &[i32], warm_up: usize) {
        let width = width(&self.parameters);
        out.put(u64::from(width - 4), 2);
        out.put(self.order.into(), 4);
        for (part, &parameter) in partitions(residuals, warm_up, self.order).zip(&self.parameters) {
            out.put(parameter.into(), width);
            for code in part.iter().map(|&value| zigzag(value)) {
                out.put_unary(code >> parameter);
                out.put(code.into(), parameter);
            }
        }
    }
}

/// Bits of a parameter: 4 where they suffice.
fn width(parameters: &[u32]) -> u32 {
    match parameters.iter().any(|&p| p > LARGEST_SHORT) {
        true => 5,
        false => 4,
    }
}

/// 0, -1, 1, -2, 2 … as 0, 1, 2, 3, 4 …
fn zigzag(value: i32) -> u32 {
    (value << 1 ^ value >> 31) as u32
}

/// The residuals of each partition; the first is short of the samples that have none.
fn partitions<T>(residuals: &[T], warm_up: usize, order: u32) -> impl Iterator<Item = &[T]> {
    let length = (warm_up + residuals.len()) >> order;
    let (first, rest) = residuals.split_at(length - warm_up);
    std::iter::once(first).chain(rest.chunks(length.max(1)))
}

/// The parameter for a partition and the bits that its codes take: near the mean's logarithm.
fn parameter(codes: &[u32]) -> (u32, u64) {
    let sum: u64 = codes.iter().map(|&code| u64::from(code)).sum();
    let mean = sum / (codes.len() as u64).max(1);
    let guess = mean.checked_ilog2().unwrap_or(0);
    let cost = |parameter: u32| -> u64 {
        let quotients: u64 = codes.iter().map(|&c| u64::from(c >> parameter)).sum();
        quotients + codes.len() as u64 * u64::from(parameter + 1)
    };
    let mut best = (0, u64::MAX);
    for parameter in guess.saturating_sub(1)..=(guess + 1).min(LARGEST) {
        let bits = cost(parameter);
        if bits < best.1 {
            best = (parameter, bits);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_magnitudes_have_small_codes() {
        let codes = [0, -1, 1, -2, 2].map(zigzag);
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        assert_eq!(zigzag(i32::MIN), u32::MAX);
    }

    #[test]
    fn no_parameter_is_better() {
        for scale in [0, 1, 3, 50, 7_000, 40_000_000] {
            let codes: Vec<u32> = (0..101).map(|i: u32| i * i % 53 * scale).collect();
            let (found, bits) = parameter(&codes);
            for other in 0..=LARGEST {
                let cost: u64 = codes
                    .iter()
                    .map(|&c| u64::from(c >> other) + 1 + u64::from(other))
                    .sum();
                assert!(
                    bits <= cost,
                    "{scale}: {found} takes {bits}, {other} {cost}"
                );
            }
        }
    }

    #[test]
    fn a_plan_takes_what_it_says_and_divides_where_that_is_shorter() {
        // Quiet, then loud: two partitions at least.
        let residuals: Vec<i32> = (0..62)
            .map(|i| if i < 30 { i % 2 } else { i * 997 })
            .collect();
        let plan = Plan::of(&residuals, 2);
        assert!(plan.order > 0);
        let mut out = BitWriter::default();
        plan.write(&mut out, &residuals, 2);
        assert_eq!(out.into_bytes().len() as u64, plan.bits().div_ceil(8));
        // 61 samples divide into nothing.
        assert_eq!(Plan::of(&residuals[..59], 2).order, 0);
    }
}
