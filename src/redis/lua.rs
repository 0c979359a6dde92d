//! Scripts and what they are called with.

use std::sync::OnceLock;
use std::time::Duration;

use ::redis::{Cmd, ErrorKind, Pipeline, RedisResult, ServerErrorKind, Value};
use futures_util::future::join_all;

use super::connect::Link;
use super::{StoreError, within};

/// A script that runs whole or not at all.
#[derive(Debug)]
pub struct Lua {
    text: &'static str,
    sha: OnceLock<String>,
}

impl Lua {
    /// A script of that text.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self {
            text,
            sha: OnceLock::new(),
        }
    }

    /// What Redis knows it by, once it has seen it.
    #[must_use]
    pub fn sha(&self) -> &str {
        self.sha
            .get_or_init(|| ::redis::Script::new(self.text).get_hash().to_owned())
    }
}

/// A script with its keys, which share one tag, and arguments.
#[derive(Debug, Clone)]
pub struct Call {
    /// The script.
    pub script: &'static Lua,
    /// `KEYS`
    pub keys: Vec<String>,
    /// `ARGV`
    pub args: Vec<Vec<u8>>,
}

/// Runs them all within `limit`; in a cluster each has it to itself, and what befell it stands in its place.
pub(super) async fn run(
    link: Link,
    calls: &[Call],
    limit: Duration,
) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
    match link {
        Link::Single(_) => within(limit, together(link, calls)).await,
        Link::Cluster(_) => {
            let each = calls
                .iter()
                .map(|call| within(limit, alone(link.clone(), call)));
            Ok(join_all(each).await)
        }
    }
}

async fn together(mut link: Link, calls: &[Call]) -> RedisResult<Vec<Result<Value, StoreError>>> {
    let mut answers = all(&mut link, calls.iter().map(Call::by_sha)).await?;
    let is_unknown = |answer: &Value| matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript));
    let unknown: Vec<usize> = (0..calls.len())
        .filter(|at| answers.get(*at).is_some_and(is_unknown))
        .collect();
    if !unknown.is_empty() {
        let by_text = unknown.iter().map(|at| calls[*at].by_text());
        let found = all(&mut link, by_text).await?;
        for (at, answer) in unknown.into_iter().zip(found) {
            answers[at] = answer;
        }
    }
    Ok(answers
        .into_iter()
        .map(|answer| match answer {
            Value::ServerError(error) => Err(StoreError::from(&error)),
            answer => Ok(answer),
        })
        .collect())
}

async fn all(link: &mut Link, commands: impl Iterator<Item = Cmd>) -> RedisResult<Vec<Value>> {
    let mut pipe = Pipeline::new();
    for command in commands {
        pipe.add_command(command);
    }
    if pipe.is_empty() {
        return Ok(Vec::new());
    }
    pipe.ignore_errors();
    pipe.query_async(link).await
}

async fn alone(mut link: Link, call: &Call) -> RedisResult<Value> {
    match call.by_sha().query_async(&mut link).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            call.by_text().query_async(&mut link).await
        }
        answer => answer,
    }
}

impl Call {
    fn by_sha(&self) -> Cmd {
        self.command("EVALSHA", self.script.sha())
    }

    fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut cmd = ::redis::cmd(name);
        cmd.arg(script).arg(self.keys.len());
        cmd.arg(&self.keys).arg(&self.args);
        cmd
    }
}
