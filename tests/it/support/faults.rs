//! A network between a client and a Redis that fails as told.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What becomes of connections and of what goes over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything arrives.
    Pass,
    /// Nobody listens, and open connections are reset.
    Refuse,
    /// Open connections are reset, and further ones once something is asked.
    Reset,
    /// What is asked is lost, silently. A connection something was lost on is never answered again.
    Hang,
    /// What is asked arrives, and is done; the answers are lost, as above.
    Mute,
    /// Each answer is that much later.
    Slow(Duration),
    /// The connection breaks after that many bytes of an answer.
    Cut(usize),
}

/// Passes bytes on to a server. Ends with its connections.
pub(crate) struct Faults {
    addr: SocketAddr,
    orders: mpsc::Sender<(Mode, oneshot::Sender<()>)>,
    asked: Arc<Mutex<Asked>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Asked {
    round_trips: usize,
    commands: HashMap<String, usize>,
}

/// What a connection is begun and kept alive with, which is nobody's request.
const UPKEEP: [&str; 7] = [
    "PING", "HELLO", "AUTH", "SELECT", "CLIENT", "ROLE", "CLUSTER",
];

impl Faults {
    /// In front of the server at `behind`, at a free port, passing everything.
    pub(crate) async fn before(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a loopback port");
        let addr = listener.local_addr().expect("its address");
        let asked = Arc::default();
        let (orders, taken) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(run(listener, addr, behind, taken, Arc::clone(&asked)));
        Self {
            addr,
            orders,
            asked,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As configurations name it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// From when this returns on, for open connections as well.
    pub(crate) async fn set(&self, mode: Mode) {
        let (done, is_done) = oneshot::channel();
        self.orders.send((mode, done)).await.expect("it runs");
        is_done.await.expect("it runs");
    }

    /// How often something was asked so far, where what is sent together counts once, and upkeep (`PING`, logging in, ..)
    /// does not. Exact as long as nobody asks at the same time.
    pub(crate) fn round_trips(&self) -> usize {
        self.lock().round_trips
    }

    /// How many commands of that name were sent so far. Nothing is known of what goes through TLS.
    pub(crate) fn commands(&self, name: &str) -> usize {
        self.lock().commands.get(name).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(
    listener: TcpListener,
    addr: SocketAddr,
    behind: SocketAddr,
    mut orders: mpsc::Receiver<(Mode, oneshot::Sender<()>)>,
    asked: Arc<Mutex<Asked>>,
) {
    let mut open = Some(listener);
    // Bound without listening: what connects is refused, and nobody else gets the port.
    let mut closed = None;
    let (mode, modes) = watch::channel(Mode::Pass);
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            match &open {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some((order, done)) = order else { return };
                mode.send_replace(order);
                if matches!(order, Mode::Refuse | Mode::Reset) {
                    // Each resets itself when it is dropped.
                    connections.shutdown().await;
                }
                if order == Mode::Refuse {
                    open = None;
                    closed = closed.or_else(|| Some(bound(addr)));
                } else if let Some(socket) = closed.take() {
                    open = Some(socket.listen(1024).expect("to listen again"));
                }
                let _ = done.send(());
            }
            Some(_) = connections.join_next() => {}
            Ok((client, _)) = accepted => {
                let (modes, asked) = (modes.clone(), Arc::clone(&asked));
                connections.spawn(async move {
                    let _ = pass(client, behind, modes, asked).await;
                });
            }
        }
    }
}

fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a setting");
    socket.bind(addr).expect("the port it had");
    socket
}

/// One connection, until it ends or is broken.
async fn pass(
    mut client: TcpStream,
    behind: SocketAddr,
    modes: watch::Receiver<Mode>,
    asked: Arc<Mutex<Asked>>,
) -> io::Result<()> {
    let mode = || *modes.borrow();
    client.set_nodelay(true)?;
    // However it ends, the client sees a reset.
    client.set_zero_linger()?;
    let mut server = TcpStream::connect(behind).await?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let (due, mut answers) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let ask = async {
        let mut lost = false;
        let mut commands = Commands::default();
        let mut bytes = vec![0; 1 << 16];
        loop {
            let n = from_client.read(&mut bytes).await?;
            commands.note(&bytes[..n], &asked);
            if n == 0 || mode() == Mode::Reset {
                return Ok(());
            }
            lost |= mode() == Mode::Hang;
            if !lost {
                to_server.write_all(&bytes[..n]).await?;
            }
        }
    };
    let hear = async {
        let mut lost = false;
        let mut bytes = vec![0; 1 << 16];
        loop {
            let n = from_server.read(&mut bytes).await?;
            if n == 0 {
                return Ok(());
            }
            let delay = match mode() {
                Mode::Slow(delay) => delay,
                Mode::Hang | Mode::Mute => {
                    lost = true;
                    Duration::ZERO
                }
                _ => Duration::ZERO,
            };
            if !lost {
                let _ = due.send((Instant::now() + delay, bytes[..n].to_vec()));
            }
        }
    };
    let answer = async {
        while let Some((due, bytes)) = answers.recv().await {
            tokio::time::sleep_until(due).await;
            if let Mode::Cut(n) = mode() {
                to_client.write_all(&bytes[..n.min(bytes.len())]).await?;
                // What is written must arrive: a reset would overtake it.
                return to_client.shutdown().await;
            }
            to_client.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = ask => ended,
        ended = hear => ended,
        ended = answer => ended,
    }
}

/// Reads requests as they pass.
#[derive(Default)]
struct Commands {
    /// What is not whole yet.
    rest: Vec<u8>,
    /// It is something else, such as TLS.
    other: bool,
}

impl Commands {
    fn note(&mut self, bytes: &[u8], asked: &Mutex<Asked>) {
        let begins = self.rest.is_empty();
        self.rest.extend_from_slice(bytes);
        self.other |= self.rest.first().is_some_and(|first| *first != b'*');
        if self.other || bytes.is_empty() {
            return;
        }
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let first = name(&self.rest);
        if begins && !first.is_some_and(|name| UPKEEP.contains(&&*name)) {
            asked.round_trips += 1;
        }
        while let Some((name, length)) = command(&self.rest) {
            *asked.commands.entry(name).or_default() += 1;
            self.rest.drain(..length);
        }
    }
}

/// The first command's name, in capitals, and how long all of it is, once it is whole.
fn command(bytes: &[u8]) -> Option<(String, usize)> {
    let (parts, mut at) = number(bytes, 0)?;
    for _ in 0..parts {
        let (length, begin) = number(bytes, at)?;
        at = begin + length + 2;
    }
    (at <= bytes.len()).then(|| (name(bytes).unwrap_or_default(), at))
}

fn name(bytes: &[u8]) -> Option<String> {
    let (_, at) = number(bytes, 0)?;
    let (length, begin) = number(bytes, at)?;
    let name = bytes.get(begin..begin + length)?;
    Some(String::from_utf8_lossy(name).to_ascii_uppercase())
}

/// The number of the line at `at`, behind its first byte, and where the next line begins.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let line = bytes.get(at + 1..)?;
    let end = line.windows(2).position(|two| two == b"\r\n")?;
    let number = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
    Some((number, at + 1 + end + 2))
}
