//! The kernel of AMX-BF16. Rust has no stable intrinsics of it, so it is written in assembly.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _mm512_load_ps};
use core::marker::PhantomData;

use super::super::layout::{LINES, Line, PAIRS};
use super::place::Place;

/// Rows of two tiles.
pub(super) const HEIGHT: usize = 2 * ROWS;

/// Rows of a tile, at most.
const ROWS: usize = 16;

/// Four tiles of sums: [`HEIGHT`] rows of two vectors.
#[repr(C, align(64))]
struct Sums([[[f32; PAIRS]; LINES]; HEIGHT]);

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Whether the processor has the instructions and the system lets this process use them.
pub(crate) fn found() -> bool {
    /// The instructions for bf16, and those for tiles at all.
    const FEATURES: u32 = 1 << 22 | 1 << 24;

    #[allow(unused_unsafe)] // It is safe since Rust 1.94.
    // SAFETY: there is no processor of 64 bits without the instruction.
    let features = unsafe { __cpuid_count(7, 0) }.edx;
    features & FEATURES == FEATURES && lent()
}

/// Asks Linux for the part of the processor's state that is too large to be everybody's.
#[cfg(target_os = "linux")]
fn lent() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST: u64 = 0x1023;
    const TILES: u64 = 18;

    let mut result = ARCH_PRCTL;
    // SAFETY: the call takes two numbers and touches no memory of this process; the kernel keeps
    // all registers but these three.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") REQUEST,
            in("rsi") TILES,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn lent() -> bool {
    false
}

/// The tiles of this thread, set up for as long as this lives.
pub(super) struct Tiles {
    /// Other threads have their own.
    _here: PhantomData<*mut ()>,
}

impl Tiles {
    /// Sets up sums in tiles 0 to 3, the left matrix in 4 and 5, and weights in 6 and 7, all
    /// as large as can be.
    ///
    /// # Safety
    /// [`found`] said so, and this thread has no other.
    pub(super) unsafe fn new() -> Self {
        let shapes = Shapes {
            palette: 1,
            start: 0,
            reserved: [0; 14],
            bytes: core::array::from_fn(|tile| if tile < 8 { 64 } else { 0 }),
            rows: core::array::from_fn(|tile| if tile < 8 { ROWS as u8 } else { 0 }),
        };
        // SAFETY: the shapes are as the processor documents them, for its 8 tiles of 16 rows of 64
        // bytes.
        unsafe {
            asm!(
                "ldtilecfg [{shapes}]",
                shapes = in(reg) &raw const shapes,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly),
            );
        }
        Self { _here: PhantomData }
    }

    /// Multiplies a panel of [`HEIGHT`] rows, of which so many count, by a panel of weights.
    ///
    /// # Safety
    /// The columns at the place, in as many rows, are valid for writes, and for reads if they are
    /// added to.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn run(&self, rows: usize, x: &[Line], weights: &[Line], place: Place) {
        let mut sums = Sums([[[0.0; PAIRS]; LINES]; HEIGHT]);
        self.multiply(x, weights, &mut sums);
        for (row, sums) in sums.0.iter().enumerate().take(rows) {
            for (vector, sum) in sums.iter().enumerate() {
                // SAFETY: it is sixteen numbers, and each vector in memory aligned as the first.
                let sum = unsafe { _mm512_load_ps(sum.as_ptr()) };
                // SAFETY: as promised.
                unsafe { place.put(row, vector, sum) };
            }
        }
    }

    fn multiply(&self, x: &[Line], weights: &[Line], sums: &mut Sums) {
        let steps = (x.len() / HEIGHT).min(weights.len() / (PAIRS * LINES));
        // SAFETY: in each step two tiles of x are read, HEIGHT lines, and two of the weights,
        // PAIRS * LINES lines in turn; there are as many. The sums are four tiles. The tiles are
        // set up.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "test {steps}, {steps}",
                "jz 3f",
                "2:",
                "tileloadd tmm4, [{x} + 1*{line}]",
                "tileloadd tmm6, [{weights} + 1*{pair}]",
                "tileloadd tmm7, [{weights} + 1*{pair} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{x} + 1*{line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {x}, 2048",
                "add {weights}, 2048",
                "dec {steps}",
                "jnz 2b",
                "3:",
                "tilestored [{sums} + 1*{pair}], tmm0",
                "tilestored [{sums} + 1*{pair} + 64], tmm1",
                "tilestored [{sums} + 1*{pair} + 2048], tmm2",
                "tilestored [{sums} + 1*{pair} + 2112], tmm3",
                x = inout(reg) x.as_ptr() => _,
                weights = inout(reg) weights.as_ptr() => _,
                steps = inout(reg) steps => _,
                sums = in(reg) &raw mut *sums,
                line = in(reg) 64usize,
                pair = in(reg) 128usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    /// Gives the tiles back, so that the system need not keep them when threads take turns.
    fn drop(&mut self) {
        // SAFETY: nobody uses the tiles any more.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_lent_where_the_system_knows_them() {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let has = |name| info.split_whitespace().any(|flag| flag == name);
        // It may still refuse.
        assert!(has("amx_tile") || !lent());
        assert_eq!(found(), has("amx_bf16") && lent());
    }
}
