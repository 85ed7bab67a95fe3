//! `[metrics]`: where figures are served beside the control socket.

use std::net::SocketAddr;

use serde::Serialize;

use super::cursor::Table;
use super::problem::Fault;
use super::value::text;

/// Where figures are served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metrics {
    /// Address and port of HTTP over TCP; none serves them on the control socket alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// Reads the section.
pub(super) fn metrics(table: &mut Table<'_>) -> Metrics {
    Metrics { listen: table.take("listen", None, |value| text(socket)(value).map(Some)) }
}

fn socket(text: &str) -> Result<SocketAddr, Fault> {
    let mend = "write an address and a port, such as \"127.0.0.1:9440\" or \"[::1]:9440\"";
    match text.parse::<SocketAddr>() {
        Ok(socket) if socket.port() != 0 => Ok(socket),
        Ok(_) => Err(Fault::new(format!("\"{text}\" has no port"), mend)),
        Err(_) => Err(Fault::new(format!("\"{text}\" is not an address and a port"), mend)),
    }
}
