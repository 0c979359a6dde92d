//! The compiled command as a child process: its output line by line, its end, and signals.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A running `waypost`. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// How a process ended and everything it said.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

struct Lines {
    coming: UnboundedReceiver<String>,
    seen: String,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, coming) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            coming,
            seen: String::new(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        let line = self.coming.recv().await?;
        self.seen += &line;
        self.seen.push('\n');
        Some(line)
    }

    async fn until(&mut self, part: &str) -> String {
        loop {
            match self.next().await {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("{part:?} was not said before the end: {}", self.seen),
            }
        }
    }

    async fn rest(mut self) -> String {
        while self.next().await.is_some() {}
        self.seen
    }
}

impl Process {
    /// Starts `waypost` with nothing in its environment but `variables`.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Reads standard output up to the line that contains `part`.
    pub(crate) async fn says(&mut self, part: &str) -> String {
        self.stdout.until(part).await
    }

    /// Reads standard error up to the line that contains `part`.
    pub(crate) async fn logs(&mut self, part: &str) -> String {
        self.stderr.until(part).await
    }

    /// Reads standard output up to the line that says where it listens.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let line = self.says("listening on http://").await;
        let (_, address) = line.split_once("http://").expect("just found");
        address.parse().expect("an address")
    }

    /// What standard output said so far, as far as it was read.
    pub(crate) fn said(&self) -> &str {
        &self.stdout.seen
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.expect("sh runs").success(), "{command}");
    }

    /// Waits for its end.
    pub(crate) async fn exit(mut self) -> Exit {
        let gone = || Lines {
            coming: unbounded_channel().1,
            seen: String::new(),
        };
        let stdout = std::mem::replace(&mut self.stdout, gone());
        let stderr = std::mem::replace(&mut self.stderr, gone());
        // Both pipes end when the process does.
        let (stdout, stderr) = (stdout.rest().await, stderr.rest().await);
        let code = self.child.wait().expect("it was started").code();
        Exit {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Runs `waypost` to its end.
pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Exit {
    Process::start(arguments, variables).exit().await
}
