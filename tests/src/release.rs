//! The releases of LNbits that shops run, and what each does its own way.

use std::path::PathBuf;

use anyhow::Context as _;

/// A release, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// The last of the 0.12 line: its list knows no filter.
    V0_12_12,
    /// Dates in ISO 8601, filters that work; no list by change.
    V1_0_0,
    /// Like 1.0.
    V1_2_1,
    /// The one that every test run meets.
    V1_6_2,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V0_12_12, Self::V1_0_0, Self::V1_2_1, Self::V1_6_2];

    /// The one that every test run meets.
    pub const CURRENT: Self = Self::V1_6_2;

    /// The variable in which `cargo xtask test` says where it is installed.
    const fn variable(self) -> &'static str {
        match self {
            Self::V0_12_12 => "TILLBELL_LNBITS_0_12_12",
            Self::V1_0_0 => "TILLBELL_LNBITS_1_0_0",
            Self::V1_2_1 => "TILLBELL_LNBITS_1_2_1",
            Self::V1_6_2 => "TILLBELL_LNBITS_1_6_2",
        }
    }

    /// Its Python environment.
    pub(crate) fn venv(self) -> anyhow::Result<PathBuf> {
        let variable = self.variable();
        std::env::var_os(variable).map(PathBuf::from).with_context(|| {
            let all = if self == Self::CURRENT { "" } else { " --all" };
            format!("{variable} is not set: `cargo xtask test{all}` installs that LNbits and sets it")
        })
    }

    /// Where its owner fills a wallet out of nothing.
    pub(crate) const fn top_up(self) -> &'static str {
        match self {
            Self::V0_12_12 => "/users/api/v1/topup",
            Self::V1_0_0 | Self::V1_2_1 | Self::V1_6_2 => "/users/api/v1/balance",
        }
    }

    /// The field in which it hands out an invoice that it made.
    pub(crate) const fn invoice(self) -> &'static str {
        match self {
            Self::V0_12_12 => "payment_request",
            Self::V1_0_0 | Self::V1_2_1 | Self::V1_6_2 => "bolt11",
        }
    }

    /// The columns that say when an invoice was made, in seconds since 1970.
    pub(crate) const fn birth(self) -> &'static [&'static str] {
        match self {
            Self::V0_12_12 => &["time"],
            Self::V1_0_0 | Self::V1_2_1 | Self::V1_6_2 => &["time", "created_at", "updated_at"],
        }
    }

    /// A memo as it keeps it.
    pub(crate) fn kept(self, memo: &str) -> String {
        match (self, memo) {
            (_, "") => "LNbits".to_owned(),
            // It takes out what looks like markup.
            (Self::V0_12_12, "<script>alert(1)</script><b>bold</b> &amp; \"quotes\"") => {
                "alert(1)bold \"quotes\"".to_owned()
            }
            (_, memo) => memo.to_owned(),
        }
    }

    /// True when its rows are dated finer than to the second: only then can those of one second be put in order.
    pub(crate) const fn dates_finely(self) -> bool {
        match self {
            Self::V0_12_12 => false,
            Self::V1_0_0 | Self::V1_2_1 | Self::V1_6_2 => true,
        }
    }
}
