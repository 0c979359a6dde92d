//! Credentials that are exchanged for tokens and keys, against endpoints of our own.

mod aws;
mod chain;
mod google;
mod oauth;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use waypost::clock::ManualClock;
use waypost::types::{AwsKeys, Token, TokenCredential};
use waypost::upstream::credentials::{Credentials, TokenError, TokenSource};

/// Begins every secret in here.
const HIDDEN: &str = "s3cret";

/// What an endpoint was sent.
#[derive(Debug, Clone)]
struct Sent {
    /// Method and path.
    line: String,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Sent {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().expect("text"))
    }

    /// The fields of a form.
    fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }
}

/// An endpoint that gives out credentials.
struct Endpoint {
    url: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    _server: JoinSet<std::io::Result<()>>,
}

impl Endpoint {
    /// Answers what `answer` says.
    async fn start(answer: impl Fn(&Sent) -> (u16, String) + Send + Sync + 'static) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&sent), Arc::new(answer));
        let handle = move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let (head, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let sent = Sent {
                    line: format!("{} {}", head.method, head.uri),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).expect("text"),
                };
                let (status, text) = answer(&sent);
                log.lock().expect("whole").push(sent);
                (StatusCode::from_u16(status).expect("a status"), text)
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, Router::new().fallback(handle)).await });
        Self {
            url,
            sent,
            _server: server,
        }
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("whole").clone()
    }

    fn lines(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.line).collect()
    }
}

/// Credentials in an environment of these variables, on a machine without any.
fn credentials<K: Into<String>, V: Into<String>>(
    variables: impl IntoIterator<Item = (K, V)>,
) -> Credentials {
    let mut env: HashMap<String, String> = [
        ("HOME", "/nowhere"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    env.extend(variables.into_iter().map(|(k, v)| (k.into(), v.into())));
    let env = move |name: &str| env.get(name).cloned();
    Credentials::new(env, Arc::new(ManualClock::new()))
}

/// A moment so many seconds from now, as AWS writes it.
fn moment(seconds: u64) -> String {
    use waypost::clock::{Clock, SystemClock};
    let at = SystemClock.unix() + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + at).to_string()
}

fn source(credentials: &Credentials, credential: TokenCredential) -> Arc<TokenSource> {
    credentials.source(&Arc::new(credential))
}

fn bearer(token: &Result<Token, TokenError>) -> &str {
    match token {
        Ok(Token::Bearer(value)) => value.to_str().expect("text"),
        other => panic!("no bearer: {other:?}"),
    }
}

fn keys(token: &Result<Token, TokenError>) -> &AwsKeys {
    match token {
        Ok(Token::Aws(keys)) => keys,
        other => panic!("no keys: {other:?}"),
    }
}
