//! Codebooks that follow the vectors that fall to them: exponential averages, a start from k-means,
//! and new places for codes that nobody uses (SoundStream, Zeghidour et al. 2021, section III.C; the
//! averages as in van den Oord et al. 2017, appendix A.1).

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::DType;
use rand::{Rng, RngExt, seq::index};
use serde::{Deserialize, Serialize};

use super::dropout::assert_rows;
use super::k_means::{gather, k_means};
use crate::limits::{LIMIT, invalid};
use crate::rvq::{half_norms, nearest};
use crate::{ConfigError, ResidualVectorQuantizer};

/// What errors call them.
const NAME: &str = "codebook averages";

/// Configuration of [`CodebookAverages`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AveragesConfig {
    /// What is left of an average after a step.
    pub decay: f64,
    /// What is added to each count, so that none is zero.
    pub epsilon: f64,
    /// A code whose average count falls below this takes the place of a vector of the batch, with
    /// this as its count; at 0 none does.
    pub revive_below: f64,
}

impl Default for AveragesConfig {
    fn default() -> Self {
        Self {
            decay: 0.99,
            epsilon: 1e-5,
            revive_below: 2.0,
        }
    }
}

/// The averages of a quantizer's codebooks: what training goes on from, saved beside the codec.
#[derive(Module, Debug)]
pub struct CodebookAverages<B: Backend> {
    /// One for each level.
    pub levels: Vec<LevelAverages<B>>,
    decay: f64,
    epsilon: f64,
    revive_below: f64,
}

/// The averages of a level's codes.
#[derive(Module, Debug)]
pub struct LevelAverages<B: Backend> {
    /// Vectors that fall to a code in a step, `[codebook_size]`
    pub counts: Param<Tensor<B, 1>>,
    /// Their sums, `[codebook_size, dimension]`
    pub sums: Param<Tensor<B, 2>>,
}

impl AveragesConfig {
    /// Averages that hold each code where it is, as if one vector had fallen to it.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a decay that is no share, or another number below zero.
    pub fn init<B: Backend>(
        &self,
        quantizer: &ResidualVectorQuantizer<B>,
    ) -> Result<CodebookAverages<B>, ConfigError> {
        if !(0.0..1.0).contains(&self.decay) {
            invalid(NAME, "decay", "at least 0 and below 1", self.decay)?;
        }
        for (key, number) in [
            ("epsilon", self.epsilon),
            ("revive_below", self.revive_below),
        ] {
            if !(0.0..=LIMIT as f64).contains(&number) {
                invalid(NAME, key, "0 to 2^20", number)?;
            }
        }
        let level = |codebook: &Param<Tensor<B, 2>>| {
            let codebook = codebook.val().detach().cast(DType::F32);
            let [size, _] = codebook.dims();
            let counts = Tensor::ones([size], (&codebook.device(), DType::F32));
            LevelAverages {
                counts: Param::from_tensor(counts).set_require_grad(false),
                sums: Param::from_tensor(codebook).set_require_grad(false),
            }
        };
        Ok(CodebookAverages {
            levels: quantizer.codebooks.iter().map(level).collect(),
            decay: self.decay,
            epsilon: self.epsilon,
            revive_below: self.revive_below,
        })
    }
}

impl<B: Backend> CodebookAverages<B> {
    /// Starts all codebooks from k-means over a batch, each from what the ones before leave of it.
    /// The first means are vectors of the batch.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    ///
    /// # Panics
    /// If these are not the averages of this quantizer, or the batch is empty.
    pub fn start<R: Rng + ?Sized>(
        &mut self,
        quantizer: &mut ResidualVectorQuantizer<B>,
        x: Tensor<B, 3>,
        iterations: usize,
        rng: &mut R,
    ) {
        let mut residual = rows(x);
        for index in 0..self.levels.len() {
            let [size, _] = quantizer.codebooks[index].dims();
            let chosen = choose(rng, residual.dims()[0], size);
            let means = residual.clone().select(0, indices(chosen, &residual));
            let (means, counts) = k_means(residual.clone(), means, iterations);
            self.levels[index].set(counts.clone(), means * counts.reshape([size, 1]));
            let codebook = self.settle(quantizer, index);
            let norms = half_norms(codebook.clone());
            let codes = nearest(residual.clone(), codebook.clone(), norms);
            residual = residual - codebook.select(0, codes);
        }
    }

    /// Moves the codebooks by the vectors that fell to them.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`, what was quantized
    /// - codes: `[batch, levels, frames]`, as what, by these codebooks
    ///
    /// # Arguments
    /// - `row_levels`: the levels of each row; the others do not count
    /// - `rng`: chooses the vectors whose place unused codes take
    ///
    /// # Panics
    /// If these are not the averages of this quantizer, or there are not as many numbers of levels
    /// as rows.
    pub fn update<R: Rng + ?Sized>(
        &mut self,
        quantizer: &mut ResidualVectorQuantizer<B>,
        x: Tensor<B, 3>,
        codes: Tensor<B, 3, Int>,
        row_levels: &[usize],
        rng: &mut R,
    ) {
        let [batch, _, frames] = x.dims();
        assert_rows(row_levels, batch);
        let mut residual = rows(x);
        for index in 0..self.levels.len() {
            let codes = codes.clone().narrow(1, index, 1);
            let codes = codes.reshape([batch * frames]);
            let codebook = quantizer.codebooks[index].val().cast(DType::F32);
            // Only rows that have the level, in order.
            let has_level = |&at: &usize| row_levels[at / frames] > index;
            let counted: Vec<usize> = (0..batch * frames).filter(has_level).collect();
            if !counted.is_empty() {
                let counted = indices(counted, &residual);
                let vectors = residual.clone().select(0, counted.clone());
                self.follow(index, vectors.clone(), codes.clone().select(0, counted));
                self.settle(quantizer, index);
                self.revive(quantizer, index, vectors, rng);
            }
            residual = residual - codebook.select(0, codes).detach();
        }
    }

    /// Takes a step's vectors into the averages.
    fn follow(&mut self, index: usize, vectors: Tensor<B, 2>, codes: Tensor<B, 1, Int>) {
        let level = &mut self.levels[index];
        let [size] = level.counts.dims();
        let [count, _] = vectors.dims();
        let ones = Tensor::ones([count], (&vectors.device(), DType::F32));
        let (counts, sums) = gather(vectors, codes, ones, size);
        let (old_counts, old_sums) = (level.counts.val(), level.sums.val());
        level.set(
            old_counts * self.decay + counts * (1.0 - self.decay),
            old_sums * self.decay + sums * (1.0 - self.decay),
        );
    }

    /// Puts the codes where the averages are, and gives them: sums over counts, which are smoothed
    /// without changing how many they are in all.
    fn settle(&self, quantizer: &mut ResidualVectorQuantizer<B>, index: usize) -> Tensor<B, 2> {
        let level = &self.levels[index];
        let (counts, sums) = (level.counts.val(), level.sums.val());
        let [size] = counts.dims();
        let all = counts.clone().sum();
        let smoothed = (counts + self.epsilon) * all.clone() / (all + self.epsilon * size as f64);
        let codebook = sums / smoothed.reshape([size, 1]);
        replace(&mut quantizer.codebooks[index], codebook.clone());
        codebook
    }

    /// Gives codes that hardly anything falls to the places of vectors. Where there are fewer
    /// vectors, some codes wait for the next step.
    fn revive<R: Rng + ?Sized>(
        &mut self,
        quantizer: &mut ResidualVectorQuantizer<B>,
        index: usize,
        vectors: Tensor<B, 2>,
        rng: &mut R,
    ) {
        let level = &mut self.levels[index];
        let mut counts: Vec<f32> = level.counts.val().into_data().iter().collect();
        let is_unused = |&code: &usize| f64::from(counts[code]) < self.revive_below;
        let unused: Vec<usize> = (0..counts.len()).filter(is_unused).collect();
        if unused.is_empty() {
            return;
        }
        let [available, _] = vectors.dims();
        let revived = choose(rng, unused.len(), unused.len().min(available));
        let places = choose(rng, available, revived.len());
        let size = counts.len();
        let mut sources: Vec<usize> = (0..size).collect();
        for (unused, place) in revived.into_iter().map(|at| unused[at]).zip(places) {
            sources[unused] = size + place;
            counts[unused] = self.revive_below as f32;
        }
        let sources = indices(sources, &vectors);
        let taken = |old: Tensor<B, 2>, new: Tensor<B, 2>| {
            Tensor::cat(vec![old, new], 0).select(0, sources.clone())
        };
        let codebook = quantizer.codebooks[index].val().cast(DType::F32);
        let codebook = taken(codebook, vectors.clone());
        let sums = taken(level.sums.val(), vectors * self.revive_below);
        let data = TensorData::new(counts, [size]);
        let counts = Tensor::from_data(data, (&sums.device(), DType::F32));
        replace(&mut quantizer.codebooks[index], codebook);
        level.set(counts, sums);
    }
}

impl<B: Backend> LevelAverages<B> {
    fn set(&mut self, counts: Tensor<B, 1>, sums: Tensor<B, 2>) {
        self.counts = self.counts.clone().map(|_| counts);
        self.sums = self.sums.clone().map(|_| sums);
    }
}

/// Another codebook in the place and the type of the old one.
fn replace<B: Backend>(codebook: &mut Param<Tensor<B, 2>>, new: Tensor<B, 2>) {
    *codebook = codebook.clone().map(|old| new.cast(old.dtype()).detach());
}

/// The vectors of a batch, one after another: `[batch, dimension, frames]` to
/// `[batch * frames, dimension]`.
fn rows<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 2> {
    let [batch, dimension, frames] = x.dims();
    x.detach()
        .cast(DType::F32)
        .swap_dims(1, 2)
        .reshape([batch * frames, dimension])
}

/// Indices below `available`, in any order, and none twice where there are enough.
///
/// # Panics
/// If there is none to choose.
fn choose<R: Rng + ?Sized>(rng: &mut R, available: usize, count: usize) -> Vec<usize> {
    if count <= available {
        return index::sample(rng, available, count).into_vec();
    }
    let draw = |_| rng.random_range(0..available);
    (0..count).map(draw).collect()
}

fn indices<B: Backend>(indices: Vec<usize>, beside: &Tensor<B, 2>) -> Tensor<B, 1, Int> {
    let indices: Vec<i64> = indices.into_iter().map(|index| index as i64).collect();
    Tensor::from_data(TensorData::from(indices.as_slice()), &beside.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResidualVectorQuantizerConfig;
    use burn::tensor::{Distribution, Tolerance};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    type B = burn_flex::Flex;

    const LEVELS: usize = 2;

    fn quantizer() -> ResidualVectorQuantizer<B> {
        let config = ResidualVectorQuantizerConfig {
            dimension: 5,
            codebook_size: 7,
            levels: LEVELS,
        };
        config.init(&Default::default())
    }

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(3)
    }

    fn normal(shape: [usize; 3]) -> Tensor<B, 3> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Default::default())
    }

    fn numbers<const D: usize>(x: Tensor<B, D>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    fn error(quantizer: &ResidualVectorQuantizer<B>, x: &Tensor<B, 3>) -> f32 {
        let codes = quantizer.encode(x.clone(), LEVELS);
        let left = x.clone() - quantizer.decode(codes);
        left.powi_scalar(2).mean().into_scalar()
    }

    #[test]
    fn numbers_are_checked() {
        let check = |key: &str, change: fn(&mut AveragesConfig)| {
            let mut config = AveragesConfig::default();
            change(&mut config);
            match config.init(&quantizer()) {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("decay", |c| c.decay = 1.0);
        check("decay", |c| c.decay = f64::NAN);
        check("epsilon", |c| c.epsilon = -1e-9);
        check("revive_below", |c| c.revive_below = f64::INFINITY);
    }

    /// With nothing kept of the past, and all in use, codes are the means of their vectors.
    #[test]
    fn without_a_memory_codes_are_means() {
        let mut quantizer = quantizer();
        let x = normal([3, 5, 101]);
        let config = AveragesConfig {
            decay: 0.0,
            epsilon: 0.0,
            revive_below: 0.0,
        };
        let mut averages = config.init(&quantizer).expect("valid");
        averages.start(&mut quantizer, x.clone(), 10, &mut rng());
        let codes = quantizer.encode(x.clone(), LEVELS);
        // Row 2 has no second level.
        averages.update(
            &mut quantizer,
            x.clone(),
            codes.clone(),
            &[2, 2, 1],
            &mut rng(),
        );
        let vectors = numbers(rows(x));
        let codes = numbers(codes.float());
        let book = numbers(quantizer.codebooks[0].val());
        for code in 0..7 {
            let mine = |row: &usize| codes[(row / 101 * LEVELS) * 101 + row % 101] == code as f32;
            let mine: Vec<usize> = (0..303).filter(mine).collect();
            assert!(!mine.is_empty());
            for d in 0..5 {
                let sum: f32 = mine.iter().map(|row| vectors[row * 5 + d]).sum();
                let mean = sum / mine.len() as f32;
                assert!((mean - book[code * 5 + d]).abs() < 1e-4);
            }
        }
        let counts = |level: usize| averages.levels[level].counts.val().sum().into_scalar();
        assert_eq!((counts(0), counts(1)), (303.0, 202.0));
    }

    #[test]
    fn a_start_and_steps_bring_codebooks_to_the_vectors() {
        let mut quantizer = quantizer();
        let x = normal([2, 5, 211]) + 3;
        let mut averages = AveragesConfig::default().init(&quantizer).expect("valid");
        let before = error(&quantizer, &x);
        averages.start(&mut quantizer, x.clone(), 1, &mut rng());
        let started = error(&quantizer, &x);
        assert!(started < 0.1 * before, "{before}, {started}");
        for _ in 0..20 {
            let codes = quantizer.encode(x.clone(), LEVELS);
            averages.update(&mut quantizer, x.clone(), codes, &[2, 2], &mut rng());
        }
        let after = error(&quantizer, &x);
        assert!(after < started, "{started}, {after}");
    }

    /// Codes far from everything end among the vectors, at the stated count; the one that is used
    /// stays, and a level that no row has is not touched.
    #[test]
    fn unused_codes_take_the_places_of_vectors() {
        let mut quantizer = quantizer();
        let far = |book: Tensor<B, 2>| book.slice_fill([1..7, 0..5], 1e3);
        quantizer.codebooks[0] = quantizer.codebooks[0].clone().map(far);
        let fine = quantizer.codebooks[1].val();
        let config = AveragesConfig {
            decay: 0.9,
            revive_below: 1.5,
            ..AveragesConfig::default()
        };
        let mut averages = config.init(&quantizer).expect("valid");
        let x = normal([1, 5, 53]);
        let codes = quantizer.encode(x.clone(), LEVELS);
        averages.update(&mut quantizer, x.clone(), codes, &[1], &mut rng());

        let level = &averages.levels[0];
        let counts = numbers(level.counts.val());
        assert!((counts[0] - (0.9 + 5.3)).abs() < 1e-4, "{counts:?}");
        assert_eq!(counts[1..], [1.5; 6]);
        let book = quantizer.codebooks[0].val();
        let vectors = numbers(rows(x));
        let places = numbers(book.clone());
        for place in places.chunks(5).skip(1) {
            assert!(vectors.chunks(5).any(|vector| vector == place));
        }
        let sums = level.sums.val().narrow(0, 1, 6) / 1.5;
        sums.into_data()
            .assert_approx_eq::<f32>(&book.narrow(0, 1, 6).into_data(), Tolerance::absolute(1e-5));
        let untouched = quantizer.codebooks[1].val();
        untouched.into_data().assert_eq(&fine.into_data(), true);
        assert_eq!(numbers(averages.levels[1].counts.val()), [1.0; 7]);
    }

    /// More codes than vectors: some wait, and none are the same.
    #[test]
    fn no_vector_is_taken_twice() {
        let mut quantizer = quantizer();
        let mut averages = AveragesConfig::default().init(&quantizer).expect("valid");
        let x = normal([1, 5, 3]);
        let before = numbers(quantizer.codebooks[0].val());
        let codes = quantizer.encode(x.clone(), LEVELS);
        averages.update(&mut quantizer, x.clone(), codes, &[2], &mut rng());
        let vectors = numbers(rows(x));
        let after = numbers(quantizer.codebooks[0].val());
        let found = |vector: &[f32]| after.chunks(5).filter(|code| *code == vector).count();
        assert!(vectors.chunks(5).all(|vector| found(vector) == 1));
        assert_ne!(before, after);
        // And with fewer vectors than codes a start takes some more than once.
        assert_eq!(choose(&mut rng(), 2, 7).len(), 7);
        let mut chosen = choose(&mut rng(), 7, 7);
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 1, 2, 3, 4, 5, 6]);
    }

    /// Averages are saved and loaded with their numbers, and take no gradient.
    #[test]
    fn averages_are_parameters_without_gradients() {
        type A = burn_autodiff::Autodiff<B>;
        let config = ResidualVectorQuantizerConfig {
            dimension: 5,
            codebook_size: 7,
            levels: LEVELS,
        };
        let mut quantizer = config.init::<A>(&Default::default());
        let mut averages = AveragesConfig::default().init(&quantizer).expect("valid");
        assert_eq!(averages.num_params(), LEVELS * (7 + 35));
        let x = Tensor::from_inner(normal([1, 5, 13])).require_grad();
        let codes = quantizer.encode(x.clone(), LEVELS);
        averages.update(&mut quantizer, x, codes, &[2], &mut rng());
        let tracked = |x: &Param<Tensor<A, 2>>| x.val().is_require_grad();
        assert!(!averages.levels.iter().any(|level| tracked(&level.sums)));
        assert!(!quantizer.codebooks.iter().any(tracked));
    }
}
