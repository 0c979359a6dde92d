//! Converse's content: turns, and the blocks they are made of.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::models::Model;
use super::names;
use crate::provider::AdaptError;
use crate::provider::chat::{
    CacheMark, Item, Part, PartKind, Source, Speaker, Thinking, ToolCall, Turn, unsupported,
};

/// A turn.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// A piece of content.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(&'a str),
    Image(Media<'a>),
    Audio(Media<'a>),
    Video(Media<'a>),
    Document(Document<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    ReasoningContent(Reasoning<'a>),
    CachePoint(CachePoint<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct Media<'a> {
    format: Cow<'a, str>,
    source: Place<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    format: &'static str,
    name: String,
    source: Place<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Place<'a> {
    /// base64
    Bytes(&'a str),
    S3Location {
        uri: &'a str,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    tool_use_id: Cow<'a, str>,
    name: Cow<'a, str>,
    input: &'a RawValue,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    tool_use_id: Cow<'a, str>,
    content: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    RedactedContent(&'a str),
}

/// What is before is to be cached.
#[derive(Debug, Serialize)]
pub(super) struct CachePoint<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

impl<'a> CachePoint<'a> {
    /// Where `mark` is, if the model caches.
    pub(super) fn of(mark: Option<&'a CacheMark>, model: &Model) -> Option<Self> {
        let mark = mark.filter(|_| model.caches)?;
        Some(Self {
            kind: "default",
            ttl: mark.ttl.as_deref(),
        })
    }
}

/// What is written while a conversation is put down.
pub(super) struct Writer<'m> {
    pub(super) model: &'m Model,
    /// Names of documents so far, which must differ.
    documents: Vec<String>,
}

impl<'m> Writer<'m> {
    pub(super) const fn new(model: &'m Model) -> Self {
        let documents = Vec::new();
        Self { model, documents }
    }

    /// The turns. Those in which nothing is said are left out.
    ///
    /// # Errors
    /// If one has something that Converse does not take.
    pub(super) fn messages<'a>(
        &mut self,
        turns: &'a [Turn],
    ) -> Result<Vec<Message<'a>>, AdaptError> {
        let mut messages: Vec<Message<'a>> = Vec::with_capacity(turns.len());
        for turn in turns {
            let mut content = Vec::with_capacity(turn.items.len());
            for item in &turn.items {
                self.item(item, &mut content)?;
            }
            let role = match turn.speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            };
            match messages.last_mut() {
                _ if content.is_empty() => {}
                // Sides must alternate, also where one had only blanks to say.
                Some(last) if last.role == role => last.content.extend(content),
                _ => messages.push(Message { role, content }),
            }
        }
        Ok(messages)
    }

    /// The system's texts.
    ///
    /// # Errors
    /// If there is something else.
    pub(super) fn system<'a>(&self, parts: &'a [Part]) -> Result<Vec<Block<'a>>, AdaptError> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            match &part.kind {
                PartKind::Text(text) if is_blank(text) => continue,
                PartKind::Text(text) => blocks.push(Block::Text(text)),
                PartKind::Image(_) | PartKind::Audio { .. } | PartKind::File { .. } => {
                    return Err(refuse("a system message can only have texts"));
                }
            }
            blocks.extend(CachePoint::of(part.cache.as_ref(), self.model).map(Block::CachePoint));
        }
        Ok(blocks)
    }

    fn item<'a>(&mut self, item: &'a Item, to: &mut Vec<Block<'a>>) -> Result<(), AdaptError> {
        match item {
            // Claude takes back only what it signed.
            Item::Thinking(own) if self.model.claude.is_some() && !own.is_signed() => {}
            Item::Thinking(thinking) => to.push(Block::ReasoningContent(reasoning(thinking))),
            Item::Part(part) => self.part(part, to)?,
            Item::Call(call) => to.push(Block::ToolUse(tool_use(call))),
            Item::Result { id, parts, .. } => {
                let mut content = Vec::with_capacity(parts.len());
                let mut point = None;
                for part in parts {
                    content.extend(self.content(&part.kind)?);
                    point = CachePoint::of(part.cache.as_ref(), self.model).or(point);
                }
                let tool_use_id = names::id(id);
                to.push(Block::ToolResult(ToolResult {
                    tool_use_id,
                    content,
                }));
                to.extend(point.map(Block::CachePoint));
            }
        }
        Ok(())
    }

    fn part<'a>(&mut self, part: &'a Part, to: &mut Vec<Block<'a>>) -> Result<(), AdaptError> {
        let Some(block) = self.content(&part.kind)? else {
            return Ok(());
        };
        to.push(block);
        to.extend(CachePoint::of(part.cache.as_ref(), self.model).map(Block::CachePoint));
        Ok(())
    }

    /// `None` for a text without anything in it, which Bedrock refuses.
    fn content<'a>(&mut self, kind: &'a PartKind) -> Result<Option<Block<'a>>, AdaptError> {
        Ok(Some(match kind {
            PartKind::Text(text) if is_blank(text) => return Ok(None),
            PartKind::Text(text) => Block::Text(text),
            PartKind::Image(source) => Block::Image(media(source, None, "png")?),
            PartKind::Audio { data, format } => Block::Audio(Media {
                format: Cow::Borrowed(format),
                source: Place::Bytes(data),
            }),
            PartKind::File { name, source } => self.file(name.as_deref(), source)?,
        }))
    }

    fn file<'a>(
        &mut self,
        name: Option<&str>,
        source: &'a Source,
    ) -> Result<Block<'a>, AdaptError> {
        let name = name.or(match source {
            Source::Url(url) => url.rsplit('/').next(),
            Source::Data { .. } | Source::Id(_) => None,
        });
        let kind = match source {
            Source::Data { media_type, .. } => media_type.split('/').next().unwrap_or_default(),
            Source::Url(_) | Source::Id(_) => "",
        };
        match kind {
            "image" => return media(source, name, "png").map(Block::Image),
            "audio" => return media(source, name, "wav").map(Block::Audio),
            "video" => return media(source, name, "mp4").map(Block::Video),
            _ => {}
        }
        let format = document_format(source, name).ok_or_else(|| {
            refuse(
                "a file must be pdf, csv, doc, docx, xls, xlsx, html, txt or md, said by its media type or name: \
                 Bedrock takes no others",
            )
        })?;
        let name = self.document_name(name);
        let source = place(source)?;
        Ok(Block::Document(Document {
            format,
            name,
            source,
        }))
    }

    /// A name that Bedrock takes, and that no other document of the request has.
    fn document_name(&mut self, name: Option<&str>) -> String {
        let stem = name.map_or("document", |name| {
            name.rsplit_once('.').map_or(name, |(stem, _)| stem)
        });
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
        let words: String = stem
            .chars()
            .map(|c| if allowed(c) { c } else { ' ' })
            .collect();
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut base: String = words.join(" ").chars().take(180).collect();
        if base.is_empty() {
            base.push_str("document");
        }
        let mut name = base.clone();
        let mut number = 1;
        while self.documents.contains(&name) {
            number += 1;
            name = format!("{base} ({number})");
        }
        self.documents.push(name.clone());
        name
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn reasoning(thinking: &Thinking) -> Reasoning<'_> {
    match thinking {
        Thinking::Thinking {
            thinking,
            signature,
            ..
        } => Reasoning::ReasoningText {
            text: thinking,
            signature: signature.as_deref(),
        },
        Thinking::RedactedThinking { data, .. } => Reasoning::RedactedContent(data),
    }
}

fn tool_use(call: &ToolCall) -> ToolUse<'_> {
    ToolUse {
        tool_use_id: names::id(&call.id),
        name: names::tool(&call.name),
        input: &call.arguments,
    }
}

/// Ends of names and parts of media types, by Converse's name of the format where that differs.
const FORMATS: [(&str, &str); 8] = [
    ("jpg", "jpeg"),
    ("x-wav", "wav"),
    ("wave", "wav"),
    ("x-matroska", "mkv"),
    ("quicktime", "mov"),
    ("3gpp", "three_gp"),
    ("3gp", "three_gp"),
    ("x-ms-wmv", "wmv"),
];

fn media<'a>(
    source: &'a Source,
    name: Option<&str>,
    default: &'static str,
) -> Result<Media<'a>, AdaptError> {
    let own = match source {
        Source::Data { media_type, .. } => media_type.split_once('/').map(|(_, kind)| kind),
        Source::Url(url) => name.unwrap_or(url).rsplit_once('.').map(|(_, end)| end),
        Source::Id(_) => None,
    };
    let own = own.unwrap_or(default).to_ascii_lowercase();
    let row = FORMATS.iter().find(|(theirs, _)| *theirs == own);
    Ok(Media {
        format: row.map_or(Cow::Owned(own), |(_, format)| Cow::Borrowed(*format)),
        source: place(source)?,
    })
}

/// Media types and ends of names of documents, and what Converse calls them.
const DOCUMENTS: [(&str, &str, &str); 10] = [
    ("application/pdf", "pdf", "pdf"),
    ("text/csv", "csv", "csv"),
    ("application/msword", "doc", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
        "docx",
    ),
    ("application/vnd.ms-excel", "xls", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
        "xlsx",
    ),
    ("text/html", "html", "html"),
    ("text/plain", "txt", "txt"),
    ("text/markdown", "md", "md"),
    ("application/xhtml+xml", "htm", "html"),
];

/// By its name, which says more than a media type that may be a guess; else by that.
fn document_format(source: &Source, name: Option<&str>) -> Option<&'static str> {
    let end = name
        .and_then(|name| Some(name.rsplit_once('.')?.1))
        .map(str::to_ascii_lowercase);
    let by_name = DOCUMENTS
        .iter()
        .find(|(_, known, _)| end.as_deref() == Some(known));
    let by_type = || match source {
        Source::Data { media_type, .. } => DOCUMENTS.iter().find(|(known, ..)| known == media_type),
        Source::Url(_) | Source::Id(_) => None,
    };
    by_name.or_else(by_type).map(|(.., format)| *format)
}

fn place(source: &Source) -> Result<Place<'_>, AdaptError> {
    match source {
        Source::Data { base64, .. } => Ok(Place::Bytes(base64)),
        Source::Url(uri) if uri.starts_with("s3://") => Ok(Place::S3Location { uri }),
        Source::Url(_) => Err(refuse(
            "an image or file must be a data: URL with base64 (`data:image/png;base64,…`) or an s3:// URL: neither \
             Bedrock nor Waypost fetches others",
        )),
        Source::Id(_) => Err(refuse(
            "a file must be sent in `file_data`: Bedrock keeps no files",
        )),
    }
}

fn refuse(message: &str) -> AdaptError {
    unsupported("messages", message)
}
