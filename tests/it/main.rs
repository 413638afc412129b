//! Tests of the whole program, through its binary and its public faces.
