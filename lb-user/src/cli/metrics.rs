//! `siplb metrics`

use bytes::Bytes;
use hyper::Method;

use super::context::Context;
use super::failure::Failure;
use super::output::print;
use super::status::PATIENCE;
use crate::datapath::Pinned;
use crate::metrics;

/// Prints what monitoring is shown; without a daemon, what the pins tell.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let asked = context.ask(|client| async move {
        client.patient_for(PATIENCE).text(Method::GET, "/metrics", Bytes::new()).await
    });
    match asked {
        Ok(text) => print(String::from_utf8_lossy(&text).trim_end()),
        Err(failure) if failure.is_no_daemon() => {
            if let Ok(Some(pinned)) = Pinned::read(&context.pin_dir()?) {
                print(metrics::of_pins(&pinned).trim_end())?;
            }
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}
