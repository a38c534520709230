//! How much memory the process has needed.

/// The most memory that was resident at once, in MiB: `VmHWM` of `/proc/self/status`, `None` where there is none.
pub fn peak_rss_mib() -> Option<f64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line() {
        let status = "Name:\tx\nVmPeak:\t  9999 kB\nVmHWM:\t    2560 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(parse(status), Some(2.5));
        assert_eq!(parse("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn grows_with_what_is_touched() {
        let before = peak_rss_mib();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = peak_rss_mib();
        assert!(before.zip(after).is_some_and(|(b, a)| a >= b && a > 60.0));
        drop(block);
    }
}
