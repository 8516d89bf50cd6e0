//! How far a payment has come, for whoever measures where the time goes: an event for each step, at the level `trace`.

use std::fmt;

use crate::PaymentHash;

/// What the log calls them. Their time is the log's own.
pub const TARGET: &str = "tillbell::steps";

/// The first eight digits of a payment's hash: they tell the payments of a day apart and say nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Short(pub PaymentHash);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PaymentHash([a, b, c, d, ..]) = self.0;
        write!(f, "{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

/// The first step: a frame that names this payment was read from the socket.
pub(crate) fn framed(payment: PaymentHash) {
    tracing::trace!(target: TARGET, step = "framed", payment = %Short(payment));
}

#[cfg(test)]
mod tests {
    use super::Short;
    use crate::PaymentHash;

    #[test]
    fn a_step_names_a_payment_by_the_beginning_of_its_hash() {
        let mut hash = [0xff; 32];
        hash[..4].copy_from_slice(&[0x00, 0x0a, 0xbc, 0xde]);
        assert_eq!(Short(PaymentHash(hash)).to_string(), "000abcde");
    }
}
