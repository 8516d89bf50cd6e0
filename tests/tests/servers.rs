//! Every LNbits that shops still run, real: the matrix of `docs/servers.md`, a test a cell.

use tillbell_tests::{RealLnbits, Release, promises};

type Result = anyhow::Result<()>;

macro_rules! matrix {
    ($($release:ident: $live:ident, $outage:ident, $old:ident, $forged:ident;)*) => {$(
        #[test]
        fn $live() -> Result {
            promises::payments_are_told_live_once_with_amount_and_memo(RealLnbits::shared_of(Release::$release)?)
        }

        #[test]
        fn $outage() -> Result {
            promises::forty_payments_of_an_outage_are_caught_up_once(RealLnbits::shared_of(Release::$release)?)
        }

        #[test]
        fn $old() -> Result {
            promises::old_invoices_that_are_paid_late_are_told_once(RealLnbits::shared_of(Release::$release)?)
        }

        #[test]
        fn $forged() -> Result {
            promises::forged_frames_are_never_told_and_hide_no_payment(RealLnbits::shared_of(Release::$release)?)
        }
    )*};
}

matrix! {
    V0_12_12:
        lnbits_0_12_12_payments_are_told_live_once_with_amount_and_memo,
        lnbits_0_12_12_forty_payments_of_an_outage_are_caught_up_once,
        lnbits_0_12_12_old_invoices_that_are_paid_late_are_told_once,
        lnbits_0_12_12_forged_frames_are_never_told_and_hide_no_payment;
    V1_0_0:
        lnbits_1_0_0_payments_are_told_live_once_with_amount_and_memo,
        lnbits_1_0_0_forty_payments_of_an_outage_are_caught_up_once,
        lnbits_1_0_0_old_invoices_that_are_paid_late_are_told_once,
        lnbits_1_0_0_forged_frames_are_never_told_and_hide_no_payment;
    V1_2_1:
        lnbits_1_2_1_payments_are_told_live_once_with_amount_and_memo,
        lnbits_1_2_1_forty_payments_of_an_outage_are_caught_up_once,
        lnbits_1_2_1_old_invoices_that_are_paid_late_are_told_once,
        lnbits_1_2_1_forged_frames_are_never_told_and_hide_no_payment;
    V1_6_2:
        lnbits_1_6_2_payments_are_told_live_once_with_amount_and_memo,
        lnbits_1_6_2_forty_payments_of_an_outage_are_caught_up_once,
        lnbits_1_6_2_old_invoices_that_are_paid_late_are_told_once,
        lnbits_1_6_2_forged_frames_are_never_told_and_hide_no_payment;
}
