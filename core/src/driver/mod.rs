//! Drives the cores: the sequencer that live trading, replay and simulation share.
