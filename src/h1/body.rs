//! A body taken out of whatever frames it.

use bytes::{Bytes, BytesMut};

use super::{ChunkError, Chunked, Framing};

/// What a look into the buffer gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next bytes of the body; never none.
    Data(Bytes),
    /// Nothing yet.
    More,
    /// The body is over.
    End,
}

/// Takes one body out of a buffer.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// All there is until the peer closes.
    UntilClose,
}

impl From<Framing> for Decoder {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunked::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }
}

impl Decoder {
    /// The next bytes of the body in `buf`, or that there are none. What comes after the body stays in `buf`.
    ///
    /// # Errors
    /// If the body's framing is malformed.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Step, ChunkError> {
        match self {
            Self::Chunked(chunked) => chunked.decode(buf),
            Self::Length(0) => Ok(Step::End),
            _ if buf.is_empty() => Ok(Step::More),
            Self::UntilClose => Ok(Step::Data(buf.split().freeze())),
            Self::Length(left) => {
                let here = usize::try_from(*left).map_or(buf.len(), |n| n.min(buf.len()));
                *left -= here as u64;
                Ok(Step::Data(buf.split_to(here).freeze()))
            }
        }
    }

    /// Whether the body is over, without a look at more bytes.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_end(),
            Self::UntilClose => false,
        }
    }

    /// Whether a peer that closes now has said all it had to say.
    #[must_use]
    pub fn may_close(&self) -> bool {
        matches!(self, Self::UntilClose) || self.is_end()
    }

    /// How many bytes are still to come, where that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}
