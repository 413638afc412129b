//! The restart policy of engines.
