//! Processes: started on a core, their CPU time and memory by the kernel's accounting.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock;

/// Raises the limit of open files as far as it goes, pins to the core in `$0`, and becomes the program.
const LAUNCH: &str =
    r#"ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec taskset -c "$0" "$@""#;

/// A command that runs `program` on `core`.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LAUNCH, core]).arg(program);
    command
}

/// A process of ours, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // nginx's worker outlives a killed master, and a master replaces a worker that ends before it.
        let family = family(self.pid());
        let _ = self.0.kill();
        let _ = self.0.wait();
        for pid in family.into_iter().skip(1) {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
    }
}

impl Process {
    /// Starts it, its output thrown away: an access log on stderr is written all the same.
    pub(crate) fn start(mut command: Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(
            command
                .spawn()
                .expect("sh and taskset (util-linux) start the program"),
        )
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// A process and all that it started.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&pid) = all.get(at) {
        for task in tasks(pid) {
            let children =
                fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        at += 1;
    }
    all
}

/// The ids of its threads.
fn tasks(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// CPU time of all threads of a process and of its children, as the kernel's scheduler counts it. Threads that ended are
/// not in it, so take differences over a time in which none ends.
pub(crate) fn cpu(pid: u32) -> Duration {
    family(pid).into_iter().map(cpu_alone).sum()
}

/// The same of this process, whose children are what it measures.
pub(crate) fn own_cpu() -> Duration {
    cpu_alone(std::process::id())
}

fn cpu_alone(pid: u32) -> Duration {
    let of_task = |task: u32| {
        let text =
            fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")).unwrap_or_default();
        let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    };
    tasks(pid).into_iter().map(of_task).sum()
}

/// Resident memory of a process and of its children, in MiB.
pub(crate) fn resident(pid: u32) -> f64 {
    let of = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    };
    family(pid).into_iter().map(of).sum()
}

/// Files that this process has open.
pub(crate) fn open_files(pid: u32) -> usize {
    let of = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    family(pid).into_iter().map(of).sum()
}

/// The limit of open files in force for a process.
pub(crate) fn file_limit(pid: u32) -> usize {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(1024)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until something listens there.
pub(crate) fn await_listener(addr: SocketAddr) {
    let give_up = clock::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(addr).is_err() {
        assert!(clock::now() < give_up, "nothing listens on {addr}");
        clock::sleep_until(clock::now() + Duration::from_millis(2));
    }
}
