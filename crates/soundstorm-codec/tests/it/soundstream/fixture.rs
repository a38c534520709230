//! Fixtures of `xtask/fixtures/soundstream.py`.

use std::collections::{BTreeMap, BTreeSet};

use soundstorm_codec::import::HostTensor;
use soundstorm_codec::soundstream::import::plan;
use soundstorm_codec::{CodecConfig, SoundStream, SoundStreamConfig};

use crate::support::{B, Tensors, apply, folder};

pub(crate) const VARIANTS: [&str; 4] = ["window", "grouped", "bias", "bare"];

pub(crate) struct Fixture {
    pub(crate) config: SoundStreamConfig,
    /// By the package's names.
    pub(crate) state: BTreeMap<String, HostTensor>,
    pub(crate) tensors: Tensors,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let folder = folder("soundstream");
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let CodecConfig::SoundStream(config) = serde_json::from_str(&json).unwrap() else {
            panic!("{json}");
        };
        let tensors = Tensors::read(&folder.join(format!("{name}.safetensors")));
        Self {
            config,
            state: tensors.state(),
            tensors,
        }
    }

    pub(crate) fn codec(&self) -> SoundStream<B> {
        self.import().0
    }

    /// The codec, and the names of the tensors that it is made of.
    pub(crate) fn import(&self) -> (SoundStream<B>, BTreeSet<String>) {
        let codec = self.config.init::<B>(&Default::default()).unwrap();
        apply(plan(&self.config), codec, &self.state)
    }

    pub(crate) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let shapes = self.state.iter();
        shapes
            .map(|(name, tensor)| (name.clone(), tensor.shape.clone()))
            .collect()
    }
}
