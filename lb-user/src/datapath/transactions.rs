//! Transactions that the program recorded while a planned change was in progress. Once it is over nobody asks for them any
//! more: entries name the change that they belong to, and those of another are taken for none.

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use lb_common::layout::Transaction;

use super::{
    error::{DatapathError, Doing},
    maps::{As, take},
};

/// The map of them, by their ids.
pub(super) struct Transactions(HashMap<MapData, u64, As<Transaction>>);

impl Transactions {
    /// Takes the map out of a loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DatapathError> {
        take(object, "TRANSACTIONS").map(Self)
    }

    /// Forgets those of a change, so that there is room for the next.
    pub(super) fn forget(&mut self, change: u32) -> Result<(), DatapathError> {
        const WHAT: &str = "forget the transactions of a change";
        // All are found first: behind a key that is gone the kernel would begin again.
        let mut ids = Vec::new();
        for entry in self.0.iter() {
            let (id, As(transaction)) = entry.doing(WHAT)?;
            if transaction.change() == change {
                ids.push(id);
            }
        }
        for id in ids {
            self.0.remove(&id).doing(WHAT)?;
        }
        Ok(())
    }
}
