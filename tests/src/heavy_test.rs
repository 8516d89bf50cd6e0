//! A window, a browser engine and a server are much for a small machine: few tests have them at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// How many heavy tests run at a time.
const PLACES: usize = 2;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The right to be heavy, until it is dropped.
#[derive(Debug)]
pub struct HeavyTestPermit(());

/// Waits for a place among the heavy tests of this file.
#[must_use]
pub fn heavy_test_permit() -> HeavyTestPermit {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = FREED
        .wait_while(taken, |taken| *taken >= PLACES)
        .unwrap_or_else(PoisonError::into_inner);
    *taken += 1;
    HeavyTestPermit(())
}

impl Drop for HeavyTestPermit {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
