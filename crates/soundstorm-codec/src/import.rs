//! Foreign checkpoints as data: which of a file's tensors make each of a module's parameters.
//!
//! A codec's `import::plan` gives one [`ImportRule`] for each parameter. Whoever
//! opens the file applies the rules one by one with [`ImportRule::apply`], so
//! only one parameter's tensors are in memory at a time, and reports what no
//! rule asked for.

use crate::fold_weight_norm;

/// A tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Its axes; empty for a single number.
    pub shape: Vec<usize>,
    /// Its numbers, the last axis running fastest.
    pub data: Vec<f32>,
}

/// How one parameter comes out of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRule {
    /// The parameter's path as burn's `ModuleVisitor` sees it, its parts joined by dots.
    pub target: String,
    /// The parameter's shape.
    pub shape: Vec<usize>,
    /// Where its numbers come from.
    pub source: ImportSource,
}

/// Where a parameter's numbers come from, by the names in the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportSource {
    /// One tensor of the same numbers in the same order.
    Tensor {
        /// Its name.
        name: String,
        /// Its shape in the file, which may have other axes of length 1.
        shape: Vec<usize>,
    },
    /// A weight under weight norm over all but the first axis, stored as any of
    /// `{base}.weight` (folded), `{base}.weight_g` and `{base}.weight_v`, or
    /// `{base}.parametrizations.weight.original0` and `…original1`.
    WeightNorm {
        /// The name of the layer.
        base: String,
    },
    /// Tensors of one shape, one after another on a new first axis; each is the
    /// sum of those named together.
    StackedSums {
        /// The names to sum, for each index of the new axis.
        names: Vec<Vec<String>>,
        /// The shape of each in the file.
        shape: Vec<usize>,
    },
    /// The weights of linear layers that see the same input, as PyTorch has them,
    /// `[outputs, inputs]`: their outputs side by side, `[inputs, all outputs]`.
    Linear {
        /// The name of each and how many outputs it has.
        names: Vec<(String, usize)>,
        /// Which of all the outputs, in the file's order, comes first, second and so on.
        order: Vec<usize>,
    },
    /// A codebook kept as sums, `[codes, dimension]`, of the vectors that training counted,
    /// `[codes]`: their means, with a floor of 1e-5 under the counts.
    Means {
        /// The name of the sums.
        sums: String,
        /// The name of the counts.
        counts: String,
    },
}

/// What a code that training never counted is divided by.
const LEAST_COUNT: f32 = 1e-5;

/// Why a parameter could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError<E: std::error::Error + 'static> {
    /// The checkpoint has none of the names that would do.
    #[error("import: {target} needs a tensor named {}", names.join(" or "))]
    Missing {
        /// The parameter.
        target: String,
        /// The names that would do; for a pair, its first.
        names: Vec<String>,
    },
    /// A tensor's shape is not what the configuration says.
    #[error("import: tensor {name}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// The tensor's name in the checkpoint.
        name: String,
        /// Its shape by the configuration.
        expected: Vec<usize>,
        /// Its shape.
        got: Vec<usize>,
    },
    /// A direction of length zero, which weight norm cannot scale.
    #[error("import: tensor {name}: row {row} is zero, its weight norm divides by it")]
    ZeroDirection {
        /// The tensor's name in the checkpoint.
        name: String,
        /// The index on its first axis.
        row: usize,
    },
    /// The checkpoint could not be read.
    #[error(transparent)]
    Read(E),
}

impl ImportRule {
    /// Makes the parameter.
    ///
    /// # Arguments
    /// - `read`: the tensor of a name, or `None` if the checkpoint has no such name
    ///
    /// # Errors
    /// A missing tensor, one of another shape, or what `read` fails with.
    pub fn apply<E: std::error::Error + 'static>(
        &self,
        mut read: impl FnMut(&str) -> Result<Option<HostTensor>, E>,
    ) -> Result<HostTensor, ImportError<E>> {
        let data = match &self.source {
            ImportSource::Tensor { name, shape } => self.required(&mut read, name, shape)?,
            ImportSource::WeightNorm { base } => self.weight(&mut read, base)?,
            ImportSource::Linear { names, order } => {
                let inputs = self.shape.first().copied().unwrap_or(1);
                let mut rows = Vec::with_capacity(self.shape.iter().product());
                for (name, outputs) in names {
                    rows.extend(self.required(&mut read, name, &[*outputs, inputs])?);
                }
                let input = |input| order.iter().map(move |output| (input, output));
                let cells = (0..inputs).flat_map(input);
                let at = |(input, &output): (usize, &usize)| rows[output * inputs + input];
                cells.map(at).collect()
            }
            ImportSource::Means { sums, counts } => {
                let mut means = self.required(&mut read, sums, &self.shape)?;
                let counts_shape = self.shape.first().copied().unwrap_or(1);
                let counts = self.required(&mut read, counts, &[counts_shape])?;
                let width = means.len() / counts.len().max(1);
                for (row, count) in means.chunks_mut(width.max(1)).zip(counts) {
                    row.iter_mut()
                        .for_each(|sum| *sum /= count.max(LEAST_COUNT));
                }
                means
            }
            ImportSource::StackedSums { names, shape } => {
                let mut data = Vec::with_capacity(self.shape.iter().product());
                for names in names {
                    let start = data.len();
                    for name in names {
                        let part = self.required(&mut read, name, shape)?;
                        if data.len() == start {
                            data.extend(part);
                        } else {
                            let sum = data[start..].iter_mut();
                            sum.zip(part).for_each(|(sum, part)| *sum += part);
                        }
                    }
                }
                data
            }
        };
        Ok(HostTensor {
            shape: self.shape.clone(),
            data,
        })
    }

    /// The numbers of a tensor that must be there.
    fn required<E: std::error::Error + 'static>(
        &self,
        read: &mut impl FnMut(&str) -> Result<Option<HostTensor>, E>,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, ImportError<E>> {
        match read(name).map_err(ImportError::Read)? {
            Some(tensor) => check(name, shape, tensor),
            None => Err(ImportError::Missing {
                target: self.target.clone(),
                names: vec![name.to_owned()],
            }),
        }
    }

    fn weight<E: std::error::Error + 'static>(
        &self,
        read: &mut impl FnMut(&str) -> Result<Option<HostTensor>, E>,
        base: &str,
    ) -> Result<Vec<f32>, ImportError<E>> {
        let folded = format!("{base}.weight");
        if let Some(weight) = read(&folded).map_err(ImportError::Read)? {
            return check(&folded, &self.shape, weight);
        }
        let pairs = [
            (format!("{base}.weight_g"), format!("{base}.weight_v")),
            (
                format!("{base}.parametrizations.weight.original0"),
                format!("{base}.parametrizations.weight.original1"),
            ),
        ];
        for (g_name, v_name) in &pairs {
            let Some(g) = read(g_name).map_err(ImportError::Read)? else {
                continue;
            };
            let mut g_shape = vec![1; self.shape.len()];
            g_shape[0] = self.shape[0];
            let g = check(g_name, &g_shape, g)?;
            let v = self.required(read, v_name, &self.shape)?;
            let row = v.len() / g.len().max(1);
            if let Some(row) = v
                .chunks(row.max(1))
                .position(|v| v.iter().all(|&v| v == 0.0))
            {
                let name = v_name.clone();
                return Err(ImportError::ZeroDirection { name, row });
            }
            if let Some(weight) = fold_weight_norm(&g, &v) {
                return Ok(weight);
            }
        }
        let [(weight_g, _), (original, _)] = pairs;
        Err(ImportError::Missing {
            target: self.target.clone(),
            names: vec![folded, weight_g, original],
        })
    }
}

fn check<E: std::error::Error + 'static>(
    name: &str,
    expected: &[usize],
    tensor: HostTensor,
) -> Result<Vec<f32>, ImportError<E>> {
    if tensor.shape != expected || tensor.data.len() != expected.iter().product::<usize>() {
        return Err(ImportError::Shape {
            name: name.to_owned(),
            expected: expected.to_vec(),
            got: tensor.shape,
        });
    }
    Ok(tensor.data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::convert::Infallible;

    type File = HashMap<&'static str, HostTensor>;

    fn apply(rule: &ImportRule, file: &File) -> Result<HostTensor, ImportError<Infallible>> {
        rule.apply(|name| Ok(file.get(name).cloned()))
    }

    fn tensor(shape: &[usize], data: &[f32]) -> HostTensor {
        HostTensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        }
    }

    fn weight_rule() -> ImportRule {
        ImportRule {
            target: "conv.weight".to_owned(),
            shape: vec![2, 1, 2],
            source: ImportSource::WeightNorm {
                base: "c".to_owned(),
            },
        }
    }

    #[test]
    fn a_weight_is_read_in_all_three_spellings() {
        let g = tensor(&[2, 1, 1], &[10.0, 1.0]);
        let v = tensor(&[2, 1, 2], &[3.0, 4.0, 0.0, -2.0]);
        let folded = tensor(&[2, 1, 2], &[6.0, 8.0, 0.0, -1.0]);
        let files = [
            File::from([("c.weight", folded.clone())]),
            File::from([("c.weight_g", g.clone()), ("c.weight_v", v.clone())]),
            File::from([
                ("c.parametrizations.weight.original0", g),
                ("c.parametrizations.weight.original1", v),
            ]),
        ];
        for file in files {
            assert_eq!(apply(&weight_rule(), &file), Ok(folded.clone()));
        }
    }

    #[test]
    fn what_is_wrong_with_a_weight_is_named() {
        let message = |file: File| match apply(&weight_rule(), &file) {
            Err(error) => error.to_string(),
            Ok(weight) => panic!("{weight:?}"),
        };
        let g = tensor(&[2, 1, 1], &[1.0, 1.0]);
        assert!(message(File::new()).contains("c.weight or c.weight_g or c.param"));
        assert!(message(File::from([("c.weight_g", g.clone())])).contains("c.weight_v"));
        let per_output = tensor(&[1, 1, 1], &[1.0]);
        let error = message(File::from([("c.weight_g", per_output)]));
        assert!(error.contains("c.weight_g: expected shape [2, 1, 1], got [1, 1, 1]"));
        let error = message(File::from([("c.weight", tensor(&[4], &[0.0; 4]))]));
        assert!(error.contains("c.weight: expected shape [2, 1, 2], got [4]"));
        let v = tensor(&[2, 1, 2], &[1.0, 0.0, 0.0, 0.0]);
        let error = message(File::from([("c.weight_g", g), ("c.weight_v", v)]));
        assert!(error.contains("c.weight_v: row 1 is zero"));
    }

    #[test]
    fn linear_layers_are_turned_and_their_outputs_ordered() {
        let rule = ImportRule {
            target: "linear".to_owned(),
            shape: vec![2, 3],
            source: ImportSource::Linear {
                names: vec![("a".to_owned(), 1), ("b".to_owned(), 2)],
                order: vec![1, 0, 2],
            },
        };
        let a = tensor(&[1, 2], &[1.0, 2.0]);
        let mut file = File::from([("a", a), ("b", tensor(&[2, 2], &[3.0, 4.0, 5.0, 6.0]))]);
        let expected = tensor(&[2, 3], &[3.0, 1.0, 5.0, 4.0, 2.0, 6.0]);
        assert_eq!(apply(&rule, &file), Ok(expected));
        file.insert("b", tensor(&[1, 2], &[3.0, 4.0]));
        let error = apply(&rule, &file).map_err(|error| error.to_string());
        let message = "import: tensor b: expected shape [2, 2], got [1, 2]";
        assert_eq!(error, Err(message.to_owned()));
    }

    #[test]
    fn means_are_sums_by_counts_and_by_no_less_than_the_floor() {
        let rule = ImportRule {
            target: "codebook".to_owned(),
            shape: vec![3, 2],
            source: ImportSource::Means {
                sums: "sums".to_owned(),
                counts: "counts".to_owned(),
            },
        };
        let sums = tensor(&[3, 2], &[4.0, 6.0, 3.0, 1.0, 2e-5, -1e-5]);
        let mut file = File::from([("sums", sums), ("counts", tensor(&[3], &[2.0, 0.5, 0.0]))]);
        let expected = tensor(&[3, 2], &[2.0, 3.0, 6.0, 2.0, 2.0, -1.0]);
        assert_eq!(apply(&rule, &file), Ok(expected));
        file.remove("counts");
        let error = apply(&rule, &file).map_err(|error| error.to_string());
        let message = "import: codebook needs a tensor named counts";
        assert_eq!(error, Err(message.to_owned()));
    }

    #[test]
    fn sums_are_stacked_in_order() {
        let rule = ImportRule {
            target: "bias".to_owned(),
            shape: vec![2, 3],
            source: ImportSource::StackedSums {
                names: vec![
                    vec!["a".to_owned(), "b".to_owned()],
                    vec!["c".to_owned(), "d".to_owned()],
                ],
                shape: vec![3],
            },
        };
        let mut file = File::from([
            ("a", tensor(&[3], &[1.0, 2.0, 3.0])),
            ("b", tensor(&[3], &[10.0, 20.0, 30.0])),
            ("c", tensor(&[3], &[4.0, 5.0, 6.0])),
            ("d", tensor(&[3], &[40.0, 50.0, 60.0])),
        ]);
        let expected = tensor(&[2, 3], &[11.0, 22.0, 33.0, 44.0, 55.0, 66.0]);
        assert_eq!(apply(&rule, &file), Ok(expected));
        file.remove("d");
        let error = apply(&rule, &file).map_err(|error| error.to_string());
        assert_eq!(error, Err("import: bias needs a tensor named d".to_owned()));
    }
}
