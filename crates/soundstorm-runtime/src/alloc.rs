//! The allocator for programs: every large operation asks for fresh memory, which most systems' own allocators get from
//! the kernel page by page.
//!
//! A program sets it with
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: soundstorm_runtime::alloc::MiMalloc = soundstorm_runtime::alloc::MiMalloc;
//! # fn main() {}
//! ```

pub use mimalloc::MiMalloc;
