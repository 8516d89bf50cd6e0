//! The channel on which a server tells of a wallet's payments.

use crate::{InvoiceKey, WalletId};

/// The channel's id: an invoice key or a wallet id. `Debug` shows no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// LNbits ≥ 0.12.8.
    Key(InvoiceKey),
    /// The documented interface.
    WalletId(WalletId),
}

impl Channel {
    /// The id as it stands in the socket's path. It may be a key: never for a log.
    #[must_use]
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Key(key) => key.reveal(),
            Self::WalletId(id) => id.as_str(),
        }
    }
}
