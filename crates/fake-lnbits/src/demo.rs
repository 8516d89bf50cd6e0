//! A little shop day, for `--demo`.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::{FakeLnbits, NewInvoice, Wallet};

/// What the shop sells, in satoshis.
const MENU: [(&str, u64); 12] = [
    ("Coffee", 1_000),
    ("Espresso ☕", 700),
    ("Flat white + croissant", 2_600),
    ("日本茶", 1_200),
    ("Two cappuccinos", 2_400),
    ("Cinnamon bun", 950),
    ("Bag of beans, 250 g", 14_500),
    ("Café con leche", 1_100),
    ("Breakfast for two", 21_000),
    ("Apfelschorle", 1_300),
    ("Sourdough loaf", 5_200),
    ("Tip jar", 210),
];

/// One thing that happens at the counter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    /// Somebody buys something from the menu.
    Sale(usize),
    /// Somebody pays without saying what for.
    Gift(u64),
    /// Three people pay one right after the other.
    Burst([usize; 3]),
    /// The shop pays its supplier: nothing to ring for.
    Errand(u64),
}

/// Plays the day until it is dropped: the first payment after 3 s, then one every 8 to 20 s, with a burst, a quiet
/// while or an outgoing payment now and then.
pub async fn play(fake: FakeLnbits, wallet: Wallet) {
    let mut pause = Duration::from_secs(3);
    let mut act = Act::Sale(0);
    loop {
        tokio::time::sleep(pause).await;
        perform(&fake, &wallet, &act).await;
        (pause, act) = next(&mut rand::rng());
    }
}

async fn perform(fake: &FakeLnbits, wallet: &Wallet, act: &Act) {
    match act {
        Act::Sale(item) => sell(fake, wallet, *item),
        Act::Gift(sats) => {
            let invoice = NewInvoice {
                amount_msat: sats * 1000,
                ..NewInvoice::default()
            };
            fake.settle(&fake.make_invoice(wallet, invoice).payment_hash);
        }
        Act::Burst(items) => {
            for item in items {
                sell(fake, wallet, *item);
                tokio::time::sleep(Duration::from_millis(350)).await;
            }
        }
        Act::Errand(sats) => {
            fake.send_outgoing(wallet, sats * 1000, "Oat milk, 12 l");
        }
    }
}

fn sell(fake: &FakeLnbits, wallet: &Wallet, item: usize) {
    let (memo, sats) = MENU[item % MENU.len()];
    fake.settle(
        &fake
            .make_invoice(wallet, NewInvoice::sats(sats, memo))
            .payment_hash,
    );
}

/// What comes next, and after how long.
fn next(rng: &mut impl Rng) -> (Duration, Act) {
    let mut item = || rng.random_range(0..MENU.len());
    let items = [item(), item(), item()];
    let act = match rng.random_range(0..20) {
        0 | 1 => Act::Burst(items),
        2 => Act::Gift(rng.random_range(21..=5_000)),
        3 => Act::Errand(rng.random_range(1_000..=9_000)),
        _ => Act::Sale(items[0]),
    };
    let quiet = rng.random_range(0..15) == 0;
    let seconds = if quiet {
        rng.random_range(45..=75)
    } else {
        rng.random_range(8..=20)
    };
    (Duration::from_secs(seconds), act)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn a_day_has_something_of_everything() {
        let mut rng = StdRng::seed_from_u64(21);
        let day: Vec<(Duration, Act)> = (0..500).map(|_| next(&mut rng)).collect();
        for wanted in ["Sale", "Gift", "Burst", "Errand"] {
            assert!(
                day.iter().any(|(_, act)| format!("{act:?}").starts_with(wanted)),
                "no {wanted}"
            );
        }
        assert!(day.iter().all(|(pause, _)| (8..=75).contains(&pause.as_secs())));
        assert!(
            day.iter().any(|(pause, _)| pause.as_secs() > 20),
            "no quiet while"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_customer_comes_after_three_seconds() {
        let fake = FakeLnbits::start(crate::Options::default()).await.unwrap();
        let shop = fake.add_wallet("shop");
        let day = play(fake.clone(), shop.clone());
        assert!(
            tokio::time::timeout(Duration::from_millis(3_100), day)
                .await
                .is_err()
        );
        let payments = fake.payments(&shop);
        assert_eq!(payments.len(), 1);
        assert_eq!(payments[0].memo.as_deref(), Some("Coffee"));
        assert_eq!(payments[0].amount_msat, 1_000_000);
    }
}
