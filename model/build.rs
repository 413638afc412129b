//! Lets `levibot-model`, its tests and its benches find libtorch without `LD_LIBRARY_PATH`.

use std::path::{Path, PathBuf};

/// What tch needs and where it is, in one sentence for whoever builds by hand.
const REMEDY: &str = "run scripts/setup.sh, then `. scripts/env.sh` in this shell, and build again";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    match libraries() {
        Ok(folder) => link(&folder),
        Err(reason) => println!("cargo::error={reason}: {REMEDY}"),
    }
}

/// Where libtorch's libraries are; the same variables, in the same order, as torch-sys reads.
fn libraries() -> Result<PathBuf, String> {
    let root = std::env::var_os("LIBTORCH_LIB")
        .or_else(|| std::env::var_os("LIBTORCH"))
        .filter(|root| !root.is_empty())
        .ok_or("levibot-model needs libtorch, and LIBTORCH is not set")?;
    let folder = Path::new(&root).join("lib");
    if folder.join("libtorch_cpu.so").is_file() || folder.join("libtorch_cpu.dylib").is_file() {
        return Ok(folder);
    }
    Err(format!("LIBTORCH is {}, and there is no libtorch_cpu in its folder lib", Path::new(&root).display()))
}

/// An installed program finds its libraries in `lib/levibot` beside its folder, one in the build folder where they were
/// at build time.
fn link(folder: &Path) {
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/levibot");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
}
