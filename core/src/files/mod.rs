//! Readers of price files.
