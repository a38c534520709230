//! Masking again what earlier steps of a level have filled.

use serde::{Deserialize, Serialize};

use crate::OptionsError;
use crate::schedule::ROUNDING;

/// Whether frames that earlier steps of the level have filled may be masked again, so that an early
/// mistake can be mended. Tokens that were given, and other levels, are never masked, and after
/// each step as many frames are masked as the schedule says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remask {
    /// What is kept stays, as in MaskGIT.
    #[default]
    Never,
    /// Kept frames and new candidates are ranked together, each by its own code under the logits of
    /// the step, and the least confident ones are masked: soundstorm-pytorch's
    /// `can_mask_prev_unmasked`, within the level that is decoded.
    LeastConfident,
    /// ReMDM's capped schedule (Wang et al., 2025, arXiv 2503.00307): at each step the
    /// share `min(eta, most)` of the kept frames is masked, taken at random, where `most` is what
    /// the schedule leaves masked over what was kept.
    Cap(Remdm),
    /// ReMDM's rescaled schedule: the share `eta * min(1, most)`.
    Rescale(Remdm),
}

/// How much ReMDM masks again, and what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remdm {
    /// Within `[0, 1]`; 0 masks nothing.
    pub eta: f64,
    /// Take frames with weights `exp(-p)`, p being the probability of a frame's code when it was
    /// filled (ReMDM-conf), and not with equal ones.
    #[serde(default)]
    pub by_confidence: bool,
}

impl Remask {
    /// [`Self::Cap`] with equal weights.
    pub fn cap(eta: f64) -> Self {
        Self::Cap(Remdm {
            eta,
            by_confidence: false,
        })
    }

    /// [`Self::Rescale`] with equal weights.
    pub fn rescale(eta: f64) -> Self {
        Self::Rescale(Remdm {
            eta,
            by_confidence: false,
        })
    }

    /// Whether frames to mask are drawn at random.
    pub(crate) fn is_drawn(self) -> bool {
        self.remdm().is_some()
    }

    /// Whether they are drawn by what they were filled with.
    pub(crate) fn by_confidence(self) -> bool {
        self.remdm().is_some_and(|remdm| remdm.by_confidence)
    }

    fn remdm(self) -> Option<Remdm> {
        match self {
            Self::Cap(remdm) | Self::Rescale(remdm) => Some(remdm),
            Self::Never | Self::LeastConfident => None,
        }
    }

    pub(crate) fn validate(self) -> Result<(), OptionsError> {
        match self.remdm() {
            Some(Remdm { eta: got, .. }) if !(0.0..=1.0).contains(&got) => {
                Err(OptionsError::Remask { got })
            }
            _ => Ok(()),
        }
    }

    /// How many of `kept` frames are drawn to be masked at a step that leaves `after` masked.
    pub(crate) fn drawn(self, kept: usize, after: usize) -> usize {
        if kept == 0 {
            return 0;
        }
        let most = (after as f64 / kept as f64).min(1.0);
        let share = match self {
            Self::Never | Self::LeastConfident => return 0,
            Self::Cap(Remdm { eta, .. }) => eta.min(most),
            Self::Rescale(Remdm { eta, .. }) => eta * most,
        };
        let count = (share * kept as f64 + ROUNDING).floor() as usize;
        count.min(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_the_papers_shares() {
        // 13 kept and 7 to stay masked: the most is 7/13.
        assert_eq!(Remask::cap(0.25).drawn(13, 7), 3);
        assert_eq!(Remask::cap(1.0).drawn(13, 7), 7);
        assert_eq!(Remask::rescale(0.5).drawn(13, 7), 3);
        assert_eq!(Remask::rescale(1.0).drawn(13, 7), 7);
        // More stay masked than are kept: the most is all of them.
        assert_eq!(Remask::cap(1.0).drawn(3, 11), 3);
        assert_eq!(Remask::rescale(0.4).drawn(5, 11), 2);
        for remask in [Remask::Never, Remask::LeastConfident, Remask::cap(0.0)] {
            assert_eq!(remask.drawn(13, 7), 0);
        }
        assert_eq!(Remask::cap(1.0).drawn(0, 7), 0);
        assert_eq!(Remask::cap(1.0).drawn(7, 0), 0);
    }
}
