//! The three ways in which soundstorm-pytorch names the tensors of a conformer block.
//!
//! Names were read in the packages themselves: A in 0.1.0, B in 0.4.11 and 0.5.0, C in 0.6.0 and 0.6.1.

use std::fmt;

/// Everything of the conformer's blocks starts with this and an index.
pub(super) const BLOCKS: &str = "net.conformer.layers.";

/// A naming of a block's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// 0.1: the convolution module is one sequence. Also the fork that USLM's weights come from.
    A,
    /// 0.3.1 to 0.5.0: the sequence is cut in three around the depthwise convolution.
    B,
    /// 0.6: B's parts each inside a residual connection.
    C,
}

/// Names of the convolution module's parts, after the module's own.
pub(super) struct ConvolutionNames {
    pub(super) norm: &'static str,
    pub(super) expand: &'static str,
    pub(super) depthwise: &'static str,
    pub(super) gamma: &'static str,
    pub(super) contract: &'static str,
}

impl Layout {
    /// The layout that a checkpoint's names are of.
    pub(super) fn detect<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        for name in names.filter(|name| name.starts_with(BLOCKS)) {
            if name.contains(".branch.") {
                return Some(Self::C);
            }
            if name.contains(".conv.net1.") || name.contains(".conv.net2.") {
                return Some(Self::B);
            }
            if name.contains(".conv.net.") {
                return Some(Self::A);
            }
        }
        None
    }

    /// The name of a block's part, without what wraps it.
    pub(super) fn part(self, block: usize, part: &str) -> String {
        let inside = if self == Self::C { ".branch" } else { "" };
        format!("{BLOCKS}{block}.{part}{inside}")
    }

    pub(super) fn convolution(self) -> ConvolutionNames {
        match self {
            Self::A => ConvolutionNames {
                norm: "net.0",
                expand: "net.2",
                depthwise: "net.4.conv",
                gamma: "net.6.gamma",
                contract: "net.7",
            },
            Self::B | Self::C => ConvolutionNames {
                norm: "net1.0",
                expand: "net1.2",
                depthwise: "ds_conv.conv",
                gamma: "net2.1.gamma",
                contract: "net2.2",
            },
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        })
    }
}
