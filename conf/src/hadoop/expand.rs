//! Variables in values: `${name}` of another property or a system property, `${env.NAME}` of the
//! environment, as `Configuration.substituteVars` replaces them.

use std::{collections::BTreeMap, fmt};

use super::{HadoopConf, HadoopConfError};

/// Replacements in one value, `Configuration.MAX_SUBST`.
pub(super) const ROUNDS: usize = 20;
/// Longest value in bytes that replacements may make.
const MAX_LENGTH: usize = 1 << 20;

/// What variables stand for besides properties: Java's system properties, and the environment's
/// variables as `env.NAME`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of this environment. Of Java's own properties, those that configurations use.
    pub fn of_env<'a>(env: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut map: BTreeMap<String, String> =
            env.into_iter().map(|(name, value)| (format!("env.{name}"), value.to_string())).collect();
        let of_env = |map: &BTreeMap<String, String>, name: &str| map.get(&format!("env.{name}")).cloned();
        let user = of_env(&map, "USER").or_else(|| of_env(&map, "LOGNAME"));
        let system = [
            ("user.name", user),
            ("user.home", of_env(&map, "HOME")),
            ("java.io.tmpdir", Some("/tmp".into())),
            ("file.separator", Some("/".into())),
        ];
        map.extend(system.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))));
        Self(map)
    }

    fn get(&self, name: &str) -> Option<String> {
        match name.strip_prefix("env.").filter(|rest| !rest.is_empty()) {
            Some(rest) => self.of_environment(rest),
            None => self.0.get(name).cloned(),
        }
    }

    /// `NAME`, `NAME:-default` for one that is unset or empty, `NAME-default` for one that is unset.
    fn of_environment(&self, text: &str) -> Option<String> {
        let get = |name: &str| self.0.get(&format!("env.{name}")).cloned();
        let Some(dash) = text.find('-') else { return get(text) };
        match text[..dash].strip_suffix(':') {
            Some(name) => {
                Some(get(name).filter(|v| !v.is_empty()).unwrap_or_else(|| text[dash + 1..].into()))
            }
            None => Some(get(&text[..dash]).unwrap_or_else(|| text[dash + 1..].into())),
        }
    }
}

/// Values may be secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

/// The value with its environment variables replaced, and nothing else.
pub(super) fn environment(value: &str, variables: &Variables) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some(start) = rest.find("${env.") {
        let (before, tail) = rest.split_at(start);
        text += before;
        let inner = tail.strip_prefix("${env.").unwrap_or(tail);
        let name = inner.split_once(['}', '$', ' ']).map_or("", |(name, _)| name);
        let closed = inner[name.len()..].starts_with('}') && !name.is_empty();
        match variables.of_environment(name).filter(|_| closed) {
            Some(known) => {
                text += &known;
                rest = &inner[name.len() + 1..];
            }
            None => {
                text += "${env.";
                rest = inner;
            }
        }
    }
    text + rest
}

impl HadoopConf {
    /// The value of a property with its variables replaced. A variable that stands for nothing ends
    /// the replacement, and one that stands for itself undoes it, both as Hadoop has it.
    pub(super) fn expand(&self, name: &str, value: &str) -> Result<String, HadoopConfError> {
        let endless = || {
            let origin = self.raw(name).map(|entry| entry.origin.clone());
            let origin = origin.unwrap_or(crate::flink::Origin::Default);
            HadoopConfError::Endless { name: name.into(), origin }
        };
        let mut text = value.to_string();
        for _ in 0..ROUNDS {
            let Some((start, end)) = innermost(&text) else { return Ok(text) };
            let variable = &text[start + 2..end - 1];
            let known = self.variables.get(variable);
            let Some(known) = known.or_else(|| self.raw(variable).map(|entry| entry.value.clone())) else {
                return Ok(text);
            };
            if known.contains(&text[start..end]) {
                return Ok(value.into());
            }
            text.replace_range(start..end, &known);
            if text.len() > MAX_LENGTH {
                return Err(endless());
            }
        }
        Err(endless())
    }
}

/// The first `${name}` in whose name there is no `$`, no `}` and no blank: start and end in bytes.
fn innermost(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text[from..].find("${") {
        let start = from + found;
        let inner = start + 2;
        let stop = text[inner..].find(['}', '$', ' ']).map(|at| at + inner)?;
        if text.as_bytes()[stop] == b'}' && stop > inner {
            return Some((start, stop + 1));
        }
        from = inner;
    }
    None
}
