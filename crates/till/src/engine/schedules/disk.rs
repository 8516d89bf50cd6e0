//! What survives a kill: the pairings, the signs of life, the ledger and its copy.

use std::collections::BTreeSet;

use tillbell_lnbits::WalletId;

use super::server::{NAMES, Payment};
use crate::clock::Now;
use crate::ledger::{Ledger, Outlet, WalletRow};
use crate::store::alive::Alive;
use crate::store::pairings::Paired;
use crate::wallet::Listen;
use crate::wallet::baseline::Baseline;

thread_local! {
    /// A ledger as a first start makes it.
    static EMPTY: Ledger = Ledger::in_memory().unwrap();
}

/// What survives a kill.
pub(super) struct Disk {
    /// Of each wallet, while it is paired.
    pub(super) pairings: Vec<Option<Paired>>,
    pub(super) alive: Alive,
    /// `None` while an engine has it.
    pub(super) ledger: Option<Ledger>,
    /// Of each wallet, what was found silently and needs no notice any more. It is the ledger's, and copied with it.
    pub(super) noticed: Vec<BTreeSet<Payment>>,
    copy: Option<(Ledger, Vec<BTreeSet<Payment>>)>,
}

impl Disk {
    /// So many wallets, none of them paired.
    pub(super) fn new(wallets: usize) -> Self {
        Self {
            pairings: vec![None; wallets],
            alive: Alive::default(),
            ledger: Some(EMPTY.with(Ledger::duplicate)),
            noticed: vec![BTreeSet::new(); wallets],
            copy: None,
        }
    }

    pub(super) fn in_force(&self) -> Vec<Paired> {
        self.pairings.iter().flatten().cloned().collect()
    }

    /// Wallets that are paired.
    pub(super) fn paired(&self) -> impl Iterator<Item = usize> {
        (0..self.pairings.len()).filter(|wallet| self.pairings[*wallet].is_some())
    }

    pub(super) fn pair(&mut self, wallet: usize, baseline: Baseline, now: Now) -> Paired {
        let paired = Paired {
            version: 1,
            server: serde_json::from_str("\"https://shop.example/\"").unwrap(),
            reference: reference(wallet),
            name: NAMES[wallet].to_owned(),
            listen: Listen::Key,
            wallet: WalletId::new(NAMES[wallet]),
            paired_at: now.wall,
            baseline: Some(baseline),
            begin_anew: false,
        };
        self.pairings[wallet] = Some(paired.clone());
        paired
    }

    /// The row that a wallet had before.
    pub(super) fn row(&self, wallet: usize, ledger: &Ledger) -> Option<WalletRow> {
        let wallets = ledger.wallets().unwrap();
        let row = wallets.into_iter().find(|(_, _, of)| *of == reference(wallet));
        row.map(|(row, ..)| row)
    }

    pub(super) fn copy_of(&mut self, ledger: &Ledger) {
        self.copy = Some((ledger.duplicate(), self.noticed.clone()));
    }

    /// The ledger is copied while no engine runs: as it would have been before.
    pub(super) fn copy(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            self.copy_of(&ledger);
            self.ledger = Some(ledger);
        }
    }

    /// The ledger was found ruined, and the copy may be, too. Returns the one that takes its place. What a wallet without a usable
    /// copy had is history from its next contact on.
    pub(super) fn replace(&mut self, copy_too: bool, now: Now) -> Ledger {
        if copy_too {
            self.copy = None;
        }
        let (mut ledger, noticed) = match &self.copy {
            Some((copy, noticed)) => (copy.duplicate(), noticed.clone()),
            None => (
                EMPTY.with(Ledger::duplicate),
                vec![BTreeSet::new(); self.noticed.len()],
            ),
        };
        self.noticed = noticed;
        if self.copy.is_some() {
            ledger
                .restore(&|reference| self.alive.last(reference), now.wall)
                .unwrap();
        }
        for paired in self.pairings.iter_mut().flatten() {
            paired.begin_anew |= !ledger.knows(&paired.server, &paired.reference).unwrap();
        }
        ledger
    }

    /// What the ledger owes to screens and terminal.
    pub(super) fn untold(&self) -> Vec<(String, Payment)> {
        let Some(ledger) = &self.ledger else {
            return Vec::new();
        };
        let wallets = ledger.wallets().unwrap();
        let mut untold = Vec::new();
        for outlet in [Outlet::Screens, Outlet::Terminal] {
            for entry in ledger.owed(outlet).unwrap() {
                let wallet = wallets.iter().find(|(row, ..)| *row == entry.wallet);
                untold.push((wallet.unwrap().2.clone(), Payment::of(entry.payment_hash)));
            }
        }
        untold
    }
}

pub(super) fn reference(wallet: usize) -> String {
    format!("wallet-{}", NAMES[wallet])
}
