//! What a TaskManager has beside memory: slots, CPU cores and external resources (Flink's
//! `TaskExecutorProcessUtils`, `ExternalResourceUtils`).

use crate::{
    memory::{Conf, MemoryError, fraction::decimal, options},
    units::java_double,
};

const CPU_CORES: &str = "taskmanager.cpu.cores";
const SLOTS: &str = "taskmanager.numberOfTaskSlots";
const EXTERNAL: &str = "external-resources";
const NONE: &str = "none";

/// Decimal places of a resource's amount; more are cut off (`Resource.MAX_VALUE_SCALE`).
const SCALE: i32 = 8;

/// The resources of a TaskManager beside its memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WorkerResources {
    cpu_cores: f64,
    pub(super) slots: i32,
    /// Name and amount.
    external: Vec<(String, i64)>,
}

impl WorkerResources {
    /// As many cores as slots, unless the cores are set.
    pub(super) fn read(conf: &Conf) -> Result<Self, MemoryError> {
        let slots = options::integer::<i32>(conf, SLOTS)?.unwrap_or(1);
        let (key, cores) = match options::double(conf, CPU_CORES)? {
            Some(cores) => (CPU_CORES, cores),
            None => (SLOTS, f64::from(slots)),
        };
        let cpu_cores = (cores > 0.0).then(|| cut_off(cores)).flatten();
        let Some(cpu_cores) = cpu_cores else {
            return Err(MemoryError::NotAllowed { key, value: cores.to_string(), allowed: "more than 0" });
        };
        Ok(Self { cpu_cores, slots, external: external(conf)? })
    }

    /// As Flink's own scripts hand them to the process.
    pub(super) fn dynamic_configs(&self) -> Vec<(String, String)> {
        let names: Vec<_> = self.external.iter().map(|(name, _)| name.as_str()).collect();
        let list = if names.is_empty() { NONE.into() } else { format!("\"{}\"", names.join(";")) };
        let mut configs = vec![
            (CPU_CORES.into(), java_double(self.cpu_cores)),
            (SLOTS.into(), self.slots.to_string()),
            (EXTERNAL.into(), list),
        ];
        configs.extend(self.external.iter().map(|(name, amount)| (amount_key(name), amount.to_string())));
        configs
    }
}

/// The external resources that have a positive amount; Flink ignores the others.
fn external(conf: &Conf) -> Result<Vec<(String, i64)>, MemoryError> {
    let mut resources: Vec<(String, i64)> = Vec::new();
    for name in external_names(conf)? {
        let amount = options::integer::<i64>(conf, &amount_key(&name))?.unwrap_or(0);
        if amount > 0 && resources.iter().all(|(other, _)| *other != name) {
            resources.push((name, amount));
        }
    }
    Ok(resources)
}

/// A YAML list, or else names between semicolons (`ConfigurationUtils.convertToList`).
fn external_names(conf: &Conf) -> Result<Vec<String>, MemoryError> {
    let text = conf.get(EXTERNAL).map_or(NONE, String::as_str);
    if text == NONE {
        return Ok(Vec::new());
    }
    let yaml = text.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let names = match yaml {
        Some(list) => split_quoted(list, ','),
        None => split_quoted(text, ';'),
    };
    names.ok_or_else(|| MemoryError::Unreadable {
        key: EXTERNAL.into(),
        value: text.into(),
        expected: "a list such as gpu;fpga",
    })
}

/// Splits outside quotes; a quote is doubled to stand for itself. `None` if a quote is not closed, or
/// text follows one (`StructuredOptionsSplitter`).
fn split_quoted(text: &str, delimiter: char) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (name, after) = match first {
            '\'' | '"' => unquote(&rest[1..], first)?,
            _ => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                (rest[..end].trim().to_string(), &rest[end..])
            }
        };
        names.push(name);
        let after = after.trim_start();
        rest = match after.strip_prefix(delimiter) {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(names)
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(next) => {
                name.push(quote);
                rest = next;
            }
            None => return Some((name, rest)),
        }
    }
}

fn amount_key(name: &str) -> String {
    format!("external-resource.{name}.amount")
}

/// Cuts off what lies beyond [`SCALE`] decimal places; `None` if it is no finite number.
fn cut_off(number: f64) -> Option<f64> {
    let (digits, exponent) = decimal(number)?;
    let excess = u32::try_from(-exponent - SCALE).unwrap_or(0);
    let kept = 10u128.checked_pow(excess).map_or(0, |s| digits / s);
    format!("{kept}e{}", exponent.max(-SCALE)).parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_cut_off_where_flink_cuts_them() {
        assert_eq!(cut_off(0.123_456_789), Some(0.123_456_78));
        assert_eq!(cut_off(1e-300), Some(0.0));
        assert_eq!(cut_off(1e300), Some(1e300));
        assert_eq!(cut_off(f64::INFINITY), None);
    }

    #[test]
    fn names_are_split_outside_quotes() {
        let names = |text| split_quoted(text, ';').unwrap();
        assert_eq!(names("gpu; fpga "), ["gpu", "fpga"]);
        assert_eq!(names("'a;b';\"c\"\"d\";"), ["a;b", "c\"d"]);
        assert!(names(" ").is_empty());
        for bad in ["'a", "'a'b", "\"a\" b"] {
            assert_eq!(split_quoted(bad, ';'), None, "{bad}");
        }
    }

    #[test]
    fn external_resources_without_a_positive_amount_are_ignored() {
        let mut conf = Conf::from([
            (EXTERNAL.into(), "[gpu, fpga, tpu]".into()),
            (amount_key("gpu"), "2".into()),
            (amount_key("fpga"), "0".into()),
        ]);
        let resources = WorkerResources::read(&conf).unwrap();
        assert_eq!(resources.external, [("gpu".to_string(), 2)]);
        assert!(resources.dynamic_configs().contains(&(EXTERNAL.into(), "\"gpu\"".into())));
        conf.insert(EXTERNAL.into(), NONE.into());
        assert_eq!(WorkerResources::read(&conf).unwrap().external, []);
    }

    proptest! {
        #[test]
        fn no_list_makes_the_reader_panic(text in any::<String>()) {
            let _ = external(&Conf::from([(EXTERNAL.to_string(), text)]));
        }
    }
}
