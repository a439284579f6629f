//! `kobel config show` and `kobel config explain`.

use std::process::ExitCode;

use kobel_conf::{
    Category,
    flink::{
        Entry, FlinkConf,
        secret::{HIDDEN, is_secret},
    },
};
use kobel_plan::ClusterName;
use kobel_session::{prepare, registry::Setting};

use super::start::spec;
use crate::{
    args::{ClusterArgs, ConfigExplainArgs, ConfigShowArgs},
    context::Ctx,
    failure::Failure,
    render::{ConfRows, print},
};

/// Shows every key.
pub(crate) async fn show(ctx: &Ctx, args: ConfigShowArgs) -> Result<ExitCode, Failure> {
    let list = match args.name {
        // Reading needs no agent.
        Some(name) => ctx.session()?.look_for(&name).await?.settings()?,
        None => settings(&effective(ctx, args.cluster)?),
    };
    print(&ctx.ui, &ConfRows { list }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows one key.
pub(crate) async fn explain(ctx: &Ctx, args: ConfigExplainArgs) -> Result<ExitCode, Failure> {
    let mut list = settings(&effective(ctx, args.cluster)?);
    list.retain(|row| row.key == args.key);
    if list.is_empty() {
        let what = format!("nobody sets {}: Flink's own default holds, if it is a key of Flink's", args.key);
        return Err(Failure::new(Category::Other, what).hint("kobel config show"));
    }
    print(&ctx.ui, &ConfRows { list }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration that a start with these flags would have.
fn effective(ctx: &Ctx, cluster: ClusterArgs) -> Result<FlinkConf, Failure> {
    let compiled = prepare(&ctx.session()?, &spec(ClusterName::default(), cluster)?)?;
    compiled.notes.iter().for_each(|note| ctx.ui.note(format_args!("note: {note}")));
    Ok(compiled.conf)
}

/// A configuration as it is shown, without secrets.
pub(super) fn settings(conf: &FlinkConf) -> Vec<Setting> {
    let row = |(key, entry): (&str, &Entry)| Setting {
        key: key.to_string(),
        value: if is_secret(key) { HIDDEN.into() } else { entry.value.clone() },
        origin: entry.origin.to_string(),
    };
    conf.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kobel_conf::flink::Origin;

    #[test]
    fn values_of_secrets_are_hidden() {
        let mut conf = FlinkConf::new();
        conf.set("rest.port", "8081", Origin::Dynamic);
        conf.set("s3.secret-key", "hush", Origin::Flag("-D".into()));
        let told: Vec<_> = settings(&conf).into_iter().map(|row| row.value).collect();
        assert_eq!(told, ["8081", HIDDEN]);
    }
}
