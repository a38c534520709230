//! What the machine has, found without risking a panic in a driver's bindings.

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(feature = "wgpu")]
pub(crate) mod wgpu;

use std::fmt;

use crate::DeviceArg;

/// A device that a backend found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adapter {
    /// How to ask for it; `None` where it cannot be used.
    pub device: Option<DeviceArg>,
    /// The name that its driver gives it.
    pub name: String,
    /// What it is made of.
    pub kind: AdapterKind,
    /// The API and driver behind it, such as `Vulkan, NVIDIA 570.86`.
    pub driver: String,
}

/// What an [`Adapter`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AdapterKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU handed through by a hypervisor.
    Virtual,
    /// An emulation on the CPU.
    Software,
    /// The driver does not say.
    Other,
    /// The CPU itself.
    Cpu,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Software => "software",
            Self::Other => "unknown kind",
            Self::Cpu => "CPU",
        })
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.kind, self.driver)
    }
}

/// `adapters` as a list for messages.
#[cfg(feature = "wgpu")]
pub(crate) fn listed(adapters: &[Adapter]) -> String {
    let names: Vec<_> = adapters.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Runs `probe`, turning a panic into its message and keeping it off stderr.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) fn quietly<T>(probe: impl FnOnce() -> T) -> Result<T, String> {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    use std::sync::Once;

    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    // Set once and for all, before the hook that was there: only this thread, only while it probes, is silent.
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    // What a probe leaves half-done belongs to the library that gave up, and is not used again.
    let outcome = catch_unwind(AssertUnwindSafe(probe));
    QUIET.set(before);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".into())
    })
}

#[cfg(all(test, any(feature = "cuda", feature = "wgpu")))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 7), Ok(7));
        assert_eq!(
            quietly(|| -> u8 { panic!("no {}", "driver") }),
            Err("no driver".into())
        );
        assert_eq!(quietly(|| -> u8 { panic!("plain") }), Err("plain".into()));
    }
}
