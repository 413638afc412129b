//! The core of an engine: features and a policy in, decisions out.
