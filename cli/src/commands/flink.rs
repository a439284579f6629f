//! `kobel flink install|list|which|remove`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use kobel_conf::settings::FlinkSource;
use kobel_session::{
    Context,
    dist::{self, InstallRequest, Installed, Sites, Source, Store, Wish},
    prepare::find_flink,
};

use crate::{
    args::{InstallArgs, ListArgs, RemoveArgs, Site, WhichArgs},
    context::Ctx,
    failure::Failure,
    render::{Distributions, Which, print},
    ui::{Progress, Signals, Ui},
};

/// How long an installation may take if nobody says: half a gigabyte over a slow line.
const LONG: Duration = Duration::from_secs(3600);
/// More than that would only overflow.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Installs a Flink and tells where it is.
pub(crate) async fn install(ctx: &Ctx, args: InstallArgs) -> Result<ExitCode, Failure> {
    let context = ctx.session()?;
    let mut signals = Signals::catch()?;
    tokio::select! {
        installed = get(ctx, &context, &args) => installed.map(|_| ExitCode::SUCCESS),
        caught = signals.next() => {
            ctx.ui.note("what has come is kept; the same command goes on with it");
            Ok(caught.exit_code())
        }
    }
}

/// Whether there is a Flink now where there was none: asked for, then installed.
pub(super) async fn agree_to_install(ctx: &Ctx, context: &Context) -> Result<bool, Failure> {
    let version = &context.settings.flink_version.value;
    let home = context.dirs.data.join("flink");
    let agreed =
        ctx.ui.agrees(&format!("no Flink is installed; install Flink {version} into {}?", home.display()));
    if agreed {
        get(ctx, context, &InstallArgs::default()).await?;
    }
    Ok(agreed)
}

async fn get(ctx: &Ctx, context: &Context, args: &InstallArgs) -> Result<Installed, Failure> {
    let request = request(context, args)?;
    let reporter = Reporter { ui: &ctx.ui, progress: ctx.ui.progress() };
    let deadline = Instant::now() + args.timeout.unwrap_or(LONG).min(YEAR);
    let installed = store(context).install(&request, &reporter, deadline).await?;
    drop(reporter);
    ctx.ui.note(format_args!("Flink {} is installed in {}", installed.version, installed.home.display()));
    Ok(installed)
}

/// The flags over the settings.
fn request(context: &Context, args: &InstallArgs) -> Result<InstallRequest, Failure> {
    let settings = &context.settings;
    let version: Wish = match &args.version {
        Some(version) => version.clone(),
        None => settings.flink_version.value.parse()?,
    };
    let source = match (&args.from, args.source, settings.flink_source.value) {
        (Some(place), _, _) => Source::From(place.clone()),
        (None, Some(Site::Apache), _) | (None, None, FlinkSource::Apache) => Source::Apache,
        (None, Some(Site::Pypi), _) | (None, None, FlinkSource::PyPi) => Source::Pypi,
        (None, None, FlinkSource::Auto) => Source::Auto,
    };
    let sites = Sites {
        mirror: args.mirror.clone().unwrap_or_else(|| settings.flink_mirror.value.clone()),
        archive: settings.flink_archive.value.clone(),
        checksums: settings.flink_checksums.value.clone(),
    };
    let (index, sha512) = (args.index_url.clone(), args.sha512.clone());
    Ok(InstallRequest { version, source, sites, index, sha512, offline: args.offline })
}

fn store(context: &Context) -> Store {
    Store::new(&context.dirs.data, &context.dirs.cache)
}

/// Draws what an installation tells.
struct Reporter<'a> {
    ui: &'a Ui,
    progress: Progress,
}

impl dist::Progress for Reporter<'_> {
    fn phase(&self, text: &str) {
        self.progress.unmeasured();
        self.progress.now(text);
    }

    fn started(&self, total: Option<u64>) {
        self.progress.bytes_of(total);
    }

    fn advanced(&self, bytes: u64) {
        self.progress.bytes(bytes);
    }

    fn note(&self, text: &str) {
        self.progress.aside(|| self.ui.note(text));
    }
}

/// Lists what is installed.
pub(crate) async fn list(ctx: &Ctx, args: ListArgs) -> Result<ExitCode, Failure> {
    let list = store(&ctx.session()?).list()?;
    if list.is_empty() {
        ctx.ui.note("no Flink is installed; get one with: kobel flink install");
    }
    print(&ctx.ui, &Distributions { list }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the Flink that `start --flink` would run.
pub(crate) async fn which(ctx: &Ctx, args: WhichArgs) -> Result<ExitCode, Failure> {
    let flink = find_flink(&ctx.session()?, &args.flink.unwrap_or_default())?;
    print(&ctx.ui, &Which { flink }, args.output.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Removes an installed Flink.
pub(crate) async fn remove(ctx: &Ctx, args: RemoveArgs) -> Result<ExitCode, Failure> {
    let Installed { version, home, .. } = store(&ctx.session()?).remove(&args.version)?;
    ctx.ui.note(format_args!("removed Flink {version} from {}", home.display()));
    Ok(ExitCode::SUCCESS)
}
