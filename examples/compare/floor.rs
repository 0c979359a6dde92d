//! The floor, which everything is measured against: a hyper proxy that reads nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// One upstream connection per client connection, bodies handed through, nothing read.
pub(crate) async fn run(port: u16, upstream: SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut tasks = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let sender = Arc::new(Mutex::new(connect(upstream, &mut tasks).await));
        client.set_nodelay(true).unwrap();
        let service = service_fn(move |request: Request<Incoming>| {
            let sender = Arc::clone(&sender);
            async move {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(client), service);
        tasks.spawn(async move {
            let _ = serving.await;
        });
    }
}

async fn connect(to: SocketAddr, tasks: &mut JoinSet<()>) -> SendRequest<Incoming> {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    sender
}
