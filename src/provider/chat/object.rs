//! A JSON object in the making, members in the order they were set.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::unsupported;
use crate::provider::AdaptError;

/// Members whose values are JSON text already: what came as text is not built and written again.
#[derive(Debug, Clone, Default)]
pub(in crate::provider) struct Object(Vec<(Cow<'static, str>, Box<RawValue>)>);

impl Object {
    /// Sets a member; the last one counts.
    pub(in crate::provider) fn set<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: &T,
    ) -> &mut Self {
        if let Ok(value) = to_raw_value(value) {
            self.put(name.into(), value);
        }
        self
    }

    /// Sets a member if there is a value.
    pub(in crate::provider) fn set_some<T: Serialize>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: Option<T>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.set(name, &value);
        }
        self
    }

    /// Sets a member to JSON text.
    ///
    /// # Errors
    /// If the text is no JSON.
    pub(in crate::provider) fn set_raw(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        json: &str,
    ) -> Result<&mut Self, AdaptError> {
        let name = name.into();
        match RawValue::from_string(json.to_owned()) {
            Ok(value) => {
                self.put(name, value);
                Ok(self)
            }
            Err(error) => Err(unsupported(name, error.to_string())),
        }
    }

    /// Sets the members that `json`, the value of `param`, has.
    ///
    /// # Errors
    /// If the text is no JSON object.
    pub(in crate::provider) fn merge(
        &mut self,
        param: &'static str,
        json: &str,
    ) -> Result<&mut Self, AdaptError> {
        let wrong = |_| unsupported(param, format!("`{param}` must be an object"));
        let members = members(json).map_err(wrong)?;
        for (name, value) in members {
            self.put(Cow::Owned(name), value.to_owned());
        }
        Ok(self)
    }

    fn put(&mut self, name: Cow<'static, str>, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets all members of another one.
    pub(in crate::provider) fn extend(&mut self, other: Self) {
        for (name, value) in other.0 {
            self.put(name, value);
        }
    }

    /// Keeps the members with these names.
    pub(in crate::provider) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Whether it has this member.
    pub(in crate::provider) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// Whether it has none.
    pub(in crate::provider) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the body of a request.
    pub(in crate::provider) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The members of a JSON object in their order.
///
/// # Errors
/// If the text is no JSON object.
pub(in crate::provider) fn members(json: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Each;
    impl<'de> Visitor<'de> for Each {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut text = serde_json::Deserializer::from_str(json);
    let members = text.deserialize_map(Each)?;
    text.end()?;
    Ok(members)
}
