//! Instructions per operation of the hot path, counted by valgrind and held against committed budgets.
//!
//! ```text
//! cargo bench --locked --profile instructions --bench instructions             the gate
//! cargo bench --locked --profile instructions --bench instructions -- --bless  the counts of now become the budgets
//! cargo bench --locked --profile instructions --bench instructions -- --plant  the gate on a planted regression
//! cargo bench --locked --profile instructions --bench instructions -- --dialects  what translating costs beside passing through
//! ```
//!
//! Times vary from run to run; instructions do not. For each case this program runs itself under `callgrind`, doing the
//! case n and 2n times: what is between the two counts is n operations and nothing else, since start-up and preparation
//! are in both. All randomness is seeded and all time given. The times beside the counts are the machine's and judge nothing.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program: it prints, and stops where something is wrong"
)]

mod budgets;
mod cases;
mod dialects;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use budgets::{Budgets, MARGIN, Verdict};
use cases::{Case, Step};

// What the released binary allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench") // cargo's own
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["--do", name, times] => perform(&cases::all(), name, times),
        ["--do-planted", name, times] => perform(&[cases::planted()], name, times),
        ["--do-dialect", name, times] => perform(&dialects::all(), name, times),
        ["--dialects"] => compare_dialects(),
        [] => gate(&cases::all(), "--do"),
        ["--plant"] => gate(&[cases::planted()], "--do-planted"),
        ["--bless"] => bless(),
        _ => Err("one of: nothing, --bless, --plant, --dialects".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// The part that runs under valgrind.
fn perform(cases: &[Case], name: &str, times: &str) -> Result<bool, String> {
    let case = cases
        .iter()
        .find(|c| c.name == name)
        .ok_or_else(|| format!("there is no case {name}"))?;
    let times: u32 = times.parse().map_err(|e| format!("{times}: {e}"))?;
    repeat(&mut (case.prepare)(), times);
    Ok(true)
}

fn repeat(step: &mut Step, times: u32) {
    for _ in 0..times {
        step();
    }
}

/// How often a count that is over its budget is taken again before it is believed.
const RECOUNTS: u32 = 3;

/// Counts all, compares, prints; whether all fit.
fn gate(cases: &[Case], part: &str) -> Result<bool, String> {
    let budgets = Budgets::read()?;
    let compiler = compiler()?;
    let margin = budgets.margin(&compiler);
    let judged = cfg!(target_arch = "x86_64");
    if !judged {
        println!("the budgets are for x86-64: nothing is judged here");
    } else if compiler != budgets.compiler() {
        println!(
            "this is {compiler}, the budgets are by {}: {margin} % above them are allowed instead of {MARGIN} %",
            budgets.compiler()
        );
    }
    let mut over = Vec::new();
    println!(
        "| {:<32} | {:>12} | {:>12} | {:>7} | {:>10} |",
        "operation", "instructions", "budget", "", "ns"
    );
    println!(
        "|{:-<34}|{:->14}|{:->14}|{:->9}|{:->12}|",
        "", "", "", "", ""
    );
    for (case, mut count) in cases.iter().zip(count_all(cases, part)?) {
        let budget = budgets.of(&case.name);
        // What a process does before and after its cases is not always the same to the instruction, and shared among few
        // repetitions of a small case it shows. That only ever adds, so that the least of several counts is the case's own.
        for _ in 0..RECOUNTS {
            if matches!(budgets.verdict(&case.name, count, margin), Verdict::Over) {
                count = count.min(self::count(case, part)?);
            }
        }
        let change = budget.map_or_else(String::new, |b| change(b, count));
        println!(
            "| {:<32} | {count:>12} | {:>12} | {change:>7} | {:>10.1} |",
            case.name,
            budget.map_or_else(|| "none".to_owned(), |b| b.to_string()),
            nanoseconds(case)
        );
        match budgets.verdict(&case.name, count, margin) {
            Verdict::Fits => {}
            Verdict::Over => over.push((&case.name, count, budget)),
            Verdict::Unknown => over.push((&case.name, count, None)),
            Verdict::Loose => println!("  ^ far below its budget: --bless, so that it stays there"),
        }
    }
    for (name, count, budget) in &over {
        match budget {
            None => println!("no budget: {name} has none; --bless gives it one"),
            Some(budget) => println!(
                "over budget: {name} takes {count} instructions, its budget is {budget} and {margin} %; if that is meant, --bless and say why in the commit"
            ),
        }
    }
    Ok(over.is_empty() || !judged)
}

fn bless() -> Result<bool, String> {
    let cases = cases::all();
    let counts = count_all(&cases, "--do")?;
    let names = cases.iter().map(|c| c.name.as_str());
    Budgets::bless(&compiler()?, names.zip(counts))?;
    Ok(true)
}

/// What a request, its answer and a piece of a stream take in each dialect, and how many times as much as OpenAI's.
fn compare_dialects() -> Result<bool, String> {
    let counts = count_all(&dialects::all(), "--do-dialect")?;
    let rows: Vec<&[u64]> = counts.chunks(dialects::PARTS.len()).collect();
    let [request, answer, chunk] = dialects::PARTS;
    println!(
        "| {:<10} | {request:>8} | {answer:>8} | {:>8} | {:>7} | {chunk:>8} | {:>7} |",
        "dialect", "both", "ratio", "ratio"
    );
    println!(
        "|{:-<12}|{:->10}|{:->10}|{:->10}|{:->9}|{:->10}|{:->9}|",
        "", "", "", "", "", "", ""
    );
    let base = rows.first().copied().unwrap_or_default();
    let both = |row: &[u64]| row[0] + row[1];
    let ratio = |own: u64, of: u64| own as f64 / of.max(1) as f64;
    for (name, row) in dialects::names().zip(&rows) {
        println!(
            "| {name:<10} | {:>8} | {:>8} | {:>8} | {:>7.2} | {:>8} | {:>7.2} |",
            row[0],
            row[1],
            both(row),
            ratio(both(row), both(base)),
            row[2],
            ratio(row[2], base[2])
        );
    }
    Ok(true)
}

fn change(budget: u64, count: u64) -> String {
    let percent = (count as f64 / budget.max(1) as f64 - 1.0) * 100.0;
    format!("{percent:+.1} %")
}

/// Instructions per operation of each case. The cases run side by side, as many as there are cores.
fn count_all(cases: &[Case], part: &str) -> Result<Vec<u64>, String> {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![Ok(0); cases.len()]);
    let work = || {
        while let Some((at, case)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            cases.get(at).map(|case| (at, case))
        } {
            let counted = count(case, part);
            counts.lock().expect("nobody panics with it")[at] = counted;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let counts = counts.into_inner().expect("nobody panicked with it");
    counts.into_iter().collect()
}

fn count(case: &Case, part: &str) -> Result<u64, String> {
    let once = collected(part, &case.name, case.times)?;
    let twice = collected(part, &case.name, 2 * case.times)?;
    Ok((twice - once) / u64::from(case.times))
}

/// All instructions of a run of this program that does a case so many times.
fn collected(part: &str, name: &str, times: u32) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    // The profile itself is of no use, but callgrind insists on writing it.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("callgrind.{}", name.replace(' ', "-")));
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(own)
        .args([part, name, &times.to_string()])
        .output()
        .map_err(|e| format!("valgrind (apt-get install valgrind): {e}"))?;
    let _ = std::fs::remove_file(&file);
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{name} under valgrind: {}\n{said}", output.status))
}

/// The best of a few rounds on this machine, without valgrind.
fn nanoseconds(case: &Case) -> f64 {
    let mut step = (case.prepare)();
    let round = |step: &mut Step| {
        let began = Instant::now();
        repeat(step, case.times);
        began.elapsed().as_secs_f64() * 1e9 / f64::from(case.times)
    };
    (0..20).map(|_| round(&mut step)).fold(f64::MAX, f64::min)
}

fn compiler() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .map_err(|e| format!("rustc --version: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
