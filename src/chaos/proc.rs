//! Processes as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::check::Usage;

/// The program of the model.
pub(super) const MODEL: &str = "levibot-model";
const MB: f64 = 1024.0;
/// A child that is dead for so long and still there was not taken leave of.
const ZOMBIE_MAX: Duration = Duration::from_secs(1);

/// A process, told from a later one of the same number by the moment it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) pid: u32,
    began: u64,
}

/// What is used of `/proc/PID/stat`.
struct Stat {
    state: char,
    parent: u32,
    cpu_ticks: u64,
    began: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in parentheses and may hold anything, parentheses too.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: u32::try_from(number(1)?).ok()?,
        cpu_ticks: number(11)? + number(12)?,
        began: number(19)?,
    })
}

impl Process {
    /// The process of this number, if there is one that lives.
    pub(super) fn find(pid: u32) -> Option<Self> {
        let stat = stat(pid).filter(|stat| stat.state != 'Z')?;
        Some(Self { pid, began: stat.began })
    }

    /// The same, if its command line names it so.
    pub(super) fn named(pid: u32, name: &str) -> Option<Self> {
        let found = Self::find(pid)?;
        words(pid)?.first()?.ends_with(name).then_some(found)
    }

    /// Whether it is still this process, and lives.
    pub(super) fn lives(self) -> bool {
        Self::find(self.pid) == Some(self)
    }

    /// SIGKILL, unless its number is another's by now.
    pub(super) fn kill(self) -> Result<(), String> {
        if !self.lives() {
            return Err(format!("process {} is gone", self.pid));
        }
        let pid = i32::try_from(self.pid).map_err(|_| format!("{} is no process", self.pid))?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| format!("kill of {pid}: {error}"))
    }

    /// What it uses.
    pub(super) fn usage(self) -> Option<Usage> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        #[expect(clippy::cast_precision_loss, reason = "a hundred or so")]
        let ticks = ticks as f64;
        Some(Usage {
            memory_mb: field(&status, "VmRSS:")? as f64 / MB,
            descriptors: fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?.count() as u64,
            threads: field(&status, "Threads:")?,
            cpu_seconds: stat(self.pid)?.cpu_ticks as f64 / ticks,
        })
    }

    /// Memory that is its own, and its part of what it shares, MiB.
    pub(super) fn proportional_mb(self) -> Option<f64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        field(&rollup, "Pss:").map(|kb| kb as f64 / MB)
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Dead children that nobody has taken leave of, and since when.
#[derive(Debug, Default)]
pub(super) struct Zombies(BTreeMap<Process, Instant>);

impl Zombies {
    /// Those of `parent` that are too old now.
    pub(super) fn look(&mut self, parent: u32) -> Vec<String> {
        let dead: Vec<Process> = dead_children(parent).unwrap_or_default();
        self.0.retain(|process, _| dead.contains(process));
        let mut old = Vec::new();
        for process in dead {
            let since = self.0.entry(process).or_insert_with(Instant::now);
            if since.elapsed() > ZOMBIE_MAX {
                old.push(format!("process {} of {parent}", process.pid));
            }
        }
        old
    }
}

/// The command line of a process.
fn words(pid: u32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

fn pids() -> io::Result<impl Iterator<Item = u32>> {
    Ok(fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()))
}

/// Engines and models of a daemon that live, with their names: its children, and those whose command line names it,
/// which it does for good.
pub(super) fn family(daemon: u32) -> BTreeMap<Process, String> {
    let number = daemon.to_string();
    let of = |pid| {
        let (stat, words) = (stat(pid).filter(|stat| stat.state != 'Z')?, words(pid)?);
        let name = words.first()?.rsplit('/').next()?;
        let names_it = words.windows(2).any(|pair| pair[0] == "--daemon" && pair[1] == number);
        let is_its = (name == MODEL || name.starts_with("engine-")) && (stat.parent == daemon || names_it);
        is_its.then(|| (Process { pid, began: stat.began }, name.to_owned()))
    };
    pids().map(|pids| pids.filter_map(of).collect()).unwrap_or_default()
}

fn dead_children(parent: u32) -> io::Result<Vec<Process>> {
    let dead = pids()?.filter_map(|pid| {
        let stat = stat(pid)?;
        (stat.state == 'Z' && stat.parent == parent).then_some(Process { pid, began: stat.began })
    });
    Ok(dead.collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_may_hold_what_separates() {
        let text = "7 (a) b (c)) S 42 7 7 0 -1 4194304 1 2 3 4 50 60 0 0 20 0 1 0 987654 1 2";
        let stat = parse(text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.cpu_ticks, stat.began), ('S', 42, 110, 987_654));
        assert!(parse("7 (a").is_none());
    }

    #[test]
    fn a_family_is_engines_and_models_by_their_parent_or_by_what_they_are_told() {
        let spawn = |name: &str, args: &[&str]| {
            let script = ["-c", "read line", "sh"];
            let mut command = Command::new("/bin/sh");
            command.arg0(name).args(script).args(args).stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        let (me, other) = (std::process::id(), "4000000000");
        let mut children = [
            spawn("/opt/levibot-model", &["serve"]),
            spawn("engine-BTCUSDT", &["--daemon", other]),
            spawn("another", &["--daemon", other]),
        ];
        let [model, engine, _] = [0, 1, 2].map(|at: usize| children[at].id());
        let is = |daemon, expected: &[(u32, &str)]| {
            let found: Vec<(u32, String)> = family(daemon).into_iter().map(|(p, name)| (p.pid, name)).collect();
            let mut expected: Vec<(u32, String)> = expected.iter().map(|(pid, name)| (*pid, (*name).into())).collect();
            expected.sort_unstable();
            found == expected
        };
        let began = Instant::now();
        // Until they are other programs, they have our name.
        while !is(me, &[(model, "levibot-model"), (engine, "engine-BTCUSDT")]) {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", family(me));
            std::thread::yield_now();
        }
        assert!(is(4_000_000_000, &[(engine, "engine-BTCUSDT")]), "{:?}", family(4_000_000_000));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(is(me, &[]));
    }

    #[test]
    fn a_process_is_found_by_its_name_killed_once_and_seen_dead_until_it_is_waited_for() {
        let mut child = Command::new("/bin/sleep").arg0("engine-TEST").arg("600").spawn().unwrap();
        let found = loop {
            // Until it is another program, it has our name.
            if let Some(found) = Process::named(child.id(), "engine-TEST") {
                break found;
            }
        };
        assert_eq!(Process::named(child.id(), "engine-OTHER"), None);
        let usage = found.usage().unwrap();
        assert!(usage.memory_mb > 0.0 && usage.descriptors > 0 && usage.threads == 1, "{usage:?}");
        assert!(found.proportional_mb().unwrap() > 0.0);
        let later = Process { began: found.began + 1, ..found };
        assert!(later.kill().is_err() && found.lives(), "another process of the same number is let alone");
        found.kill().unwrap();
        while found.lives() {
            std::thread::yield_now();
        }
        let mut zombies = Zombies::default();
        assert!(zombies.look(std::process::id()).is_empty(), "it is dead since now");
        assert!(zombies.0.keys().any(|zombie| *zombie == found));
        child.wait().unwrap();
        zombies.look(std::process::id());
        assert!(!zombies.0.keys().any(|zombie| *zombie == found));
    }
}
