//! What to try with a demo that was left standing.

use siplb_lab::topology::{CALLERS, DOMAIN, SIP_PORT, VIP};

use super::stage::Stage;

/// Commands to copy, each with what it shows.
pub(super) fn what_to_try(stage: &Stage) -> String {
    let siplb = format!("{} --socket {}", stage.binary().display(), stage.siplb().socket().display());
    let folder = stage.lab().folder();
    let folder = folder.display();
    let client = stage.lab().topology().client.name();
    format!(
        "
Left standing (files in {folder}). Try

  {siplb} status
  {siplb} lookup sip:u0001@{DOMAIN}
  {siplb} backend drain b1          # and `backend ready b1`
  printf 'INVITE sip:u0001@{DOMAIN} SIP/2.0\\r\\n\\r\\n' > /tmp/invite
  {siplb} explain --payload /tmp/invite

and call them again:

  nsenter --net=/run/netns/{client} sipp {VIP}:{SIP_PORT} -sf tests/sipp/call-uac.xml \\
    -inf {folder}/call.users -m 500 -r 200 -d 300 -i {CALLERS} -key domain {DOMAIN}

Remove it with

  cargo xtask demo --clean"
    )
}
