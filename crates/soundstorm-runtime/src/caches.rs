//! Where kernels that were compiled for a GPU are kept from one run to the next.

use std::sync::{Arc, Once};

use cubecl_common::config::RuntimeConfig;
use cubecl_runtime::config::{CubeClRuntimeConfig, cache::CacheConfig};

/// Keeps them beside what autotune found, unless a `cubecl.toml` says where: the folder `target` of
/// a project, the user's cache folder elsewhere. To be called before a device is first used.
pub(crate) fn keep_kernels() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut slot = CubeClRuntimeConfig::storage().lock();
        if slot.is_none() {
            let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
            config.compilation.cache.get_or_insert(CacheConfig::Target);
            *slot = Some(Arc::new(config));
        }
    });
}
