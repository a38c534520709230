//! A generation with more to ask for than [`SoundStorm::generate`] does: guidance, edits, several
//! candidates, options for each row, a critic, an observer that may break off.

use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use soundstorm_maskgit::{
    DecodeOptions, DecodeRow, Decoded, Decoding, Pass, PassAt, StepInfo, row_seed,
};

use crate::edit::Hidden;
use crate::guidance::{Both, Branches};
use crate::{
    Conditions, EditRow, GenerateRow, Guidance, Prepared, RowCodes, ScoreRow, SoundStorm,
    SoundStormError,
};

/// What a generation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Each row's codes, `[levels][frames]`, without its prompt. Where the observer broke off they
    /// hold the mask id at all that was not filled.
    pub codes: Vec<RowCodes>,
    /// The last pass that was done, where the observer broke off.
    pub cancelled: Option<StepInfo>,
}

/// The best of several candidates of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct BestOf {
    /// The best candidate of each row. Where the observer broke off it is the candidate at which it
    /// did, as far as it went.
    pub generated: Generated,
    /// How each row's candidates were ranked; empty where the observer broke off.
    pub rankings: Vec<Ranking>,
}

/// The candidates of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The candidate that was taken.
    pub best: usize,
    /// The seed of each candidate: the row's own, and [`row_seed`] of it and the candidate's index.
    pub seeds: Vec<u64>,
    /// The mean log-probability of each candidate's codes, in nats.
    pub scores: Vec<f64>,
}

/// What a critic is asked about.
pub struct CriticInput<'a, B: Backend> {
    /// `[batch, levels, frames]`, with a candidate at each masked frame of the level.
    pub tokens: Tensor<B, 3, Int>,
    /// What the batch is conditioned on.
    pub prepared: &'a Prepared<B>,
    /// Real frames of each row.
    pub lengths: &'a [usize],
    /// The level, 0-based.
    pub level: usize,
}

type Observer<'a, B> = Box<dyn FnMut(&Pass<'_, B>) -> ControlFlow<()> + 'a>;
type Critic<'a, B> = Box<dyn FnMut(CriticInput<'_, B>) -> Tensor<B, 2> + 'a>;

/// A generation to be run: what [`SoundStorm::generate`] does, with more to ask for.
pub struct Generation<'a, B: Backend> {
    model: &'a SoundStorm<B>,
    options: &'a DecodeOptions,
    row_options: Option<&'a [DecodeOptions]>,
    guidance: Option<Guidance>,
    observer: Option<Observer<'a, B>>,
    critic: Option<Critic<'a, B>>,
}

/// A row as the network sees it: tokens with the mask id where they are generated.
pub(crate) struct Task {
    pub(crate) tokens: RowCodes,
    pub(crate) conditions: Conditions,
    pub(crate) seed: u64,
    /// Frames at its start that are no part of the result.
    pub(crate) dropped: usize,
    /// Whether kept tokens may lie in or behind what is generated.
    pub(crate) edited: bool,
}

impl Task {
    pub(crate) fn frames(&self) -> usize {
        self.tokens.first().map_or(0, Vec::len)
    }
}

impl<B: Backend> SoundStorm<B> {
    /// A generation with options of decoding, to which more may be added.
    pub fn generation<'a>(&'a self, options: &'a DecodeOptions) -> Generation<'a, B> {
        Generation {
            model: self,
            options,
            row_options: None,
            guidance: None,
            observer: None,
            critic: None,
        }
    }
}

impl<'a, B: Backend> Generation<'a, B> {
    /// Options of decoding for each row.
    #[must_use]
    pub fn with_row_options(mut self, options: &'a [DecodeOptions]) -> Self {
        self.row_options = Some(options);
        self
    }

    /// Guides rows by their condition.
    #[must_use]
    pub fn with_guidance(mut self, guidance: Option<Guidance>) -> Self {
        self.guidance = guidance;
        self
    }

    /// Is called after every pass through the network, and may break off.
    #[must_use]
    pub fn with_observer(
        mut self,
        observer: impl FnMut(&Pass<'_, B>) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The critic of [`Confidence::Critic`](soundstorm_maskgit::Confidence::Critic), in place of the
    /// model's own: a score for each frame of the level, `[batch, frames]`, the larger the likelier it
    /// is a real one.
    #[must_use]
    pub fn with_critic(
        mut self,
        critic: impl FnMut(CriticInput<'_, B>) -> Tensor<B, 2> + 'a,
    ) -> Self {
        self.critic = Some(Box::new(critic));
        self
    }

    /// Generates a batch.
    ///
    /// # Errors
    /// Rows that do not fit the model, options that make no sense, guidance of a model that takes
    /// no condition, and logits that are not finite.
    pub fn generate(mut self, rows: &[GenerateRow]) -> Result<Generated, SoundStormError> {
        let plan = |row| self.model.plan(row);
        let tasks = rows.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
        self.run(&tasks)
    }

    /// Generates anew what rows do not keep. The result has the kept codes too.
    ///
    /// # Errors
    /// As of [`Self::generate`], and keep-masks that do not fit.
    pub fn edit(mut self, rows: &[EditRow]) -> Result<Generated, SoundStormError> {
        let plan = |row| self.model.plan_edit(row);
        let tasks = rows.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
        self.run(&tasks)
    }

    /// Generates so many candidates of each row, by different seeds, and takes those that the model
    /// finds likeliest: the highest
    /// [`pseudo_log_likelihood`](SoundStorm::pseudo_log_likelihood) in `parts` parts, of which all
    /// candidates of a row have the same, drawn by the row's seed. The first candidate is what
    /// [`Self::generate`] gives. The observer sees the passes of each candidate in turn.
    ///
    /// # Errors
    /// As of [`Self::generate`], and 0 candidates or parts.
    pub fn best_of(
        mut self,
        rows: &[GenerateRow],
        candidates: usize,
        parts: usize,
    ) -> Result<BestOf, SoundStormError> {
        if candidates == 0 {
            return Err(SoundStormError::Empty("candidates"));
        }
        let plan = |row| self.model.plan(row);
        let mut tasks = rows.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
        let mut best: Vec<RowCodes> = Vec::new();
        let mut rankings: Vec<Ranking> = Vec::new();
        for candidate in 0..candidates {
            for (task, row) in tasks.iter_mut().zip(rows) {
                task.seed = candidate_seed(row.seed, candidate);
            }
            let generated = self.run(&tasks)?;
            if generated.cancelled.is_some() {
                let rankings = Vec::new();
                return Ok(BestOf {
                    generated,
                    rankings,
                });
            }
            let scored: Vec<ScoreRow> = tasks
                .iter()
                .zip(rows)
                .zip(&generated.codes)
                .map(|((task, row), codes)| {
                    let levels = task.tokens.iter().zip(codes);
                    let whole =
                        levels.map(|(prompt, codes)| [&prompt[..task.dropped], codes].concat());
                    ScoreRow {
                        codes: whole.collect(),
                        from: task.dropped,
                        conditions: task.conditions.clone(),
                        seed: row.seed,
                    }
                })
                .collect();
            let scores = self.model.pseudo_log_likelihood(&scored, parts)?;
            if candidate == 0 {
                best.clone_from(&generated.codes);
                rankings = vec![
                    Ranking {
                        best: 0,
                        seeds: Vec::new(),
                        scores: Vec::new(),
                    };
                    rows.len()
                ];
            }
            for (index, (codes, score)) in generated.codes.into_iter().zip(scores).enumerate() {
                let ranking = &mut rankings[index];
                ranking.seeds.push(tasks[index].seed);
                ranking.scores.push(score);
                if score > ranking.scores[ranking.best] {
                    ranking.best = candidate;
                    best[index] = codes;
                }
            }
        }
        let generated = Generated {
            codes: best,
            cancelled: None,
        };
        Ok(BestOf {
            generated,
            rankings,
        })
    }

    fn run(&mut self, tasks: &[Task]) -> Result<Generated, SoundStormError> {
        if tasks.is_empty() {
            let (codes, cancelled) = (Vec::new(), None);
            return Ok(Generated { codes, cancelled });
        }
        let model = self.model;
        let (levels, mask) = (model.levels(), model.mask_id());
        let lengths: Vec<usize> = tasks.iter().map(Task::frames).collect();
        let frames = model.padded(lengths.iter().copied().max().unwrap_or(0));
        let conditions: Vec<Conditions> =
            tasks.iter().map(|task| task.conditions.clone()).collect();
        model.require(&conditions)?;
        let prepared = model.prepare(&conditions, Some(&lengths), frames)?;
        let both = match &self.guidance {
            Some(guidance) => Some(Both::new(model, *guidance, &conditions, &lengths, frames)?),
            None => None,
        };
        let mut branches = Branches::new(model, &prepared, both.as_ref(), &lengths);
        let device = model.device();
        let hidden = Hidden::new(tasks, frames, mask, &device);
        let rows: Vec<DecodeRow> = tasks
            .iter()
            .map(|task| DecodeRow {
                frames: task.frames(),
                seed: task.seed,
            })
            .collect();

        let mut decoding = Decoding::<B, Box<SoundStormError>>::new(&rows, mask, self.options);
        if let Some(options) = self.row_options {
            decoding = decoding.with_row_options(options);
        }
        if let Some(observer) = &mut self.observer {
            decoding = decoding.with_observer(observer);
        }
        if let Some(critic) = &mut self.critic {
            decoding = decoding.with_critic(|tokens, at: PassAt| {
                Ok(critic(CriticInput {
                    tokens: hidden.from(tokens, at.level),
                    prepared: &prepared,
                    lengths: &lengths,
                    level: at.level,
                }))
            });
        } else if model.has_critic() {
            decoding = decoding.with_critic(|tokens, at: PassAt| {
                let tokens = hidden.from(tokens, at.level);
                let generated = model.critic_scores(tokens, &prepared, Some(&lengths), at.level)?;
                Ok(generated.neg())
            });
        }
        let (options, row_options) = (self.options, self.row_options);
        let steps = |row: usize, level: usize| {
            let options = row_options.and_then(|all| all.get(row)).unwrap_or(options);
            options.steps_at(level)
        };
        let decoded = decoding.run(start(tasks, frames, mask, &device), |tokens, at| {
            let tokens = hidden.from(tokens, at.level);
            let steps = |row| steps(row, at.level);
            Ok(branches.logits(tokens, at, steps))
        })?;

        let (tokens, cancelled) = match decoded {
            Decoded::Finished(tokens) => (tokens, None),
            Decoded::Cancelled { tokens, at } => (tokens, Some(at)),
        };
        let flat: Vec<i64> = tokens.into_data().iter::<i64>().collect();
        let row_codes = |(index, task): (usize, &Task)| -> RowCodes {
            (0..levels)
                .map(|level| {
                    let start = (index * levels + level) * frames;
                    flat[start + task.dropped..start + task.frames()].to_vec()
                })
                .collect()
        };
        let codes = tasks.iter().enumerate().map(row_codes).collect();
        Ok(Generated { codes, cancelled })
    }
}

/// The seed of a row's candidate; the first has the row's own.
fn candidate_seed(seed: u64, candidate: usize) -> u64 {
    match candidate {
        0 => seed,
        _ => row_seed(seed, candidate),
    }
}

/// The tasks' tokens with padding that is masked, `[batch, levels, frames]`.
fn start<B: Backend>(
    tasks: &[Task],
    frames: usize,
    mask: usize,
    device: &B::Device,
) -> Tensor<B, 3, Int> {
    let levels = tasks.first().map_or(0, |task| task.tokens.len());
    let mut tokens = Vec::with_capacity(tasks.len() * levels * frames);
    for codes in tasks.iter().flat_map(|task| &task.tokens) {
        tokens.extend(codes);
        tokens.resize(tokens.len() + frames - codes.len(), mask as i64);
    }
    Tensor::from_data(
        TensorData::new(tokens, [tasks.len(), levels, frames]),
        device,
    )
}
