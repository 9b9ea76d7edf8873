//! `toolyard config`: is the file right, and what may it say.

use toolyard_core::Principal;
#[cfg(feature = "http")]
use toolyard_http::Listen;

#[cfg(feature = "http")]
use super::serve;
use super::{Failure, Outcome, args::CheckArgs, logging, output, setup};
use crate::config;

pub(super) fn check(args: &CheckArgs) -> Result<Outcome, Failure> {
    logging::start(&args.log)?;
    let builder = setup::builder(&args.server)?;
    #[cfg(feature = "http")]
    let served = match serve::check(builder.http().clone())? {
        Some(Listen::Tcp(address)) => format!("\nserved over HTTP at {address}"),
        Some(Listen::Unix(path)) => format!("\nserved over HTTP at unix:{}", path.display()),
        None => String::new(),
    };
    #[cfg(not(feature = "http"))]
    let served = "";
    let yard = setup::finish(builder)?;
    let from = match setup::config_path(args.server.config.as_deref()) {
        Some(path) => format!("`{}` is valid", path.display()),
        None => "no configuration file; the defaults are in force".to_owned(),
    };
    let directories = if yard.directories().is_empty() { "none".to_owned() } else { yard.directories().join(", ") };
    let audit = yard.audit_directory().map_or_else(|| "off".to_owned(), |directory| directory.display().to_string());
    output::text(&format!(
        "{from}\nallowed directories: {directories}\naudit trail: {audit}{served}\n{}",
        super::policy::summary(&yard, &Principal::local())
    ))?;
    Ok(Outcome::Success)
}

pub(super) fn schema() -> Result<Outcome, Failure> {
    let schema = serde_json::to_string_pretty(&config::schema())?;
    output::text(&schema)?;
    Ok(Outcome::Success)
}
