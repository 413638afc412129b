//! The fusion model of levibot: datasets, members, training, versions and the model server.
//!
//! It stands on the pure code of `levibot-core` (features, labels, fusion, statistics) and knows nothing of the daemon:
//! the two talk by frames. `tch` is named in `tft`, `lightgbm3` in `lightgbm`, and nowhere else.

pub mod cli;
pub mod clock;
pub mod dataset;
pub mod ensemble;
pub mod forecasts;
pub mod lightgbm;
pub mod nightly;
pub mod progress;
pub mod server;
pub mod settings;
pub mod tft;
pub mod training;
pub mod versions;
