//! HTTP/1.1 as bytes: an answer's head, how its body is framed, and the body taken out of that framing.
//!
//! Nothing here reads or writes a socket: a reader appends what came to a [`BytesMut`](bytes::BytesMut) and asks what can
//! be taken from it. Bodies and header values are slices of that buffer, not copies. However the bytes are cut, the
//! result is the same.
//!
//! The rules are RFC 9112's, read strictly where two readings of one message could differ: chunk lines end in CRLF, a
//! chunk's size has digits only, and lengths that contradict each other are refused.

mod body;
mod chunked;
mod fields;
mod head;

pub use body::{Decoder, Step};
pub use chunked::{ChunkError, Chunked, chunk_line};
pub use fields::Fields;
pub use head::{Framing, Head, HeadError, HeadReader};

#[cfg(test)]
mod tests;
