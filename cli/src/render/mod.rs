//! Data in the forms of `-o`.

mod capacity;
mod checks;
mod clusters;
mod conf;
mod describe;
mod distributions;
mod drill;
mod events;
mod gc;
mod job_facts;
mod jobs;
mod plan;
pub(crate) mod status;
mod table;

pub(crate) use capacity::Capacity;
pub(crate) use checks::Checks;
pub(crate) use clusters::Clusters;
pub(crate) use conf::ConfRows;
pub(crate) use describe::{Description, Place, Places};
pub(crate) use distributions::{Distributions, Which};
pub(crate) use drill::{Completed, Drill, DrilledJob, Restored, Told, VictimRow};
pub(crate) use events::Events;
pub(crate) use gc::{Leftovers, size};
pub(crate) use job_facts::{CheckpointRow, Checkpoints, ExceptionRow, Exceptions, JobStatus, VertexRow};
pub(crate) use jobs::{JobRow, Jobs};
pub(crate) use plan::PlanView;
pub(crate) use status::StatusView;
pub(crate) use table::{Table, age};

use kobel_conf::Category;
use serde::Serialize;

use crate::{args::Format, failure::Failure, ui::Ui};

/// Something that a reading verb prints.
pub(crate) trait View {
    /// What JSON and YAML show, field for field.
    type Document: Serialize + ?Sized;

    /// The same for machines.
    fn document(&self) -> &Self::Document;
    /// The same for people, with more columns if `wide`; lines end with a newline.
    fn table(&self, wide: bool) -> String;
    /// The names alone.
    fn names(&self) -> Vec<String>;
}

/// Prints a view to stdout.
pub(crate) fn print(ui: &Ui, view: &impl View, format: Format) -> Result<(), Failure> {
    let text = match format {
        Format::Table => view.table(false),
        Format::Wide => view.table(true),
        Format::Json => json(view.document())?,
        Format::Yaml => yaml(view.document())?,
        Format::Name => view.names().iter().map(|name| format!("{name}\n")).collect(),
    };
    ui.data(text.as_bytes());
    Ok(())
}

/// Pretty JSON with a newline at its end.
pub(crate) fn json(document: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Failure::new(Category::Other, "cannot write this as JSON").because(&e))?;
    Ok(text + "\n")
}

/// JSON on one line, for documents that come one after the other.
pub(crate) fn json_line(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(document)
        .map_err(|e| Failure::new(Category::Other, "cannot write this as JSON").because(&e))?;
    Ok(text + "\n")
}

fn yaml(document: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    // By way of JSON's values, so that both forms have the same fields in the same shape.
    let value = serde_json::to_value(document)
        .map_err(|e| Failure::new(Category::Other, "cannot write this as YAML").because(&e))?;
    let text = serde_saphyr::to_string(&value)
        .map_err(|e| Failure::new(Category::Other, "cannot write this as YAML").because(&e))?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}
