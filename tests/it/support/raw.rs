//! An upstream that answers with exactly the bytes a test gives it, for what the lab does not do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::beside::Beside;

/// Runs until dropped, with its connections.
pub(crate) struct Raw {
    pub(crate) addr: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    _serving: Beside<()>,
}

impl Raw {
    /// Answers every request with these writes, and closes the connection.
    pub(crate) async fn answering(writes: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (writes, received) = (Arc::new(writes), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&received);
        let _serving = Beside::start(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&writes), Arc::clone(&log)));
            }
        });
        Self {
            addr,
            received,
            _serving,
        }
    }

    /// A 200 stream of these pieces, each an HTTP chunk.
    pub(crate) async fn streaming(pieces: &[&str]) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = |piece: &&str| format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes();
        let mut writes = vec![head.as_bytes().to_vec()];
        writes.extend(pieces.iter().map(chunk));
        writes.push(b"0\r\n\r\n".to_vec());
        Self::answering(writes).await
    }

    /// The requests as they came, heads and bodies.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().expect("not poisoned").clone()
    }
}

async fn answer(mut stream: TcpStream, writes: Arc<Vec<Vec<u8>>>, log: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    log.lock()
        .expect("not poisoned")
        .push(String::from_utf8_lossy(&request).into_owned());
    for write in &*writes {
        if stream.write_all(write).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The gateway always says how long its bodies are.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|n| n.trim().parse().is_ok_and(|n: usize| body.len() >= n))
}
