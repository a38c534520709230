//! The training objective with conditions, critics, self-conditioning and durations.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use soundstorm::conformer::ConformerConfig;
use soundstorm::maskgit::TrainingMask;
use soundstorm::{
    ConditionDropout, ConditionedBatch, Conditions, ContextAlignment, CriticConfig, HeadKind,
    LossOptions, Losses, SelfConditioningConfig, SoundStorm, SoundStormConfig, Train,
    TrainingBatch,
};

use crate::conditions::{everything, rows};
use crate::support::{B, LEVELS, codes, config, model};

type Ad = burn_autodiff::Autodiff<B>;

fn batch<Bk: Backend>() -> ConditionedBatch<Bk> {
    let (conditions, lengths) = rows();
    ConditionedBatch {
        codes: codes(4, 11, 2),
        lengths: Some(lengths),
        conditions,
    }
}

fn critics() -> [CriticConfig; 2] {
    let conformer = ConformerConfig {
        heads: 2,
        dim_head: 4,
        conv_kernel_size: 3,
        ..ConformerConfig::new(17, 1)
    };
    [
        CriticConfig::SelfCritic {},
        CriticConfig::Token { conformer },
    ]
}

fn with_critic(critic: CriticConfig) -> SoundStormConfig {
    SoundStormConfig {
        critic: Some(critic),
        ..everything(ContextAlignment::CrossAttention)
    }
}

fn losses<Bk: Backend>(
    model: &SoundStorm<Bk>,
    batch: &ConditionedBatch<Bk>,
    options: &LossOptions,
    seed: u64,
) -> Losses<Bk> {
    let mut rng = StdRng::seed_from_u64(seed);
    model.losses(batch, options, &mut rng).unwrap()
}

fn number<Bk: Backend>(x: Option<Tensor<Bk, 1>>) -> f32 {
    x.unwrap().into_data().iter::<f32>().next().unwrap()
}

#[test]
fn the_total_is_the_weighted_sum_and_parts_are_trained_alone() {
    for critic in critics() {
        let model = model::<B>(&with_critic(critic));
        for seed in 0..7 {
            let options = LossOptions {
                critic_weight: 0.25,
                duration_weight: 3.0,
                ..LossOptions::default()
            };
            let all = losses(&model, &batch(), &options, seed);
            let parts = [&all.generator, &all.critic, &all.durations];
            let [generator, critic, durations] = parts.map(|part| number(part.clone()));
            assert!(
                [generator, critic, durations]
                    .iter()
                    .all(|x| x.is_finite() && *x > 0.0)
            );
            let want = generator + 0.25 * critic + 3.0 * durations;
            assert!((number(Some(all.total)) - want).abs() < 1e-4 * want);

            let train = |train| losses(&model, &batch(), &LossOptions { train, ..options }, seed);
            let alone = train(Train::Generator);
            assert!(alone.critic.is_none());
            assert_eq!(number(alone.generator), generator);
            let alone = train(Train::Critic);
            assert!(alone.generator.is_none() && alone.durations.is_none());
            assert_eq!(number(alone.critic), critic);
            assert!((number(Some(alone.total)) - 0.25 * critic).abs() < 1e-6);
        }
    }
    let plain = model::<B>(&config());
    let batch = ConditionedBatch::from(&TrainingBatch::new(codes::<B>(2, 7, 1)));
    let options = LossOptions {
        train: Train::Critic,
        ..LossOptions::default()
    };
    let error = plain.losses(&batch, &options, &mut StdRng::seed_from_u64(1));
    assert!(error.unwrap_err().to_string().contains("critic"));
    let few = ConditionedBatch {
        conditions: vec![Conditions::default()],
        ..batch
    };
    let error = plain.losses(&few, &LossOptions::default(), &mut StdRng::seed_from_u64(1));
    assert!(error.unwrap_err().to_string().contains("2 rows"));
}

/// A condition that is always left out is a null, and one that never is, is not.
#[test]
fn what_is_left_out_is_a_null() {
    let model = model::<B>(&everything(ContextAlignment::CrossAttention));
    let options = |dropout| LossOptions {
        dropout,
        ..LossOptions::default()
    };
    let all = ConditionDropout {
        semantic: 1.0,
        context: 1.0,
        speaker: 1.0,
        embedding: 1.0,
    };
    let nulls = ConditionedBatch {
        conditions: vec![Conditions::default(); 4],
        ..batch::<B>()
    };
    let mut differ = 0;
    for seed in 0..5 {
        let of = |batch: &ConditionedBatch<B>, dropout| {
            number(losses(&model, batch, &options(dropout), seed).generator)
        };
        let want = of(&nulls, ConditionDropout::default());
        assert_eq!(of(&batch(), all), want);
        let speaker_left = ConditionDropout {
            speaker: 0.0,
            ..all
        };
        differ += usize::from(of(&batch(), speaker_left) != want);
    }
    assert_eq!(differ, 5);
    let bad = options(ConditionDropout {
        context: 1.5,
        ..ConditionDropout::default()
    });
    let error = model.losses(&batch(), &bad, &mut StdRng::seed_from_u64(1));
    assert!(error.unwrap_err().to_string().contains("context"));
}

/// Never trained with an earlier pass, a row has the null; always, it has what that pass gives.
#[test]
fn self_conditioning_is_trained_as_often_as_told() {
    for head in [HeadKind::Projected, HeadKind::Dense] {
        let mut config = SoundStormConfig {
            head,
            self_conditioning: Some(SelfConditioningConfig {
                train_probability: 0.0,
            }),
            ..config()
        };
        let given = TrainingBatch::new(codes::<B>(3, 7, 1));
        let mask = TrainingMask::draw(&[7; 3], LEVELS, 7, &mut StdRng::seed_from_u64(9)).unwrap();
        let loss = |config: &SoundStormConfig, seed| {
            let model = model::<B>(config);
            let batch = ConditionedBatch::from(&given);
            let options = LossOptions::default();
            let mut rng = StdRng::seed_from_u64(seed);
            let losses = model.masked_losses(&batch, &mask, &options, &mut rng);
            number(losses.unwrap().generator)
        };
        let null = number(Some(
            model::<B>(&config).masked_loss(&given, &mask).unwrap(),
        ));
        assert_eq!(loss(&config, 1), null);
        config.self_conditioning = Some(SelfConditioningConfig {
            train_probability: 1.0,
        });
        let always = loss(&config, 1);
        assert!((always - null).abs() > 1e-4);
        assert_eq!(loss(&config, 2), always, "nothing is left to chance");

        // By hand: of some rows the second of two passes, conditioned on the first.
        for (probability, seed) in [(1.0, 1), (0.5, 6)] {
            config.self_conditioning = Some(SelfConditioningConfig {
                train_probability: probability,
            });
            let model = model::<B>(&config);
            let tokens = mask
                .apply_tensor(given.codes.clone(), model.mask_id())
                .unwrap();
            let prepared = model
                .prepare(&vec![Conditions::default(); 3], None, 7)
                .unwrap();
            let mut rng = StdRng::seed_from_u64(seed);
            let second = [0; 3].map(|_| rng.random::<f64>() < probability);
            assert_eq!(second.contains(&false), probability < 1.0);
            assert!(second.contains(&true));
            let (mut sum, mut count) = (0.0, 0);
            for (row, level) in tokens.levels.iter().enumerate() {
                let mut passes = model.passes(&prepared, None);
                if second[row] {
                    passes.level_logits(tokens.tokens.clone(), 0);
                }
                let logits = passes.level_logits(tokens.tokens.clone(), *level);
                let logits = logits.narrow(0, row, 1).reshape([7, 17]);
                let target = given.codes.clone();
                let target = target.slice([row..row + 1, *level..level + 1]);
                let nats = soundstorm::nn::cross_entropy(logits, target.reshape([7]));
                for (frame, nats) in nats.into_data().iter::<f32>().enumerate() {
                    if mask.rows()[row].masked[frame] {
                        sum += nats;
                        count += 1;
                    }
                }
            }
            let got = loss(&config, seed);
            assert!((got - sum / count as f32).abs() < 1e-5, "{probability}");
        }
    }
}

/// A critic's loss by hand: samples at the masked frames, finer levels masked, labels where they
/// count. Cold samples are the likeliest codes.
#[test]
fn the_critic_judges_samples_of_one_level() {
    for critic in critics() {
        let model = model::<B>(&with_critic(critic));
        let batch = batch::<B>();
        let lengths = batch.lengths.clone().unwrap();
        let mask = TrainingMask::draw(&lengths, LEVELS, 11, &mut StdRng::seed_from_u64(4)).unwrap();
        let options = LossOptions {
            sample_temperature: Some(0.0),
            ..LossOptions::default()
        };
        let mut rng = StdRng::seed_from_u64(1);
        let got = model.masked_losses(&batch, &mask, &options, &mut rng);
        let got = number(got.unwrap().critic);

        let masked = mask
            .apply_tensor(batch.codes.clone(), model.mask_id())
            .unwrap();
        let prepared = model
            .prepare(&batch.conditions, Some(&lengths), 11)
            .unwrap();
        let (mut sum, mut count, mut generated) = (0.0, 0, 0);
        for (row, drawn) in mask.rows().iter().enumerate() {
            let level = drawn.level;
            let tokens = masked.tokens.clone();
            let logits = model.level_logits_given(tokens, &prepared, Some(&lengths), level);
            let ids: Vec<i64> = logits
                .narrow(0, row, 1)
                .argmax(2)
                .into_data()
                .iter()
                .collect();
            let mut filled: Vec<i64> = masked.tokens.to_data().iter().collect();
            let truth: Vec<i64> = batch.codes.to_data().iter().collect();
            let at = |frame: usize| (row * LEVELS + level) * 11 + frame;
            for frame in (0..11).filter(|&frame| drawn.masked[frame]) {
                filled[at(frame)] = ids[frame];
            }
            let filled = TensorData::new(filled, [4, LEVELS, 11]);
            let filled = Tensor::from_data(filled, &Default::default());
            let scores = model.critic_scores(filled, &prepared, Some(&lengths), level);
            let scores: Vec<f32> = scores
                .unwrap()
                .narrow(0, row, 1)
                .into_data()
                .iter()
                .collect();
            for frame in (0..11).filter(|&frame| drawn.masked[frame]) {
                let label = ids[frame] != truth[at(frame)];
                let sign = if label { -1.0 } else { 1.0 };
                sum += (sign * scores[frame]).exp().ln_1p();
                generated += usize::from(label);
                count += 1;
            }
        }
        assert!(generated > 0);
        assert!((got - sum / count as f32).abs() < 1e-4, "{got}");
    }
}

/// Both critics learn which tokens are not those of the one batch that they are shown.
#[test]
fn critics_learn() {
    use burn::module::AutodiffModule;
    use burn::optim::{AdamWConfig, GradientsParams, Optimizer};

    for critic in critics() {
        let config = SoundStormConfig {
            // So few codes that many samples are real ones.
            codebook_size: 3,
            num_quantizers: 2,
            critic: Some(critic),
            ..config()
        };
        let mut model = model::<Ad>(&config);
        let real = codes::<Ad>(2, 7, 1).narrow(1, 0, 2) % 3;
        let batch = ConditionedBatch::from(&TrainingBatch::new(real.clone()));
        let options = LossOptions {
            train: Train::Critic,
            sample_temperature: Some(1.0),
            ..LossOptions::default()
        };
        let mut optimizer = AdamWConfig::new().init();
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..160 {
            let losses = model.losses(&batch, &options, &mut rng).unwrap();
            let gradients = GradientsParams::from_grads(losses.total.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
        }
        // Every other token of the last level is another than the real one.
        let (model, real) = (model.valid(), real.inner());
        let odd = Tensor::<B, 1, burn::tensor::Int>::arange(0..7, &Default::default()) % 2;
        let shift = odd.reshape([1, 1, 7]).expand([2, 1, 7]);
        let changed = (real.clone().narrow(1, 1, 1) + shift) % 3;
        let shown = real.slice_assign([0..2, 1..2, 0..7], changed);
        let prepared = model
            .prepare(&vec![Conditions::default(); 2], None, 7)
            .unwrap();
        let scores = model.critic_scores(shown, &prepared, None, 1).unwrap();
        let scores: Vec<f32> = scores.into_data().iter().collect();
        let mean = |odd: usize| {
            let all = scores.iter().enumerate();
            let of: Vec<f32> = all
                .filter(|(at, _)| at % 7 % 2 == odd)
                .map(|(_, &s)| s)
                .collect();
            of.iter().sum::<f32>() / of.len() as f32
        };
        assert!(mean(1) > mean(0) + 1.0, "{} and {}", mean(1), mean(0));
    }
}

/// Names of parameters with their gradients, number by number, in the order of the module.
struct Collect<'a> {
    gradients: &'a <Ad as AutodiffBackend>::Gradients,
    path: Vec<String>,
    found: Vec<(String, Option<Vec<f32>>)>,
}

impl ModuleVisitor<Ad> for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Ad, D>>) {
        let gradient = param.val().grad(self.gradients);
        let gradient = gradient.map(|gradient| gradient.into_data().iter::<f32>().collect());
        self.found.push((self.path.join("."), gradient));
    }
}

/// Adds to one number of one parameter.
struct Nudge {
    skip: usize,
    place: usize,
    by: f32,
}

impl ModuleMapper<B> for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if self.skip > 0 {
            self.skip -= 1;
            return param;
        }
        self.skip = usize::MAX;
        param.map(|old| {
            let shape = old.dims();
            let mut values: Vec<f32> = old.into_data().iter().collect();
            values[self.place] += self.by;
            Tensor::from_data(TensorData::new(values, shape), &Default::default())
        })
    }
}

/// Compares gradients of the parameters that `wanted` names with finite differences; returns how
/// many parameters there were.
fn compare_gradients(
    config: &SoundStormConfig,
    options: &LossOptions,
    wanted: impl Fn(&str) -> bool,
) -> usize {
    let recorded = model::<Ad>(config);
    let total = losses(&recorded, &batch(), options, 3).total;
    let gradients = total.backward();
    let mut collect = Collect {
        gradients: &gradients,
        path: Vec::new(),
        found: Vec::new(),
    };
    recorded.visit(&mut collect);
    let plain = model::<B>(config);
    let mut compared = 0;
    for (skip, (name, gradient)) in collect.found.iter().enumerate() {
        if !wanted(name) {
            continue;
        }
        let gradient = gradient
            .as_ref()
            .unwrap_or_else(|| panic!("{name} has none"));
        // The largest of the gradient, and two other places.
        let size = |at: &usize| gradient[*at].abs();
        let largest = (0..gradient.len()).max_by(|a, b| size(a).total_cmp(&size(b)));
        for place in [0, gradient.len() / 2, largest.unwrap()] {
            let by = 1e-2f32;
            let loss = |by| {
                let nudged = plain.clone().map(&mut Nudge { skip, place, by });
                f64::from(number(Some(losses(&nudged, &batch(), options, 3).total)))
            };
            let want = (loss(by) - loss(-by)) / (2.0 * f64::from(by));
            let got = f64::from(gradient[place]);
            let room = 2e-2 * want.abs().max(0.05);
            assert!(
                (got - want).abs() < room,
                "{name}[{place}]: {got}, not {want}"
            );
        }
        compared += 1;
    }
    compared
}

#[test]
fn gradients_of_conditions_are_those_of_finite_differences() {
    for alignment in [
        ContextAlignment::CrossAttention,
        ContextAlignment::Durations,
    ] {
        let options = LossOptions::default();
        let compared = compare_gradients(&everything(alignment), &options, |name| {
            let new = ["context.", "global.", "cross_attention", "adaptive_norm"];
            new.iter().any(|part| name.contains(part)) && !name.contains("conformer.blocks.1")
        });
        assert!(compared > 20, "{compared}");
    }
}

/// Samples do not depend on the critic's own parameters, so differences of them are sound.
#[test]
fn gradients_of_critics_are_those_of_finite_differences() {
    for (critic, name, least) in critics()
        .into_iter()
        .zip(["critic.", "token_critic."])
        .map(|(critic, name)| (critic, name, if name == "critic." { 2 } else { 30 }))
    {
        let options = LossOptions {
            train: Train::Critic,
            sample_temperature: Some(1.0),
            ..LossOptions::default()
        };
        let compared = compare_gradients(&with_critic(critic), &options, |found| {
            found.starts_with(name) && !found.contains("speakers")
        });
        assert!(compared >= least, "{compared}");
    }
}
