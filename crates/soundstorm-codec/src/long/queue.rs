//! Tensors that wait, joined along their last axis.

use burn::prelude::*;
use burn::tensor::{BasicOps, Float};

/// What has come and is not done with.
#[derive(Debug)]
pub(crate) struct Queue<B: Backend, const D: usize, K: BasicOps<B> = Float> {
    parts: Vec<Tensor<B, D, K>>,
    length: usize,
}

impl<B: Backend, const D: usize, K: BasicOps<B>> Default for Queue<B, D, K> {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            length: 0,
        }
    }
}

impl<B: Backend, const D: usize, K: BasicOps<B>> Queue<B, D, K> {
    pub(crate) fn push(&mut self, part: Tensor<B, D, K>) {
        self.length += part.dims()[D - 1];
        self.parts.push(part);
    }

    /// Along the last axis.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The first `count`, which stay; there are as many.
    pub(crate) fn front(&mut self, count: usize) -> Tensor<B, D, K> {
        if self.parts.len() > 1 {
            self.parts = vec![Tensor::cat(std::mem::take(&mut self.parts), D - 1)];
        }
        self.parts[0].clone().narrow(D - 1, 0, count)
    }

    /// Drops the first `count`; there are as many.
    pub(crate) fn skip(&mut self, mut count: usize) {
        self.length -= count;
        while count > 0 {
            let first = &self.parts[0];
            let length = first.dims()[D - 1];
            if count < length {
                self.parts[0] = first.clone().narrow(D - 1, count, length - count);
                return;
            }
            self.parts.remove(0);
            count -= length;
        }
    }

    /// The first `count`, which go; there are as many.
    pub(crate) fn take(&mut self, count: usize) -> Tensor<B, D, K> {
        let front = self.front(count);
        self.skip(count);
        front
    }

    /// All of it, unless it is empty.
    pub(crate) fn rest(&mut self) -> Option<Tensor<B, D, K>> {
        (self.length > 0).then(|| self.take(self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn what_comes_in_goes_out_in_order() {
        let mut queue = Queue::<B, 2, Int>::default();
        let (mut came, mut left) = (0, 0);
        let check = |got: Tensor<B, 2, Int>, from: i64| {
            let got: Vec<i64> = got.into_data().iter().collect();
            let expected: Vec<i64> = (from..).take(got.len()).collect();
            assert_eq!(got, expected);
            got.len() as i64
        };
        for (new, front, gone) in [(3, 2, 0), (1, 3, 4), (5, 1, 2), (2, 5, 1), (7, 0, 7)] {
            let numbers = Tensor::arange(came..came + new, &Default::default());
            queue.push(numbers.unsqueeze());
            came += new;
            assert_eq!(queue.len() as i64, came - left);
            if front > 0 {
                check(queue.front(front), left);
            }
            if gone > 0 {
                left += check(queue.take(gone), left);
            }
        }
        let mut rest = queue.rest();
        left += rest.take().map_or(0, |rest| check(rest, left));
        assert_eq!(left, came);
        assert!(queue.rest().is_none());
    }
}
