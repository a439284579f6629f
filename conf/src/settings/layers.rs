//! Settings as text, in layers.

use std::{collections::BTreeMap, ffi::OsString, ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{DEFAULT, SettingsError, Sourced};
use crate::{file, flink::Origin, nearest};

/// How TOML writes a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// Every setting there is.
const KEYS: [(&str, Kind); 20] = [
    ("flink.version", Kind::Text),
    ("flink.source", Kind::Text),
    ("flink.mirror", Kind::Text),
    ("flink.archive", Kind::Text),
    ("flink.checksums", Kind::Text),
    ("java.home", Kind::Text),
    ("start.timeout", Kind::Text),
    ("start.cds", Kind::Text),
    ("stop.grace", Kind::Text),
    ("session.task-managers", Kind::Number),
    ("session.max-task-managers", Kind::Number),
    ("session.slots", Kind::Number),
    ("session.tm-memory", Kind::Text),
    ("session.jm-memory", Kind::Text),
    ("ha.profile", Kind::Text),
    ("yarn.queue", Kind::Text),
    ("yarn.api", Kind::Text),
    ("staging.dir", Kind::Text),
    ("staging.shared", Kind::Text),
    ("staging.trusted-owners", Kind::Text),
];

/// The text of every setting that has one, from the layer that won.
#[derive(Debug, Default)]
pub(super) struct Layers(BTreeMap<&'static str, Sourced<String>>);

impl Layers {
    pub(super) fn defaults() -> Result<Self, SettingsError> {
        let mut layers = Self::default();
        layers.add_toml(DEFAULT, Path::new("default.toml"), |_| Origin::Default)?;
        Ok(layers)
    }

    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        match file::read_text(path) {
            Ok(text) => {
                let origin = |line| Origin::File { path: path.into(), line: Some(line) };
                self.add_toml(&text, path, origin)
            }
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn add_env(&mut self, env: &dyn Fn(&str) -> Option<OsString>) -> Result<(), SettingsError> {
        for (key, _) in KEYS {
            let name = format!("KOBEL_{}", key.to_uppercase().replace(['.', '-'], "_"));
            // An empty variable counts as unset, as everywhere in a shell.
            let Some(value) = env(&name).filter(|value| !value.is_empty()) else { continue };
            let origin = Origin::Environment(name);
            let value = value.into_string().map_err(|_| SettingsError::Value {
                key,
                origin: origin.clone(),
                expected: "must be UTF-8".into(),
            })?;
            self.0.insert(key, Sourced { value, origin });
        }
        Ok(())
    }

    fn add_toml(
        &mut self,
        text: &str,
        path: &Path,
        at: impl Fn(usize) -> Origin,
    ) -> Result<(), SettingsError> {
        let table = DeTable::parse(text).map_err(|error| {
            let (line, column) = position(text, error.span().unwrap_or_default());
            let what = error.message().lines().collect::<Vec<_>>().join(", ");
            SettingsError::Syntax { path: path.into(), line, column, what }
        })?;
        let mut leaves = Vec::new();
        flatten("", table.get_ref(), &mut leaves);
        for Leaf { key: name, span, value } in leaves {
            let origin = at(position(text, span).0);
            let Some((key, kind)) = KEYS.into_iter().find(|(key, _)| *key == name) else {
                let nearest = nearest(&name, KEYS.map(|(key, _)| key));
                return Err(SettingsError::Unknown { key: name, origin, nearest });
            };
            let value = as_text(kind, value).ok_or_else(|| {
                let expected =
                    if kind == Kind::Text { "must be a text in quotes" } else { "must be a whole number" };
                SettingsError::Value { key, origin: origin.clone(), expected: expected.into() }
            })?;
            self.0.insert(key, Sourced { value, origin });
        }
        Ok(())
    }

    /// A setting that `default.toml` gives a value.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Sourced<T>, SettingsError> {
        let Sourced { value, origin } = self.find(key, parse)?;
        let missing = || SettingsError::Value { key, origin: origin.clone(), expected: "must be set".into() };
        Ok(Sourced { value: value.ok_or_else(missing)?, origin })
    }

    /// A setting that need not have a value.
    pub(super) fn find<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Sourced<Option<T>>, SettingsError> {
        let Some(Sourced { value, origin }) = self.0.get(key) else {
            return Ok(Sourced { value: None, origin: Origin::Default });
        };
        let value = parse(value).map_err(|expected| SettingsError::Value {
            key,
            origin: origin.clone(),
            expected,
        })?;
        Ok(Sourced { value: Some(value), origin: origin.clone() })
    }
}

struct Leaf<'a> {
    key: String,
    span: Range<usize>,
    value: &'a DeValue<'a>,
}

fn flatten<'a>(prefix: &str, table: &'a DeTable<'_>, into: &mut Vec<Leaf<'a>>) {
    for (name, value) in table.iter() {
        let key = format!("{prefix}{}", name.get_ref());
        match Spanned::get_ref(value) {
            DeValue::Table(inner) => flatten(&format!("{key}."), inner, into),
            value => into.push(Leaf { key, span: name.span(), value }),
        }
    }
}

fn as_text(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Text, DeValue::String(text)) => Some(text.to_string()),
        (Kind::Number, DeValue::Integer(number)) if number.radix() == 10 => Some(number.to_string()),
        _ => None,
    }
}

/// Line and column, from 1, where the span starts.
fn position(text: &str, span: Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_setting() {
        let mut section = "";
        let mut named = Vec::new();
        for line in DEFAULT.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name;
            } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ") {
                named.push(format!("{section}.{name}"));
            }
        }
        assert_eq!(named, KEYS.map(|(key, _)| key));
    }
}
