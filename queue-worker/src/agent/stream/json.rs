//! Looks into an event without trusting its form.
//!
//! Used by every dialect. What always holds: a field that is missing, null or of another type than
//! expected reads as absent; nothing here fails.

use serde_json::Value;

use crate::agent::facts::Usage;

/// A JSON object of the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a>(pub(super) &'a Value);

impl<'a> Event<'a> {
    /// The value at a path such as `message.usage`; null reads as absent.
    pub(super) fn at(&self, path: &str) -> Option<&'a Value> {
        let found = path
            .split('.')
            .try_fold(self.0, |value, key| value.get(key))?;
        (!found.is_null()).then_some(found)
    }

    /// The object at a path; an empty one where there is none.
    pub(super) fn sub(&self, path: &str) -> Event<'a> {
        Event(self.at(path).unwrap_or(&Value::Null))
    }

    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.at(path)?.as_str()
    }

    pub(super) fn owned(&self, path: &str) -> Option<String> {
        self.text(path)
            .map(|text| super::super::text::truncated(text, 256).to_owned())
    }

    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        self.at(path)?.as_bool()
    }

    /// A whole number, also one that is written as a fraction or in quotes.
    pub(super) fn number(&self, path: &str) -> Option<i64> {
        let value = self.at(path)?;
        let whole = value.as_i64();
        let real = || {
            value
                .as_f64()
                .filter(|it| it.is_finite())
                .map(|it| it as i64)
        };
        whole
            .or_else(real)
            .or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// A count: a number that is not negative.
    pub(super) fn count(&self, path: &str) -> u64 {
        let number = self.number(path).unwrap_or_default();
        u64::try_from(number).unwrap_or_default()
    }

    pub(super) fn real(&self, path: &str) -> Option<f64> {
        self.at(path)?.as_f64().filter(|number| number.is_finite())
    }

    /// An amount of money; a negative one is none.
    pub(super) fn cost(&self, path: &str) -> Option<f64> {
        self.real(path).filter(|cost| *cost >= 0.0)
    }

    /// An HTTP status.
    pub(super) fn status(&self, path: &str) -> Option<u16> {
        let status = self.number(path)?;
        u16::try_from(status)
            .ok()
            .filter(|status| (100..600).contains(status))
    }

    pub(super) fn list(&self, path: &str) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let items = self.at(path).and_then(Value::as_array);
        items.into_iter().flatten().map(Event)
    }

    pub(super) fn entries(
        &self,
        path: &str,
    ) -> impl Iterator<Item = (&'a str, Event<'a>)> + use<'a> {
        let object = self.at(path).and_then(Value::as_object);
        let entries = object.into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), Event(value)))
    }

    /// The texts of a message's content: a string, or a list of parts.
    pub(super) fn content(&self, path: &str) -> String {
        if let Some(text) = self.text(path) {
            return text.to_owned();
        }
        let parts = self.list(path).filter_map(|part| part.text("text"));
        parts.collect::<Vec<_>>().join("\n")
    }

    /// Usage as the providers' interfaces spell it, in either case.
    pub(super) fn usage(&self) -> Usage {
        let either = |snake: &str, camel: &str| self.count(snake).max(self.count(camel));
        Usage {
            input: either("input_tokens", "inputTokens"),
            output: either("output_tokens", "outputTokens"),
            cache_read: either("cache_read_input_tokens", "cacheReadInputTokens")
                .max(self.count("cacheReadTokens")),
            cache_write: either("cache_creation_input_tokens", "cacheCreationInputTokens")
                .max(self.count("cacheWriteTokens")),
            cost_usd: self.cost("costUSD"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_another_type_read_as_absent() {
        let value =
            json!({ "a": { "b": 7.0, "c": null, "d": "12" }, "list": "no list", "cost": -1.0 });
        let event = Event(&value);
        assert_eq!(
            (event.number("a.b"), event.number("a.d")),
            (Some(7), Some(12))
        );
        assert_eq!(
            (event.at("a.c"), event.at("a.b.x"), event.text("a")),
            (None, None, None)
        );
        assert_eq!((event.list("list").count(), event.cost("cost")), (0, None));
        assert_eq!(event.usage(), Usage::default());
        assert_eq!((event.status("a.b"), event.count("cost")), (None, 0));
    }
}
