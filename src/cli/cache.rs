//! `waypost cache`: what replicas keep in Redis, for whoever runs them.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::config_file::ConfigFile;
use super::redis_source::asked_of;
use crate::config::Config;
use crate::gateway::purges::{Done, Purge};
use crate::types::RedisTarget;

/// Look after the answers kept in Redis.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Purge answers in Redis; replicas that run forget their copies within `waypost: redis: interval`.
    Purge(Purging),
}

#[derive(clap::Args, Debug)]
struct Purging {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    what: What,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// The answer with this key, as the header x-waypost-cache-key shows it
    #[arg(long, value_name = "HEX", value_parser = key)]
    key: Option<Purge>,
    /// All answers of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// All answers of all groups
    #[arg(long)]
    all: bool,
}

fn key(text: &str) -> Result<Purge, &'static str> {
    Purge::key(text).ok_or("a key is 64 hex digits")
}

/// Runs the command.
///
/// # Errors
/// If the file can't be used, no group has its cache in Redis, or a Redis can't be reached.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::Purge(args) = &args.command;
    let Some(config) = args.config.load() else {
        bail!("{} can't be used", args.config.path.display());
    };
    let purge = match &args.what {
        What { key: Some(key), .. } => key.clone(),
        What {
            group: Some(group), ..
        } => Purge::Group(group.clone()),
        What { .. } => Purge::All,
    };
    purge_all(&config, &purge)
}

/// The groups to purge, with their Redis; a group that can't be is an error, or where all are meant is left out.
fn concerned<'a>(
    config: &'a Config,
    purge: &Purge,
) -> anyhow::Result<Vec<(&'a str, &'a Arc<RedisTarget>)>> {
    if let Purge::Group(named) = purge
        && !config.groups.iter().any(|group| *group.id == **named)
    {
        bail!("there is no group `{named}` in the configuration");
    }
    let in_redis = config.groups.iter().filter_map(|group| {
        let router = &group.router;
        let cached = router.cache.as_ref().is_some_and(|cache| cache.in_redis);
        let target = router.redis.as_ref().filter(|_| cached)?;
        purge.concerns(&group.id).then_some((&*group.id, target))
    });
    let in_redis: Vec<_> = in_redis.collect();
    if in_redis.is_empty() {
        bail!(
            "nothing to purge: of what was named no cache is in Redis. What is in the memory of a process is purged by \
             POST /cache/purge at its `waypost: admin` address"
        );
    }
    Ok(in_redis)
}

fn purge_all(config: &Config, purge: &Purge) -> anyhow::Result<ExitCode> {
    let mut found = false;
    for (group, target) in concerned(config, purge)? {
        let done = asked_of(target, async |redis| purge.at(redis, group).await);
        match done.with_context(|| format!("group {group}"))? {
            Done::Key(was_there) => found |= was_there,
            Done::All(_) => anstream::println!("{group}: all answers purged"),
        }
    }
    if matches!(purge, Purge::Key(_)) {
        let there = if found { "purged" } else { "no such answer" };
        anstream::println!("{there}");
    }
    Ok(ExitCode::SUCCESS)
}
