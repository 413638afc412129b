//! Fill models and the paper venue.
