//! What is wrong with a parameter, and how it is meant.

/// Payments of one page at most.
pub(crate) const MOST: u32 = 1_000;
/// Nobody searches for more than this, in bytes.
pub(crate) const LONGEST: usize = 200;

/// What is wrong with a parameter, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadParameter {
    #[error("`{0}` is a day, as in 2026-11-24, or a moment, as in 2026-11-24T14:03:00Z.")]
    Time(&'static str),
    #[error("Nothing arrives in this span: `to` must be after `from`, or the same day.")]
    Span,
    #[error("`limit` is a whole number from 1 to {MOST}.")]
    Limit,
    #[error(
        "`after` is the `next` of the page before, as it stood there: leave it out to begin with the newest."
    )]
    After,
    #[error("No wallet is called so. There are: {}.", .0.join(", "))]
    Wallet(Vec<String>),
    #[error(
        "`search` is an amount in sats, the beginning of a hash, or words of a memo, {LONGEST} letters at most: leave it out to \
         find everything."
    )]
    Search,
    #[error("`{0}` may be given once.")]
    Twice(&'static str),
    #[error("There is no such parameter. There are: {}.", PARAMETERS.join(", "))]
    Unknown,
    #[error(
        "`Last-Event-ID` is the `id` of the event that came last: leave it out to hear only what is new."
    )]
    LastEvent,
}

/// What may be asked for.
pub(crate) const PARAMETERS: [&str; 6] = ["from", "to", "limit", "after", "wallet", "search"];

impl BadParameter {
    /// Which; empty for one that there is not.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Time(name) | Self::Twice(name) => name,
            Self::Span => "from",
            Self::Limit => "limit",
            Self::After => "after",
            Self::Wallet(_) => "wallet",
            Self::Search => "search",
            Self::LastEvent => "Last-Event-ID",
            Self::Unknown => "",
        }
    }
}
