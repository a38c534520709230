//! Files of codes: what a codec emits and a model generates, with enough beside it to turn it back into sound.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use crate::{
    DType, HubError, Misshaped, SafetensorsSource, TensorInfo, TensorReport, TensorSource,
    dtype::{f32_bytes, i64_bytes},
    write::write_safetensors,
};

const CODES: &str = "codes";
const SEMANTIC: &str = "semantic";
const SCALES: &str = "scales";
const LENGTHS: &str = "lengths";

/// An array with its shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T, const D: usize> {
    shape: [usize; D],
    values: Vec<T>,
}

impl<T: Clone, const D: usize> Array<T, D> {
    /// Takes values of a shape.
    ///
    /// # Errors
    /// [`HubError::Invalid`] when there are more or fewer values than the shape has room for.
    pub fn new(shape: [usize; D], values: Vec<T>) -> Result<Self, HubError> {
        let room: usize = shape.iter().product();
        if room != values.len() {
            return Err(HubError::Invalid {
                operation: "shape an array",
                expected: format!("{room} values for {shape:?}"),
                got: values.len().to_string(),
            });
        }
        Ok(Self { shape, values })
    }

    /// The shape.
    pub fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// The values, row-major.
    pub fn values(&self) -> &[T] {
        &self.values
    }
}

impl<const D: usize> Array<i64, D> {
    /// The array as a tensor of the same shape.
    pub fn to_tensor<B: Backend>(&self, device: &B::Device) -> Tensor<B, D, Int> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.shape), device)
    }

    /// A tensor as an array of the same shape.
    pub fn from_tensor<B: Backend>(tensor: Tensor<B, D, Int>) -> Self {
        let shape = tensor.dims();
        let values = tensor.into_data().iter::<i64>().collect();
        Self { shape, values }
    }
}

/// The content of a codes file.
#[derive(Debug, Clone, PartialEq)]
pub struct CodesFile {
    /// Codes, coarse to fine, `[batch, quantizers, frames]`.
    pub codes: Array<i64, 3>,
    /// Semantic tokens, `[batch, frames]`, at their own frame rate.
    pub semantic: Option<Array<i64, 2>>,
    /// One factor per chunk of audio, `[batch, chunks]`, for codecs that normalise.
    pub scales: Option<Array<f32, 2>>,
    /// Samples per chunk of audio, `[batch, chunks]`, for codecs that work in chunks.
    pub lengths: Option<Array<i64, 2>>,
    /// What the codes belong to.
    pub metadata: CodesMetadata,
}

/// Facts beside the codes; each may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodesMetadata {
    /// Name of the codec.
    pub codec: Option<String>,
    /// Samples per second.
    pub sample_rate: Option<u32>,
    /// Samples per frame.
    pub hop: Option<usize>,
    /// Channels of the audio.
    pub channels: Option<usize>,
    /// Samples per channel of the audio, where that is not a whole number of frames.
    pub samples: Option<usize>,
    /// Seed of the generation.
    pub seed: Option<u64>,
    /// Anything else, kept as it is.
    pub other: BTreeMap<String, String>,
}

impl CodesFile {
    /// Codes with nothing beside them.
    pub fn new(codes: Array<i64, 3>) -> Self {
        Self {
            codes,
            semantic: None,
            scales: None,
            lengths: None,
            metadata: CodesMetadata::default(),
        }
    }

    /// Reads a codes file and checks its form: names, ranks, element types, equal batches.
    ///
    /// # Errors
    /// The file is missing, truncated, malformed, or not a codes file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, HubError> {
        let source = SafetensorsSource::open(path)?;
        let path = source.path();
        let known = [CODES, SEMANTIC, SCALES, LENGTHS];
        let extra = source.tensors().keys();
        TensorReport {
            extra: extra
                .filter(|name| !known.contains(&name.as_str()))
                .cloned()
                .collect(),
            ..Default::default()
        }
        .into_result(path)?;
        let codes = Array {
            shape: rank(&source, CODES, Some(DType::I64))?,
            values: source.read_i64(CODES)?,
        };
        let batch = codes.shape[0];
        let has = |name| source.tensors().contains_key(name);
        let integers = |name| -> Result<Option<Array<i64, 2>>, HubError> {
            if !has(name) {
                return Ok(None);
            }
            let shape = rank(&source, name, Some(DType::I64))?;
            let values = source.read_i64(name)?;
            same_batch(path, name, batch, &shape)?;
            Ok(Some(Array { shape, values }))
        };
        let (semantic, lengths) = (integers(SEMANTIC)?, integers(LENGTHS)?);
        let scales = if has(SCALES) {
            let shape = rank(&source, SCALES, None)?;
            same_batch(path, SCALES, batch, &shape)?;
            let values = source.read_f32(SCALES)?;
            Some(Array { shape, values })
        } else {
            None
        };
        let metadata = CodesMetadata::parse(source.metadata(), path)?;
        Ok(Self {
            codes,
            semantic,
            scales,
            lengths,
            metadata,
        })
    }

    /// Writes the file, whole or not at all; equal contents give equal bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), HubError> {
        let mut planned = Vec::new();
        let mut plan = |name: &str, dtype, shape: &[usize]| {
            let shape = shape.to_vec();
            planned.push((name.to_owned(), TensorInfo { dtype, shape }));
        };
        plan(CODES, DType::I64, &self.codes.shape);
        if let Some(semantic) = &self.semantic {
            plan(SEMANTIC, DType::I64, &semantic.shape);
        }
        if let Some(scales) = &self.scales {
            plan(SCALES, DType::F32, &scales.shape);
        }
        if let Some(lengths) = &self.lengths {
            plan(LENGTHS, DType::I64, &lengths.shape);
        }
        let integers = |array: &Option<Array<i64, 2>>| {
            i64_bytes(array.as_ref().map_or(&[], |array| &array.values))
        };
        write_safetensors(path, &self.metadata.to_map(), &planned, |name| {
            Ok(match name {
                CODES => i64_bytes(&self.codes.values),
                SEMANTIC => integers(&self.semantic),
                LENGTHS => integers(&self.lengths),
                _ => f32_bytes(self.scales.as_ref().map_or(&[], |scales| &scales.values)),
            })
        })
        .map(drop)
    }

    /// Checks that every code is one of `size`.
    ///
    /// # Errors
    /// [`HubError::CodeRange`] for the first that is not; `path` is for the message.
    pub fn check_codes(&self, path: impl AsRef<Path>, size: usize) -> Result<(), HubError> {
        let [_, levels, frames] = self.codes.shape;
        check_range(
            path.as_ref(),
            CODES,
            &self.codes.values,
            levels,
            frames,
            size,
        )
    }

    /// Checks that every semantic token is one of `size`.
    ///
    /// # Errors
    /// [`HubError::CodeRange`] for the first that is not; `path` is for the message.
    pub fn check_semantic(&self, path: impl AsRef<Path>, size: usize) -> Result<(), HubError> {
        match &self.semantic {
            Some(semantic) => {
                let frames = semantic.shape[1];
                check_range(path.as_ref(), SEMANTIC, &semantic.values, 1, frames, size)
            }
            None => Ok(()),
        }
    }
}

impl CodesMetadata {
    fn parse(map: &BTreeMap<String, String>, path: &Path) -> Result<Self, HubError> {
        let mut other = map.clone();
        Ok(Self {
            codec: other.remove("codec"),
            sample_rate: number(&mut other, "sample_rate", path)?,
            hop: number(&mut other, "hop", path)?,
            channels: number(&mut other, "channels", path)?,
            samples: number(&mut other, "samples", path)?,
            seed: number(&mut other, "seed", path)?,
            other,
        })
    }

    fn to_map(&self) -> BTreeMap<String, String> {
        let mut map = self.other.clone();
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        put("codec", self.codec.clone());
        put("sample_rate", self.sample_rate.map(|v| v.to_string()));
        put("hop", self.hop.map(|v| v.to_string()));
        put("channels", self.channels.map(|v| v.to_string()));
        put("samples", self.samples.map(|v| v.to_string()));
        put("seed", self.seed.map(|v| v.to_string()));
        map
    }
}

fn number<T: std::str::FromStr>(
    map: &mut BTreeMap<String, String>,
    key: &str,
    path: &Path,
) -> Result<Option<T>, HubError> {
    match map.remove(key) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            HubError::malformed(path, format!("{key}: expected a number, got `{text}`"))
        }),
    }
}

/// The shape of a tensor that must have `D` dimensions, none of them empty.
fn rank<const D: usize>(
    source: &SafetensorsSource,
    name: &str,
    dtype: Option<DType>,
) -> Result<[usize; D], HubError> {
    let info = source.info(name)?;
    if let Some(expected) = dtype.filter(|expected| *expected != info.dtype) {
        let message = format!("expected {expected}, got {}", info.dtype);
        return Err(HubError::Tensors {
            path: source.path().to_path_buf(),
            report: Box::new(TensorReport {
                mistyped: vec![(name.to_owned(), message)],
                ..Default::default()
            }),
        });
    }
    match <[usize; D]>::try_from(info.shape.as_slice()) {
        Ok(shape) if info.elements() > 0 => Ok(shape),
        Ok(shape) => Err(HubError::malformed(
            source.path(),
            format!("{name} is empty: {shape:?}"),
        )),
        Err(_) => Err(HubError::malformed(
            source.path(),
            format!("{name}: expected {D} dimensions, got {:?}", info.shape),
        )),
    }
}

fn same_batch(path: &Path, name: &str, batch: usize, shape: &[usize; 2]) -> Result<(), HubError> {
    let mut report = TensorReport::default();
    if shape[0] != batch {
        report.misshaped.push(Misshaped {
            name: name.to_owned(),
            expected: vec![batch, shape[1]],
            got: shape.to_vec(),
        });
    }
    report.into_result(path)
}

fn check_range(
    path: &Path,
    what: &'static str,
    values: &[i64],
    levels: usize,
    frames: usize,
    size: usize,
) -> Result<(), HubError> {
    let outside = |value: &i64| usize::try_from(*value).map_or(true, |value| value >= size);
    match values.iter().position(outside) {
        None => Ok(()),
        Some(at) => Err(HubError::CodeRange {
            path: path.to_path_buf(),
            what,
            row: at / (levels * frames),
            level: at / frames % levels + 1,
            frame: at % frames,
            size,
            got: values[at],
        }),
    }
}
