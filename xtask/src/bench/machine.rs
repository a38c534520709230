//! What a measurement ran on: processor, memory, versions, and how much memory a process held.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::process;

/// Instruction sets that decide how fast a matrix product is.
const FLAGS: &[&str] = &[
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "sve",
    "bf16",
    "i8mm",
];

/// What tells OpenMP's threads how long to wait in a loop; the sides inherit it.
const WAITING: [&str; 2] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];
/// Processes at work beside ours, above which times are not worth comparing.
const BUSY: f64 = 1.0;

/// Names and values, in the order they are shown.
pub(super) type Facts = Vec<(String, String)>;

/// The machine and what it is busy with, and its GPUs where `device` is one. What cannot be found out is left out.
pub(super) fn describe(device: &str) -> Facts {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut facts = from_proc(&read("/proc/cpuinfo"), &read("/proc/meminfo"));
    if let Ok(threads) = std::thread::available_parallelism() {
        facts.push(fact("threads", threads));
    }
    let system = read("/etc/os-release");
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let system = system.map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    facts.push(fact(
        "system",
        format_args!("{system} {}", std::env::consts::ARCH),
    ));
    if let Some(load) = load(&read("/proc/loadavg")) {
        facts.push(fact("load before", load));
    }
    for name in WAITING {
        if let Ok(value) = std::env::var(name) {
            facts.push(fact(name, value));
        }
    }
    if device.starts_with("cuda") {
        let query = [
            "--query-gpu=name,memory.total,driver_version",
            "--format=csv,noheader",
        ];
        let gpus = process::output(Command::new("nvidia-smi").args(query)).unwrap_or_default();
        facts.extend(gpus.lines().map(|gpu| fact("gpu", gpu.trim())));
    }
    facts
}

/// A warning, where the machine has other work. PyTorch's threads wait for each other in a loop,
/// and wait long where one of them was sent away: tens of times longer has been seen.
pub(super) fn busy() -> Option<String> {
    busy_from(&std::fs::read_to_string("/proc/loadavg").ok()?)
}

fn busy_from(loadavg: &str) -> Option<String> {
    let load = load(loadavg).filter(|load| *load > BUSY)?;
    Some(format!(
        "The machine was busy before this began (load {load:.1}). Other work slows PyTorch's threads far more than \
         ours, so the ratios do not compare the programs: measure on a quiet machine, or with \
         OMP_WAIT_POLICY=passive in the environment."
    ))
}

/// Of the last minute.
fn load(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().next()?.parse().ok()
}

/// The day, the commit, and the compiler.
pub(super) fn versions(root: &Path) -> Facts {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let mut facts = vec![fact("date", day(seconds / 86_400))];
    let git =
        |arguments: &[&str]| process::output(Command::new("git").args(arguments).current_dir(root));
    if let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) {
        let clean = git(&["status", "--porcelain"]).is_ok_and(|status| status.is_empty());
        let note = if clean { "" } else { " and changes" };
        facts.push(fact("commit", format_args!("{}{note}", commit.trim())));
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if let Ok(version) = process::output(Command::new(rustc).arg("--version")) {
        facts.push(fact("compiler", version.trim()));
    }
    facts
}

/// The most memory that a running process has held, in MiB (Linux).
pub(super) fn peak_mib(id: u32) -> Option<f64> {
    high_water_mib(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

fn high_water_mib(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

fn from_proc(cpuinfo: &str, meminfo: &str) -> Facts {
    let all = |key: &str| -> Vec<&str> {
        let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim())
            .collect()
    };
    let mut facts = Facts::new();
    if let Some(model) = all("model name").first() {
        facts.push(fact("processor", model));
    }
    let mut cores: Vec<_> = all("physical id").into_iter().zip(all("core id")).collect();
    cores.sort_unstable();
    cores.dedup();
    if !cores.is_empty() {
        facts.push(fact("cores", cores.len()));
    }
    let flags = all("flags")
        .first()
        .or(all("Features").first())
        .copied()
        .unwrap_or_default();
    let has = |flag: &&&str| flags.split_whitespace().any(|word| word == **flag);
    let flags: Vec<&str> = FLAGS.iter().filter(has).copied().collect();
    if !flags.is_empty() {
        facts.push(fact("instructions", flags.join(" ")));
    }
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    if let Some(kib) = kib {
        facts.push(fact(
            "memory",
            format_args!("{:.1} GiB", kib / 1024.0 / 1024.0),
        ));
    }
    facts
}

fn fact(name: &str, value: impl std::fmt::Display) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// The date of a day since 1970-01-01, in the Gregorian calendar.
fn day(mut days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        // `date -u -d @$((86400 * N)) +%F`
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(11_016), "2000-02-29");
        assert_eq!(day(19_782), "2024-02-29");
        assert_eq!(day(20_453), "2025-12-31");
        assert_eq!(day(20_454), "2026-01-01");
    }

    #[test]
    fn a_processor_is_described() {
        let cpu = |core| {
            format!(
                "model name\t: Fast\nphysical id\t: 0\ncore id\t: {core}\nflags\t: fpu avx2 fma avx512fx\n\n"
            )
        };
        let cpuinfo = [cpu(0), cpu(1), cpu(0)].concat();
        let facts = from_proc(&cpuinfo, "MemTotal:       16777216 kB\n");
        let expect = [
            ("processor", "Fast"),
            ("cores", "2"),
            ("instructions", "avx2 fma"),
            ("memory", "16.0 GiB"),
        ];
        assert_eq!(facts, expect.map(|(name, value)| fact(name, value)));
        assert!(from_proc("", "").is_empty());
    }

    #[test]
    fn a_busy_machine_is_told() {
        assert_eq!(busy_from("0.85 6.18 4.08 2/99 1234"), None);
        assert_eq!(busy_from(""), None);
        let warning = busy_from("6.54 0.18 0.08 2/99 1234");
        assert!(warning.is_some_and(|text| text.contains("load 6.5")));
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(
            high_water_mib("VmPeak:\t 9 kB\nVmHWM:\t    2560 kB\n"),
            Some(2.5)
        );
        assert_eq!(high_water_mib("VmPeak: 1 kB"), None);
    }
}
