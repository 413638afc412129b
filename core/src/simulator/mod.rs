//! A seeded market for the embedded default.
