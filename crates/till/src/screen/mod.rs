//! What displays show: the queue of announcements, scenes, the pay code, and the types that cross to a page.

pub mod customer;
pub mod first_frame;
pub mod paced;
pub mod pay_code;
pub mod ringer;
pub mod stage;
mod sums;
pub mod view;
