//! Reading the record, beside everything else.

use std::collections::BTreeMap;

use tillbell_till::engine::feed::Record;
use tillbell_till::ledger::{Entry, LedgerError, Reader, WalletRow};
use tokio::task::spawn_blocking;

use crate::refusal::Refusal;
use crate::site::Site;

/// The record, open to be read, and what its wallets are called.
pub(super) struct Open {
    pub(super) reader: Reader,
    pub(super) record: Record,
    pub(super) names: BTreeMap<WalletRow, String>,
}

impl Open {
    fn of(record: Record, reader: Reader) -> Result<Self, LedgerError> {
        let mut names = record.names.clone();
        // One that is not paired any more goes by its reference, as in an export.
        for (row, _, reference) in reader.wallets()? {
            names.entry(row).or_insert(reference);
        }
        Ok(Self {
            reader,
            record,
            names,
        })
    }

    pub(super) fn name_of(&self, entry: &Entry) -> &str {
        self.names.get(&entry.wallet).map_or("", String::as_str)
    }
}

impl Site {
    /// Reads in the record, beside everything else.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Open) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let record = self.engine.feed().record();
        let Some(path) = record.ledger.clone() else {
            return Err(Refusal::DemoPlays);
        };
        let turn = self.readers.clone().acquire_owned();
        let turn = turn.await.map_err(|_| Refusal::Ended)?;
        let reading = spawn_blocking(move || {
            // Who asked may be gone: it is being read still.
            let _turn = turn;
            let reader = Reader::open(&path).map_err(not_read)?;
            read(&Open::of(record, reader).map_err(not_read)?)
        });
        reading.await.unwrap_or(Err(Refusal::Ended))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
pub(super) fn not_read(error: LedgerError) -> Refusal {
    tracing::warn!(%error, "a program could not read the record");
    Refusal::NotRead {
        error: error.to_string(),
    }
}
