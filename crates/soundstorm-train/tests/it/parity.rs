//! With the reference.
