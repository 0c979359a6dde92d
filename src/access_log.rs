//! One line per request, written in batches.
//!
//! A line costs its formatting and a push into a buffer; the buffer is written when it is large, and by whoever owns the
//! log every now and then ([`AccessLog::flush`]), so that a busy gateway makes one system call for many lines. It is not a
//! ledger: a killed process loses the lines of the last moment.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::telemetry::LogFormat;

/// A buffer larger than this is written at once.
const LARGE: usize = 32 * 1024;

/// Where access lines go.
pub struct AccessLog {
    format: LogFormat,
    sink: Mutex<Sink>,
}

struct Sink {
    buffer: Vec<u8>,
    /// The last line's second and how it is written, less the `Z`.
    second: (u64, String),
    out: Box<dyn Write + Send>,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// A field's name as lines of text have it, ` name=`; made by the macro `key!`.
#[derive(Debug, Clone, Copy)]
pub struct Key(#[doc(hidden)] pub &'static str);

impl Key {
    /// The name alone.
    fn name(self) -> &'static str {
        self.0.trim_start().trim_end_matches('=')
    }
}

/// A field's [`Key`]. Names are plain words.
macro_rules! key {
    ($name:literal) => {
        $crate::access_log::Key(concat!(" ", $name, "="))
    };
}
pub(crate) use key;

/// A value of a line.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// Text; left out if empty.
    Text(&'a str),
    /// A word that needs no quoting.
    Word(&'a str),
    /// A count.
    Count(u64),
    /// A measure; left out if there is none.
    Number(Option<f64>),
    /// Yes or no.
    Flag(bool),
}

impl AccessLog {
    /// A log that writes to `out`.
    #[must_use]
    pub fn new(format: LogFormat, out: Box<dyn Write + Send>) -> Self {
        Self {
            format,
            sink: Mutex::new(Sink {
                buffer: Vec::with_capacity(LARGE),
                second: (0, String::new()),
                out,
            }),
        }
    }

    /// Adds a line of the moment `unix` (since the epoch).
    pub fn line(&self, unix: Duration, fields: &[(Key, Field<'_>)]) {
        let mut sink = self.lock();
        if sink.second.0 != unix.as_secs() || sink.second.1.is_empty() {
            let whole = humantime::format_rfc3339_seconds(UNIX_EPOCH + unix).to_string();
            sink.second = (unix.as_secs(), whole.trim_end_matches('Z').to_owned());
        }
        let Sink { buffer, second, .. } = &mut *sink;
        let ms = unix.subsec_millis() as u16;
        let time = (
            second.1.as_str(),
            [
                b'.',
                digit(ms / 100),
                digit(ms / 10 % 10),
                digit(ms % 10),
                b'Z',
            ],
        );
        // Writing to a Vec does not fail.
        let _ = match self.format {
            LogFormat::Text => text(buffer, time, fields),
            LogFormat::Json => json(buffer, time, fields),
        };
        if sink.buffer.len() >= LARGE {
            sink.write();
        }
    }

    /// Writes what is waiting.
    pub fn flush(&self) {
        self.lock().write();
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn write(&mut self) {
        // A log that can't be written must not stop the service, and there is nowhere to say so.
        let _ = self
            .out
            .write_all(&self.buffer)
            .and_then(|()| self.out.flush());
        self.buffer.clear();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

fn text(
    out: &mut Vec<u8>,
    time: (&str, [u8; 5]),
    fields: &[(Key, Field<'_>)],
) -> std::io::Result<()> {
    moment(out, time);
    out.extend_from_slice(b"  INFO access");
    for (key, field) in fields {
        match field {
            Field::Text("") | Field::Number(None) => {}
            Field::Word(word) => {
                out.extend_from_slice(key.0.as_bytes());
                out.extend_from_slice(word.as_bytes());
            }
            Field::Text(text)
                if text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=') =>
            {
                out.extend_from_slice(key.0.as_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Field::Text(text) => write!(out, "{}{text:?}", key.0)?,
            Field::Count(n) => {
                out.extend_from_slice(key.0.as_bytes());
                out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes());
            }
            Field::Number(Some(n)) => {
                out.extend_from_slice(key.0.as_bytes());
                number(out, *n)?;
            }
            Field::Flag(b) => {
                out.extend_from_slice(key.0.as_bytes());
                out.extend_from_slice(if *b { b"true" } else { b"false" });
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

fn json(
    out: &mut Vec<u8>,
    time: (&str, [u8; 5]),
    fields: &[(Key, Field<'_>)],
) -> std::io::Result<()> {
    out.extend_from_slice(b"{\"timestamp\":\"");
    moment(out, time);
    out.extend_from_slice(b"\",\"level\":\"INFO\",\"target\":\"access\"");
    for (key, field) in fields {
        match field {
            Field::Text("") | Field::Number(None) => {}
            Field::Text(text) | Field::Word(text) => {
                write!(out, ",\"{}\":", key.name())?;
                serde_json::to_writer(&mut *out, text)?;
            }
            Field::Count(n) => write!(out, ",\"{}\":{n}", key.name())?,
            Field::Number(Some(n)) => {
                write!(out, ",\"{}\":", key.name())?;
                number(out, *n)?;
            }
            Field::Flag(b) => write!(out, ",\"{}\":{b}", key.name())?,
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// The text of a second, and its milliseconds.
fn moment(out: &mut Vec<u8>, (second, ms): (&str, [u8; 5])) {
    out.extend_from_slice(second.as_bytes());
    out.extend_from_slice(&ms);
}

/// A measure in as many digits as matter: three decimals, or what a small amount of money needs.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range, and not negative"
)]
fn number(out: &mut Vec<u8>, n: f64) -> std::io::Result<()> {
    // Integers are written several times faster than floats, and without the machinery of `write!`.
    if (0.0..1e9).contains(&n) {
        let (digits, scale) = if n != 0.0 && n < 0.01 {
            (9, 1e9)
        } else {
            (3, 1e3)
        };
        let mut text = itoa::Buffer::new();
        let text = text.format((n * scale).round() as u64).as_bytes();
        let (whole, rest) = text.split_at(text.len().saturating_sub(digits));
        out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
        out.push(b'.');
        out.extend_from_slice(&b"000000000"[..digits - rest.len()]);
        out.extend_from_slice(rest);
        Ok(())
    } else {
        write!(out, "{n:.3}")
    }
}

const fn digit(n: u16) -> u8 {
    b'0' + n.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat) -> String {
        let out = Shared::default();
        let log = AccessLog::new(format, Box::new(out.clone()));
        let fields = [
            (key!("group"), Field::Text("a \"b\"\n")),
            (key!("none"), Field::Text("")),
            (key!("deployment"), Field::Text("g/m")),
            (key!("n"), Field::Count(3)),
            (key!("ms"), Field::Number(Some(1.23456))),
            (key!("cost"), Field::Number(Some(0.000_001_5))),
            (key!("absent"), Field::Number(None)),
            (key!("much"), Field::Number(Some(123.0))),
            (key!("little"), Field::Number(Some(0.01))),
            (key!("nothing"), Field::Number(Some(0.0))),
            (key!("word"), Field::Word("ok")),
            (key!("stream"), Field::Flag(true)),
        ];
        log.line(Duration::from_millis(784_111_777_001), &fields);
        assert!(
            out.0.lock().expect("one thread").is_empty(),
            "written in batches"
        );
        drop(log);
        let bytes = out.0.lock().expect("one thread").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn lines_for_people() {
        assert_eq!(
            logged(LogFormat::Text),
            "1994-11-06T08:49:37.001Z  INFO access group=\"a \\\"b\\\"\\n\" deployment=g/m n=3 ms=1.235 cost=0.000001500 much=123.000 little=0.010 nothing=0.000 word=ok stream=true\n"
        );
    }

    #[test]
    fn lines_for_machines() {
        let line: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json)).expect("json");
        assert_eq!(line["group"], "a \"b\"\n");
        assert_eq!(line["n"], 3);
        assert_eq!(line["timestamp"], "1994-11-06T08:49:37.001Z");
        assert!(line.get("none").is_none() && line.get("absent").is_none());
    }
}
