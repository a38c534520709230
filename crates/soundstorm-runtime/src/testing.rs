//! For tests that compare a GPU backend with the CPU, here and in the crates above.

use crate::{DeviceArg, Selected, select};

/// The variable that turns a skipped test into a failure when it is `1`: for machines that have a driver for sure.
pub const REQUIRE_VULKAN: &str = "SOUNDSTORM_REQUIRE_VULKAN";

/// A wgpu device to test on: the software adapter where there is one, since it is the same everywhere, else hardware.
/// `None`, with a message on stderr, means that the test should return.
///
/// # Panics
/// Where there is none and [`REQUIRE_VULKAN`] is `1`.
pub fn vulkan_or_skip() -> Option<Selected> {
    let required = std::env::var_os(REQUIRE_VULKAN).is_some_and(|value| value == "1");
    let software = select(&DeviceArg::WgpuCpu);
    let found = software.or_else(|error| select(&DeviceArg::Wgpu(0)).map_err(|_| error));
    match found {
        Ok(selected) => Some(selected),
        Err(error) if required => panic!("{REQUIRE_VULKAN} is set, and {error}"),
        Err(error) => {
            eprintln!("skipped: {error} (Debian's software driver: mesa-vulkan-drivers)");
            None
        }
    }
}
