//! The program of the fusion model; `levibot` hands its model commands over to it.

fn main() {}
