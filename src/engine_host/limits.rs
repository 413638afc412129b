//! What an engine process takes from itself before it does anything: it needs a socket and memory, and nothing else.

use std::os::unix::process::parent_id;

use levibot_core::domain::Symbol;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

/// Address space, bytes: a leak ends the engine, not the machine. One takes up some 20 MB of it, and once more the size of its
/// program, debug information and all, to say where it was when it aborts: where that has no room it hangs instead.
const ADDRESS_SPACE: u64 = 512 << 20;
/// Open files: the three standard ones, the socket's copy, and some.
const FILES: u64 = 16;
/// Longest name of a thread that the kernel keeps, bytes.
const NAME_MAX: usize = 15;
/// Above the daemon's own, so that the kernel in need of memory ends an engine before the daemon.
const OOM_SCORE_MORE: i32 = 500;
/// The most that the kernel takes.
const OOM_SCORE_MAX: i32 = 1_000;
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Why the limits do not hold.
#[derive(Debug, thiserror::Error)]
pub(super) enum LimitError {
    /// The kernel refuses.
    #[error("cannot {doing}")]
    Refused {
        /// What was asked for.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// The daemon was gone before anything could be asked for.
    #[error("the daemon (process {wanted}) is gone; the parent is {found}")]
    Orphan {
        /// The daemon.
        wanted: u32,
        /// The parent.
        found: u32,
    },
}

/// Ends with the daemon, whatever ends that; is named after its symbol; cannot gain rights, dump memory, write files, start
/// processes or threads (the last not where it runs as root, whom that limit does not bind), or grow; and leaves it to the
/// daemon when to end.
///
/// # Errors
/// [`LimitError`].
pub(super) fn apply(symbol: Symbol, daemon: u32) -> Result<(), LimitError> {
    let refused = |doing| move |source| LimitError::Refused { doing, source };
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused("end with the daemon"))?;
    // A daemon that ended before that line sends no signal.
    let found = parent_id();
    if found != daemon {
        return Err(LimitError::Orphan { wanted: daemon, found });
    }
    let name: Vec<u8> = format!("engine-{symbol}").bytes().take(NAME_MAX).collect();
    if let Ok(name) = std::ffi::CString::new(name) {
        prctl::set_name(&name).map_err(refused("take the name"))?;
    }
    prctl::set_no_new_privs().map_err(refused("give up new privileges"))?;
    close_inherited();
    // Kernels without that file exist; the rest does not depend on it.
    let own = std::fs::read_to_string(OOM_SCORE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let _ = std::fs::write(OOM_SCORE, OOM_SCORE_MAX.min(OOM_SCORE_MORE.saturating_add(own)).to_string());
    // Who ends a service or a terminal signals all its processes; the daemon ends its engines in order.
    let mut held_back = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| held_back.add(signal));
    held_back.thread_block().map_err(refused("hold signals back"))?;
    let limits = [
        (Resource::RLIMIT_CORE, 0, "forbid core dumps"),
        (Resource::RLIMIT_FSIZE, 0, "forbid writing files"),
        (Resource::RLIMIT_NPROC, 0, "forbid processes and threads"),
        (Resource::RLIMIT_NOFILE, FILES, "limit open files"),
        (Resource::RLIMIT_AS, ADDRESS_SPACE, "limit memory"),
    ];
    for (resource, most, doing) in limits {
        let (_, hard) = getrlimit(resource).map_err(refused(doing))?;
        let most = most.min(hard);
        setrlimit(resource, most, most).map_err(refused(doing))?;
    }
    Ok(())
}

/// Files that whoever started the daemon left open for everybody; the daemon itself leaves none.
fn close_inherited() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for file in open.into_iter().filter(|file| *file > 2) {
        // The folder that was just read is closed already.
        let _ = nix::unistd::close(file);
    }
}
