//! What a convolution keeps of a stream from one piece to the next.

use burn::prelude::*;

use crate::conv::pad_zeros;

/// The end of a layer's input, or what of its output reaches past the piece; nothing before the
/// first piece.
///
/// Its size is the layer's, however long the stream; until the next piece it may hold on to the
/// memory of the last.
#[derive(Debug, Clone, Default)]
pub struct Carry<B: Backend>(Option<Tensor<B, 3>>);

impl<B: Backend> Carry<B> {
    /// How many numbers it holds.
    pub fn numbers(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |kept| kept.dims().iter().product())
    }

    /// `x` with the `length` frames that came before it, whose last ones are kept.
    ///
    /// # Shapes
    /// - x: `[batch, channels, frames]`
    /// - output: `[batch, channels, length + frames]`
    ///
    /// # Arguments
    /// - `first`: what stands before the first piece, given that
    pub(crate) fn prepend(
        &mut self,
        x: Tensor<B, 3>,
        length: usize,
        first: impl FnOnce(&Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        if length == 0 {
            return x;
        }
        let before = self.0.take().unwrap_or_else(|| first(&x));
        let x = Tensor::cat(vec![before, x], 2);
        let [_, _, frames] = x.dims();
        self.0 = Some(x.clone().narrow(2, frames - length, length));
        x
    }

    /// `y` with what was kept added to its start, and without its last `length` samples, which are
    /// kept.
    ///
    /// # Shapes
    /// - y: `[batch, channels, samples]`
    /// - output: `[batch, channels, samples - length]`
    pub(crate) fn add(&mut self, y: Tensor<B, 3>, length: usize) -> Tensor<B, 3> {
        if length == 0 {
            return y;
        }
        let [_, _, samples] = y.dims();
        let y = match self.0.take() {
            Some(kept) => y + pad_zeros(kept, 0, samples - length),
            None => y,
        };
        self.0 = Some(y.clone().narrow(2, samples - length, length));
        y.narrow(2, 0, samples - length)
    }
}
