//! The shop's days: when each begins, in the shop's own time zone.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// When the shop's days begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopDays {
    /// `None`: this machine's.
    zone: Option<TimeZone>,
    begins: Time,
}

impl ShopDays {
    /// Days of this zone (`None`: this machine's) that begin at this time.
    #[must_use]
    pub const fn new(zone: Option<TimeZone>, begins: Time) -> Self {
        Self { zone, begins }
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or_else(TimeZone::system)
    }

    /// When a day begins: where the clocks are set forward over that time, as much later. `None` for days that no clock shows.
    #[must_use]
    pub fn begin(&self, date: Date) -> Option<Timestamp> {
        let begin = date.to_datetime(self.begins).to_zoned_datetime(self.zone());
        begin.ok().map(|begin| begin.timestamp())
    }

    /// When a day is over: when the next one begins.
    #[must_use]
    pub fn end(&self, date: Date) -> Option<Timestamp> {
        self.begin(date.checked_add(1.day()).ok()?)
    }

    /// Which day it is.
    #[must_use]
    pub fn date_of(&self, at: Timestamp) -> Date {
        let date = at.to_zoned_datetime(self.zone()).date();
        let has_begun = self.begin(date).is_none_or(|begin| begin <= at);
        match has_begun {
            true => date,
            false => date.yesterday().unwrap_or(date),
        }
    }

    /// What the zone is called; where it has no name, how far it is from UTC at this moment: `+01:00`.
    #[must_use]
    pub fn zone_name(&self, at: Timestamp) -> String {
        let zone = self.zone();
        match zone.iana_name() {
            Some(name) => name.to_owned(),
            None => at.to_zoned_datetime(zone).strftime("%:z").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::civil::{date, time};

    use super::*;

    fn in_berlin(begins: Time) -> ShopDays {
        ShopDays::new(Some(TimeZone::get("Europe/Berlin").unwrap()), begins)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_when_the_shop_says_and_lasts_until_the_next_one() {
        let bar = in_berlin(time(4, 0, 0, 0));
        let saturday = date(2026, 11, 21);
        assert_eq!(bar.begin(saturday), Some(at("2026-11-21T03:00:00Z")));
        assert_eq!(bar.end(saturday), Some(at("2026-11-22T03:00:00Z")));
        assert_eq!(bar.date_of(at("2026-11-22T02:59:59Z")), saturday);
        assert_eq!(bar.date_of(at("2026-11-22T03:00:00Z")), date(2026, 11, 22));
        assert_eq!(bar.zone_name(at("2026-11-22T03:00:00Z")), "Europe/Berlin");
    }

    #[test]
    fn a_day_on_which_the_clocks_are_set_has_an_hour_more_or_less() {
        let shop = in_berlin(Time::midnight());
        for (day, hours) in [
            (date(2026, 3, 29), 23),
            (date(2026, 10, 25), 25),
            (date(2026, 10, 26), 24),
        ] {
            let (begin, end) = (shop.begin(day).unwrap(), shop.end(day).unwrap());
            assert_eq!(
                end.duration_since(begin),
                SignedDuration::from_hours(hours),
                "{day}"
            );
            assert_eq!(shop.date_of(begin), day);
            assert_eq!(shop.date_of(end - SignedDuration::from_nanos(1)), day);
        }
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_an_hour_later_and_one_that_they_show_twice_is_the_first() {
        let shop = in_berlin(time(2, 30, 0, 0));
        assert_eq!(shop.begin(date(2026, 3, 29)), Some(at("2026-03-29T01:30:00Z")));
        let autumn = date(2026, 10, 25);
        assert_eq!(shop.begin(autumn), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(shop.date_of(at("2026-10-25T01:00:00Z")), autumn);
    }

    #[test]
    fn what_no_clock_shows_has_no_beginning_and_a_zone_without_a_name_says_how_far_it_is() {
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        let shop = ShopDays::new(Some(zone), Time::midnight());
        assert_eq!(shop.zone_name(Timestamp::UNIX_EPOCH), "-03:00");
        assert_eq!(shop.begin(Date::MAX), None);
        assert_eq!(shop.end(Date::MAX), None);
    }
}
