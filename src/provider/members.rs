//! A JSON object of which a few members change: the others keep their order, and their values' text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The members of an object, in their order.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(String, Cow<'a, RawValue>)>);

impl<'a> Members<'a> {
    /// Reads an object; `None` if it is none.
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The text of a member's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(member, _)| member == name)?;
        Some(value.get())
    }

    /// A member's value, if it is a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// A member's value, if it is a whole number.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        crate::json::integer(self.get(name)?.as_bytes())
    }

    /// Leaves out the members that are not to stay; says whether there were any.
    pub(super) fn retain(&mut self, stays: impl Fn(&str, &str) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, value)| stays(name, value.get()));
        self.0.len() < before
    }

    /// Leaves out a member; says whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.retain(|member, _| member != name)
    }

    /// Gives a member this value, in its place or at the end.
    pub(super) fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        let Ok(value) = to_raw_value(value) else {
            return; // nothing that is set here refuses to be written
        };
        let value = Cow::Owned(value);
        match self.0.iter_mut().find(|(member, _)| member == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Gives a member another name; says whether it was there. One that has the name already goes.
    pub(super) fn rename(&mut self, old: &str, new: &str) -> bool {
        if self.get(old).is_none() {
            return false;
        }
        self.remove(new);
        let members = self.0.iter_mut().filter(|(member, _)| member == old);
        members.for_each(|(member, _)| new.clone_into(member));
        true
    }

    /// As JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((name, Cow::Borrowed(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, &**value)))
    }
}
