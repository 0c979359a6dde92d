//! A conversation as most providers want it: the system's text apart, user and assistant in turns.

use super::messages::{Message, Part, PartKind, Role, ToolCall};
use super::thinking::Thinking;

/// Whose turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Speaker {
    User,
    Assistant,
}

/// Neighbouring messages of one side.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Turn {
    pub(in crate::provider) speaker: Speaker,
    pub(in crate::provider) items: Vec<Item>,
}

/// A thing said in a turn. Thinking comes first in an assistant's message, results first in a user's turn.
#[derive(Debug, Clone)]
pub(in crate::provider) enum Item {
    Thinking(Thinking),
    Part(Part),
    Call(ToolCall),
    /// What a tool answered.
    Result {
        /// Of the call.
        id: String,
        /// The function's.
        name: Option<String>,
        parts: Vec<Part>,
    },
}

/// The system's parts and the turns. `account` says whose thinking goes along.
pub(in crate::provider) fn turns(messages: Vec<Message>, account: &str) -> (Vec<Part>, Vec<Turn>) {
    let mut system = Vec::new();
    let mut turns: Vec<Turn> = Vec::with_capacity(messages.len());
    for message in messages {
        let (speaker, items): (_, Vec<_>) = match message.role {
            Role::System => {
                system.extend(message.parts);
                continue;
            }
            Role::User => (Speaker::User, parts(message.parts).collect()),
            Role::Assistant => {
                let own = message
                    .thinking
                    .into_iter()
                    .filter(|one| one.is_of(account));
                let items = own.map(Item::Thinking).chain(parts(message.parts));
                let items = items
                    .chain(message.calls.into_iter().map(Item::Call))
                    .collect();
                (Speaker::Assistant, items)
            }
            Role::Tool => {
                let result = Item::Result {
                    id: message.answers.unwrap_or_default(),
                    name: message.name,
                    parts: message.parts,
                };
                (Speaker::User, vec![result])
            }
        };
        match turns.last_mut() {
            // Who says nothing does not part what the other side says before and after.
            _ if items.is_empty() => {}
            Some(last) if last.speaker == speaker => last.items.extend(items),
            _ => turns.push(Turn { speaker, items }),
        }
    }
    for turn in &mut turns {
        if turn.speaker == Speaker::User {
            // Stable: only results move, before what else the user says.
            turn.items
                .sort_by_key(|item| !matches!(item, Item::Result { .. }));
        }
    }
    (system, turns)
}

fn parts(parts: Vec<Part>) -> impl Iterator<Item = Item> {
    parts.into_iter().map(Item::Part)
}

/// The texts among `parts`, joined by a blank line; what is no text is left out.
pub(in crate::provider) fn joined_text(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text(text) => Some(text.as_str()),
        PartKind::Image(_) | PartKind::Audio { .. } | PartKind::File { .. } => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}
