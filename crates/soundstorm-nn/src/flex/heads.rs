//! What surrounds attention: splitting and turning heads, mixing values, joining heads.

use burn::tensor::{DType, Tensor, backend::Backend};

use super::{
    Floats, Function, Kernel, applies, apply, by_rows, input, input_if,
    vector::{dot, sigmoid},
    vectorized_by_rows,
};

/// `[batch, heads, frames, dim_head]`
type Heads = [usize; 4];

/// Query, key and value of every head, the first two turned by `rotary`'s
/// cosines and sines.
///
/// - `qkv`: `[batch, frames, 3 * heads * dim_head]`
/// - `rotary`: `[1, 1, at least frames, dim_head / 2]` each
/// - output: `[batch, heads, frames, dim_head]` each
pub(crate) fn split_heads<B: Backend>(
    qkv: Tensor<B, 3>,
    heads: usize,
    rotary: Option<(&Tensor<B, 4>, &Tensor<B, 4>)>,
) -> Result<[Tensor<B, 4>; 3], Tensor<B, 3>> {
    let tables = rotary.map_or(DType::F32, |(cos, _)| cos.dtype());
    if !applies::<B>(&[qkv.dtype(), tables]) {
        return Err(qkv);
    }
    Ok([0, 1, 2].map(|part| {
        let (cos, sin) = rotary.filter(|_| part < 2).unzip();
        let (cos, sin) = (input_if(cos, &qkv), input_if(sin, &qkv));
        let of = Part { part, parts: 3 };
        apply(Split { of, heads }, [input(qkv.clone()), cos, sin])
    }))
}

/// Which part of a frame's channels, and of how many.
#[derive(Clone, Copy, Debug)]
struct Part {
    part: usize,
    parts: usize,
}

/// One part of every frame's channels, split into heads and turned.
#[derive(Clone, Debug)]
struct Split {
    of: Part,
    heads: usize,
}

impl Function<3> for Split {
    const READS: [bool; 3] = [false, true, true];

    fn forward(&self, [qkv, cos, sin]: [Floats; 3]) -> Floats {
        let [batch, frames, width] = qkv.dims();
        let dim_head = width / (self.of.parts * self.heads);
        let shape = [batch, self.heads, frames, dim_head];
        let turned = cos.numbers_if().zip(sin.numbers_if());
        Floats::new(split(qkv.numbers(), self.of, shape, turned), shape)
    }

    fn backward(
        &self,
        [_, cos, sin]: [Floats; 3],
        gradient: Floats,
        _: [bool; 3],
    ) -> [Option<Floats>; 3] {
        let shape = gradient.dims();
        let [batch, heads, frames, dim_head] = shape;
        // Turned back: by the sine of the opposite angle.
        let back: Vec<f32> = sin.numbers().iter().map(|sin| -sin).collect();
        let turned = cos.numbers_if().map(|cos| (cos, back.as_slice()));
        let out = merge(gradient.numbers(), self.of, shape, turned);
        let width = self.of.parts * heads * dim_head;
        [Some(Floats::new(out, [batch, frames, width])), None, None]
    }
}

/// `[batch, heads, frames, dim_head]` to `[batch, frames, heads * dim_head]`.
pub(crate) fn merge_heads<B: Backend>(x: Tensor<B, 4>) -> Result<Tensor<B, 3>, Tensor<B, 4>> {
    match applies::<B>(&[x.dtype()]) {
        true => Ok(apply(Merge, [input(x)])),
        false => Err(x),
    }
}

const WHOLE: Part = Part { part: 0, parts: 1 };

#[derive(Clone, Debug)]
struct Merge;

impl Function<1> for Merge {
    const READS: [bool; 1] = [true];

    fn forward(&self, [x]: [Floats; 1]) -> Floats {
        let shape = x.dims();
        let [batch, heads, frames, dim_head] = shape;
        let out = merge(x.numbers(), WHOLE, shape, None);
        Floats::new(out, [batch, frames, heads * dim_head])
    }

    fn backward(&self, [x]: [Floats; 1], gradient: Floats, _: [bool; 1]) -> [Option<Floats>; 1] {
        let shape = x.dims();
        let out = split(gradient.numbers(), WHOLE, shape, None);
        [Some(Floats::new(out, shape))]
    }
}

/// A part of `[batch, frames, parts * heads * dim_head]`; turned, if there are tables.
fn split(x: &[f32], of: Part, shape: Heads, tables: Option<(&[f32], &[f32])>) -> Vec<f32> {
    let [_, heads, frames, dim_head] = shape;
    let mut out = vec![0.0; shape.iter().product()];
    by_rows(&mut out, dim_head, |first, out| {
        for (row, out) in out.chunks_exact_mut(dim_head).enumerate() {
            let row = first + row;
            let (frame, head) = (row % frames, row / frames % heads);
            let from = row / (frames * heads) * frames + frame;
            let from = ((from * of.parts + of.part) * heads + head) * dim_head;
            copy_turned(&x[from..from + dim_head], frame, tables, out);
        }
    });
    out
}

/// Heads joined into a part of `[batch, frames, parts * heads * dim_head]` that is zero otherwise;
/// turned, if there are tables.
fn merge(x: &[f32], of: Part, shape: Heads, tables: Option<(&[f32], &[f32])>) -> Vec<f32> {
    let [_, heads, frames, dim_head] = shape;
    let width = heads * dim_head;
    let mut out = vec![0.0; of.parts * x.len()];
    by_rows(&mut out, of.parts * width, |first, out| {
        for (row, out) in out.chunks_exact_mut(of.parts * width).enumerate() {
            let (row, frame) = ((first + row) / frames, (first + row) % frames);
            let out = &mut out[of.part * width..][..width];
            for (head, out) in out.chunks_exact_mut(dim_head).enumerate() {
                let from = ((row * heads + head) * frames + frame) * dim_head;
                copy_turned(&x[from..from + dim_head], frame, tables, out);
            }
        }
    });
    out
}

#[inline(always)]
fn copy_turned(x: &[f32], frame: usize, tables: Option<(&[f32], &[f32])>, out: &mut [f32]) {
    match tables {
        None => out.copy_from_slice(x),
        Some((cos, sin)) => {
            let half = x.len() / 2;
            let angle = frame * half..(frame + 1) * half;
            turn(x, &cos[angle.clone()], &sin[angle], out);
        }
    }
}

/// Turns each pair of channels, one from each half, by an angle.
#[inline(always)]
fn turn(x: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]) {
    let (x1, x2) = x.split_at(cos.len());
    let (out1, out2) = out.split_at_mut(cos.len());
    let pairs = x1.iter().zip(x2).zip(cos.iter().zip(sin));
    let outs = out1.iter_mut().zip(out2);
    for (((x1, x2), (cos, sin)), (out1, out2)) in pairs.zip(outs) {
        *out1 = x1 * cos - x2 * sin;
        *out2 = x2 * cos + x1 * sin;
    }
}

/// `values + (first - values) * sigmoid(gate)`, in place.
///
/// - `values`, `first`, output: `[batch, heads, frames, dim_head]`
/// - `gate`: `[batch, frames, heads]`
pub(crate) fn mix_values<B: Backend>(
    values: Tensor<B, 4>,
    first: &Tensor<B, 4>,
    gate: &Tensor<B, 3>,
) -> Result<Tensor<B, 4>, Tensor<B, 4>> {
    if !applies::<B>(&[values.dtype(), first.dtype(), gate.dtype()]) {
        return Err(values);
    }
    let (first, gate) = (input(first.clone()), input(gate.clone()));
    Ok(apply(Mix, [input(values), first, gate]))
}

#[derive(Clone, Debug)]
struct Mix;

impl Function<3> for Mix {
    const READS: [bool; 3] = [true; 3];

    fn forward(&self, [mut values, first, gate]: [Floats; 3]) -> Floats {
        let (shape, dim_head) = (values.dims(), values.width());
        let (first, gate) = (first.numbers(), gate.numbers());
        by_rows(values.numbers_mut(), dim_head, |start, values| {
            let others = first[start * dim_head..].chunks_exact(dim_head);
            let rows = values.chunks_exact_mut(dim_head).zip(others);
            for (row, (values, others)) in rows.enumerate() {
                let weight = sigmoid(gate[gate_of(start + row, shape)]);
                for (value, other) in values.iter_mut().zip(others) {
                    *value += (other - *value) * weight;
                }
            }
        });
        values
    }

    fn backward(
        &self,
        [mut values, mut first, gate]: [Floats; 3],
        gradient: Floats,
        _: [bool; 3],
    ) -> [Option<Floats>; 3] {
        let shape: Heads = values.dims();
        let [batch, heads, frames, dim_head] = shape;
        let (gates, gradient) = (gate.numbers(), gradient.numbers());
        // How far each gate would move the output: one number for each row of channels.
        let mut of_gate = vec![0.0; batch * heads * frames];
        let slopes = GateSlopes {
            values: values.numbers(),
            first: first.numbers(),
            gates,
            gradient,
            shape,
        };
        vectorized_by_rows(dim_head, &mut of_gate, 1, slopes);
        let share = |numbers: &mut [f32], part: fn(f32) -> f32| {
            by_rows(numbers, dim_head, |start, out| {
                let gradients = gradient[start * dim_head..].chunks_exact(dim_head);
                let rows = out.chunks_exact_mut(dim_head).zip(gradients);
                for (row, (out, gradients)) in rows.enumerate() {
                    let weight = part(sigmoid(gates[gate_of(start + row, shape)]));
                    for (out, gradient) in out.iter_mut().zip(gradients) {
                        *out = gradient * weight;
                    }
                }
            });
        };
        share(values.numbers_mut(), |weight| 1.0 - weight);
        share(first.numbers_mut(), |weight| weight);
        let of_gate = merge(&of_gate, WHOLE, [batch, heads, frames, 1], None);
        let of_gate = Floats::new(of_gate, [batch, frames, heads]);
        [Some(values), Some(first), Some(of_gate)]
    }
}

struct GateSlopes<'a> {
    values: &'a [f32],
    first: &'a [f32],
    gates: &'a [f32],
    gradient: &'a [f32],
    shape: Heads,
}

impl Kernel for GateSlopes<'_> {
    #[inline(always)]
    fn run(&self, start: usize, out: &mut [f32]) {
        let [_, _, _, dim_head] = self.shape;
        for (row, out) in out.iter_mut().enumerate() {
            let row = start + row;
            let at = row * dim_head..(row + 1) * dim_head;
            let gradient = &self.gradient[at.clone()];
            let moved = dot(gradient, &self.first[at.clone()]) - dot(gradient, &self.values[at]);
            let weight = sigmoid(self.gates[gate_of(row, self.shape)]);
            *out = moved * weight * (1.0 - weight);
        }
    }
}

/// Where the gate of a row of channels lies.
fn gate_of(row: usize, [_, heads, frames, _]: Heads) -> usize {
    let (frame, head) = (row % frames, row / frames % heads);
    (row / (frames * heads) * frames + frame) * heads + head
}
