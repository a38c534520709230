//! A model's parameters by name, and which of them decay: the weights of linear layers, heads and
//! convolutions, and no norms, biases, embeddings or gates.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Tensor, backend::Backend},
};

/// Fields that decay, by the structure that they are in.
const DECAYING: [(&str, &str); 4] = [
    ("Struct:Linear", "weight"),
    ("Struct:Head", "weight"),
    ("Struct:HeadProjection", "weight"),
    ("Struct:ConvolutionModule", "depthwise_weight"),
];

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Its path of fields, joined by dots; its name in a model folder.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it is pulled towards zero.
    pub decays: bool,
}

impl ParameterInfo {
    /// Numbers in it.
    pub fn numbers(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A module's floating-point parameters, in the order of its fields. Nothing is initialised.
pub fn parameters<B: Backend, M: Module<B>>(module: &M) -> Vec<ParameterInfo> {
    let mut list = List::default();
    module.visit(&mut list);
    list.found
}

#[derive(Default)]
struct List {
    /// Fields entered, each with the structure that it is in.
    path: Vec<(String, String)>,
    found: Vec<ParameterInfo>,
}

impl<B: Backend> ModuleVisitor<B> for List {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        let field = self.path.last();
        let decays = field.is_some_and(|(name, container)| {
            DECAYING.contains(&(container.as_str(), name.as_str()))
        });
        self.found.push(ParameterInfo {
            name: names.join("."),
            shape: param.lazy_shape().to_vec(),
            decays,
        });
    }
}
