//! Which browsers are displays, and which ask to be: the pure machine behind [`super::Displays`].

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tillbell_lnbits::Text;
use ts_rs::TS;

use super::secret::{Digest, Secret};
use crate::clock::{Moment, Now};

/// A join link is good for this long …
pub const LINK: Duration = Duration::from_secs(10 * 60);
/// … and for one page, which may ask again within this: its answer may have been lost.
pub const RETRY: Duration = Duration::from_secs(60);
/// A page that shows its letters asks every two seconds; one that has not for this long is gone.
pub const ASKS: Duration = Duration::from_secs(15);
/// So many show their letters at the same time, and so many from one address.
const ASKING: usize = 16;
const ASKING_OF_AN_ADDRESS: usize = 4;
/// So many displays at most.
const MOST: usize = 256;
/// Letters that nobody mistakes for another one.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRTUVWXY";
/// Letters of a code.
const CODE: usize = 4;

/// What a display, or a program, may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum DisplayRole {
    /// Draws scenes, and says what it has drawn.
    Customer,
    /// Everything that the shop's own window may.
    Operator,
    /// The HTTP door, with a bearer token; no scenes.
    Program,
}

/// One that was added, as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) role: DisplayRole,
    /// It is to ring. One that was stored by a version without sound does not.
    #[serde(default)]
    pub(super) sound: bool,
    /// Its link, until that is used or too old.
    join: Option<Join>,
    cookie: Option<Digest>,
    bearer: Option<Digest>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Join {
    token: Digest,
    until: Timestamp,
    /// By which page, and until when that may ask again.
    used: Option<(Digest, Timestamp)>,
}

/// A browser that shows its letters.
#[derive(Debug)]
struct Asking {
    /// Its page, by what only that page knows.
    page: Digest,
    salt: Secret,
    letters: String,
    address: String,
    heard: Moment,
    /// The display that it is to be.
    allowed: Option<String>,
}

/// See the module's own words.
#[derive(Debug, Default)]
pub(super) struct Roll {
    members: Vec<Member>,
    asking: Vec<Asking>,
}

/// Who was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: DisplayRole,
    /// It is to ring.
    pub sound: bool,
}

/// A display that was added, with what only its owner is to see.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) name: String,
    pub(super) role: DisplayRole,
    pub(super) token: Option<Secret>,
    pub(super) bearer: Option<Secret>,
}

/// What a browser that asks is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered {
    /// Somebody has to allow these letters.
    Wait {
        /// What it shows.
        letters: String,
        /// It asks for the first time.
        is_new: bool,
    },
    /// Somebody has.
    Allowed {
        /// Its cookie.
        cookie: Secret,
        /// It is told so for the first time.
        is_new: bool,
    },
    /// Too many ask.
    TooMany,
}

/// Why a display is not added, allowed or revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum DisplayError {
    /// The name is another one's.
    #[error("Another display is called “{name}”: choose another name, or revoke that one first.")]
    DisplayNameTaken {
        /// The name.
        name: String,
    },
    /// There is none of this name.
    #[error("No display is called “{name}”. There are: {}.", listed(names))]
    NoSuchDisplay {
        /// The name.
        name: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// Nobody shows these letters.
    #[error(
        "No screen shows “{letters}” at this moment: type the letters that it shows now, and leave its page open."
    )]
    NoSuchLetters {
        /// The letters.
        letters: String,
    },
    /// There are enough.
    #[error("There are {MOST} displays already: revoke one that is not used any more.")]
    TooManyDisplays,
    /// They could not be stored.
    #[error("The displays could not be stored: {error}.")]
    DisplaysNotStored {
        /// Why.
        error: String,
    },
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

impl Roll {
    pub(super) fn of(members: Vec<Member>) -> Self {
        Self {
            members,
            asking: Vec::new(),
        }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The pages that show their letters now: letters and address.
    pub(super) fn asking(&self, now: Moment) -> Vec<(String, String)> {
        let waits = |asking: &&Asking| asking.allowed.is_none() && now.since(asking.heard) < ASKS;
        let asking = self.asking.iter().filter(waits);
        asking
            .map(|asking| (asking.letters.clone(), asking.address.clone()))
            .collect()
    }

    /// Adds one; without a name it gets one.
    pub(super) fn add(
        &mut self,
        role: DisplayRole,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Added, DisplayError> {
        let name = self.free_name(role, name)?;
        let token = (role != DisplayRole::Program).then(Secret::random);
        let bearer = (role != DisplayRole::Customer).then(Secret::random);
        self.members.push(Member {
            name: name.clone(),
            role,
            sound: self.is_to_ring(role),
            join: token.as_ref().map(|token| Join {
                token: token.digest(),
                until: now + LINK,
                used: None,
            }),
            cookie: None,
            bearer: bearer.as_ref().map(Secret::digest),
        });
        Ok(Added {
            name,
            role,
            token,
            bearer,
        })
    }

    /// A shop has one bell: that of its first display for customers, until somebody says otherwise.
    fn is_to_ring(&self, role: DisplayRole) -> bool {
        role == DisplayRole::Customer && !self.members.iter().any(|member| member.sound)
    }

    fn free_name(&self, role: DisplayRole, wanted: Option<&str>) -> Result<String, DisplayError> {
        if self.members.len() >= MOST {
            return Err(DisplayError::TooManyDisplays);
        }
        let is_taken = |name: &str| self.members.iter().any(|member| member.name == name);
        let wanted = wanted.map(|name| Text::clean_to(name.trim(), Text::MAX_NAME).to_string());
        if let Some(name) = wanted.filter(|name| !name.is_empty()) {
            return match is_taken(&name) {
                true => Err(DisplayError::DisplayNameTaken { name }),
                false => Ok(name),
            };
        }
        let kind = match role {
            DisplayRole::Customer | DisplayRole::Operator => "display",
            DisplayRole::Program => "program",
        };
        let names = (1..).map(|nth| format!("{kind} {nth}"));
        // There are fewer displays than numbers.
        Ok(names.into_iter().find(|name| !is_taken(name)).unwrap_or_default())
    }

    /// Lets the page that has a link's token in, for good. The same page may ask again for a minute and has the same answer.
    pub(super) fn join(&mut self, token: &Secret, page: &Secret, now: Timestamp) -> Option<Secret> {
        let digest = token.digest();
        let is_its = |member: &&mut Member| member.join.as_ref().is_some_and(|join| join.token == digest);
        let member = self.members.iter_mut().find(is_its)?;
        let join = member.join.as_mut()?;
        let may = match join.used {
            None => now < join.until,
            Some((by, until)) => by == page.digest() && now < until,
        };
        if !may {
            return None;
        }
        join.used.get_or_insert((page.digest(), now + RETRY));
        let cookie = Secret::derived("display", token, page);
        member.cookie = Some(cookie.digest());
        Some(cookie)
    }

    /// A page without a cookie asks to be a display.
    pub(super) fn ask(&mut self, page: &Secret, address: &str, now: Now) -> Answered {
        let digest = page.digest();
        self.asking.retain(|asking| now.at.since(asking.heard) < ASKS);
        if let Some(asking) = self.asking.iter_mut().find(|asking| asking.page == digest) {
            let Some(name) = &asking.allowed else {
                asking.heard = now.at;
                let letters = asking.letters.clone();
                return Answered::Wait {
                    letters,
                    is_new: false,
                };
            };
            let cookie = Secret::derived("letters", &asking.salt, page);
            let digest = Some(cookie.digest());
            let member = self.members.iter_mut().find(|member| member.name == *name);
            let before = member.map(|member| std::mem::replace(&mut member.cookie, digest));
            let is_new = before != Some(digest);
            return Answered::Allowed { cookie, is_new };
        }
        let of_it = self.asking.iter().filter(|asking| asking.address == address);
        if self.asking.len() >= ASKING || of_it.count() >= ASKING_OF_AN_ADDRESS {
            return Answered::TooMany;
        }
        let letters = self.free_letters();
        self.asking.push(Asking {
            page: digest,
            salt: Secret::random(),
            letters: letters.clone(),
            address: address.to_owned(),
            heard: now.at,
            allowed: None,
        });
        Answered::Wait {
            letters,
            is_new: true,
        }
    }

    fn free_letters(&self) -> String {
        loop {
            let letter = |random: u8| char::from(LETTERS[usize::from(random) % LETTERS.len()]);
            let letters: String = rand::random::<[u8; CODE]>().into_iter().map(letter).collect();
            if self.asking.iter().all(|asking| asking.letters != letters) {
                return letters;
            }
        }
    }

    /// Makes the page that shows these letters a display for customers. It fetches its cookie when it asks the next time.
    pub(super) fn allow(
        &mut self,
        letters: &str,
        name: Option<&str>,
        now: Moment,
    ) -> Result<String, DisplayError> {
        let letters = letters.trim().to_ascii_uppercase();
        let name = self.free_name(DisplayRole::Customer, name)?;
        let shows = |asking: &&mut Asking| {
            asking.letters == letters && asking.allowed.is_none() && now.since(asking.heard) < ASKS
        };
        let Some(asking) = self.asking.iter_mut().find(shows) else {
            return Err(DisplayError::NoSuchLetters { letters });
        };
        asking.allowed = Some(name.clone());
        self.members.push(Member {
            name: name.clone(),
            role: DisplayRole::Customer,
            sound: self.is_to_ring(DisplayRole::Customer),
            join: None,
            cookie: None,
            bearer: None,
        });
        Ok(name)
    }

    /// Ends a display: its link, its cookie and its token.
    pub(super) fn revoke(&mut self, name: &str) -> Result<(), DisplayError> {
        let before = self.members.len();
        self.members.retain(|member| member.name != name);
        self.asking
            .retain(|asking| asking.allowed.as_deref() != Some(name));
        if self.members.len() < before {
            return Ok(());
        }
        Err(DisplayError::NoSuchDisplay {
            name: name.to_owned(),
            names: self.members.iter().map(|member| member.name.clone()).collect(),
        })
    }

    /// Lets a display ring, or no longer. A program shows nothing, and is none. Returns whether it rang before.
    pub(super) fn sound(&mut self, name: &str, on: bool) -> Result<bool, DisplayError> {
        let is_display = |member: &&mut Member| member.role != DisplayRole::Program;
        let mut displays = self.members.iter_mut().filter(is_display);
        if let Some(member) = displays.find(|member| member.name == name) {
            return Ok(std::mem::replace(&mut member.sound, on));
        }
        let displays = self
            .members
            .iter()
            .filter(|member| member.role != DisplayRole::Program);
        Err(DisplayError::NoSuchDisplay {
            name: name.to_owned(),
            names: displays.map(|member| member.name.clone()).collect(),
        })
    }

    /// Whose link this token is of.
    pub(super) fn by_token(&self, token: &Secret) -> Option<Known> {
        self.find(token, |member| member.join.as_ref().map(|join| join.token))
    }

    /// Whose cookie this is.
    pub(super) fn by_cookie(&self, secret: &Secret) -> Option<Known> {
        self.find(secret, |member| member.cookie)
    }

    /// Whose bearer token this is.
    pub(super) fn by_bearer(&self, secret: &Secret) -> Option<Known> {
        self.find(secret, |member| member.bearer)
    }

    /// Digests are compared: how long that takes says nothing of the secret.
    fn find(&self, secret: &Secret, kept: impl Fn(&Member) -> Option<Digest>) -> Option<Known> {
        let digest = secret.digest();
        let member = self.members.iter().find(|member| kept(member) == Some(digest))?;
        Some(Known {
            name: member.name.clone(),
            role: member.role,
            sound: member.sound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            at: Moment::after_start(Duration::from_secs(seconds)),
            wall: wall(seconds),
        }
    }

    fn wall(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A display with a link, and the link's token.
    fn with_link(roll: &mut Roll) -> Secret {
        let added = roll.add(DisplayRole::Customer, Some("counter"), wall(0)).unwrap();
        added.token.unwrap()
    }

    fn page(nth: u8) -> Secret {
        Secret::parse(&format!("{nth:02x}").repeat(32)).unwrap()
    }

    fn letters(answered: Answered) -> String {
        let Answered::Wait { letters, .. } = answered else {
            panic!("{answered:?}")
        };
        letters
    }

    #[test]
    fn a_link_lets_one_page_in_and_its_cookie_is_that_displays() {
        let mut roll = Roll::default();
        let token = with_link(&mut roll);
        let cookie = roll.join(&token, &page(1), wall(599)).unwrap();
        let known = roll.by_cookie(&cookie).unwrap();
        assert_eq!(
            (known.name.as_str(), known.role),
            ("counter", DisplayRole::Customer)
        );
        assert_eq!(roll.join(&token, &page(2), wall(599)), None);
        assert_eq!(roll.by_cookie(&token), None);
    }

    #[test]
    fn a_link_is_too_old_after_ten_minutes() {
        let mut roll = Roll::default();
        let token = with_link(&mut roll);
        assert_eq!(roll.join(&token, &page(1), wall(600)), None);
    }

    #[test]
    fn the_same_page_may_join_again_for_a_minute_and_has_the_same_cookie() {
        let mut roll = Roll::default();
        let token = with_link(&mut roll);
        let first = roll.join(&token, &page(1), wall(0)).unwrap();
        assert_eq!(roll.join(&token, &page(1), wall(59)), Some(first));
        assert_eq!(roll.join(&token, &page(1), wall(60)), None);
    }

    #[test]
    fn a_page_shows_the_same_letters_until_somebody_allows_them() {
        let mut roll = Roll::default();
        let shown = letters(roll.ask(&page(1), "192.168.1.7", at(0)));
        assert_eq!(letters(roll.ask(&page(1), "192.168.1.7", at(2))), shown);
        assert_eq!(roll.asking(at(2).at), [(shown.clone(), "192.168.1.7".to_owned())]);
        let name = roll.allow(&shown.to_lowercase(), None, at(3).at).unwrap();
        let Answered::Allowed { cookie, is_new: true } = roll.ask(&page(1), "192.168.1.7", at(4)) else {
            panic!("not allowed")
        };
        assert_eq!(roll.by_cookie(&cookie).unwrap().name, name);
        assert_eq!(roll.asking(at(4).at), []);
        // Its answer may have been lost.
        let again = Answered::Allowed {
            cookie,
            is_new: false,
        };
        assert_eq!(roll.ask(&page(1), "192.168.1.7", at(5)), again);
        assert!(roll.allow(&shown, None, at(5).at).is_err());
    }

    #[test]
    fn letters_that_nobody_shows_any_more_cannot_be_allowed() {
        let mut roll = Roll::default();
        let shown = letters(roll.ask(&page(1), "192.168.1.7", at(0)));
        let refused = roll.allow(&shown, None, at(15).at).unwrap_err();
        assert_eq!(refused, DisplayError::NoSuchLetters { letters: shown });
        assert!(roll.members().is_empty());
    }

    #[test]
    fn one_address_cannot_take_all_the_places_of_those_who_ask() {
        let mut roll = Roll::default();
        for nth in 0..4 {
            letters(roll.ask(&page(nth), "192.168.1.7", at(0)));
        }
        assert_eq!(roll.ask(&page(9), "192.168.1.7", at(0)), Answered::TooMany);
        letters(roll.ask(&page(9), "192.168.1.8", at(0)));
        // Those that went away make room.
        letters(roll.ask(&page(10), "192.168.1.7", at(15)));
    }

    #[test]
    fn a_revoked_display_is_nobody() {
        let mut roll = Roll::default();
        let added = roll.add(DisplayRole::Operator, Some("office"), wall(0)).unwrap();
        let cookie = roll.join(&added.token.unwrap(), &page(1), wall(1)).unwrap();
        let bearer = added.bearer.unwrap();
        assert!(roll.by_cookie(&cookie).is_some() && roll.by_bearer(&bearer).is_some());
        roll.revoke("office").unwrap();
        assert!(roll.by_cookie(&cookie).is_none() && roll.by_bearer(&bearer).is_none());
        assert!(roll.revoke("office").is_err());
    }

    #[test]
    fn names_are_unique_and_given_where_none_is_wanted() {
        let mut roll = Roll::default();
        let mut added = |role, name| roll.add(role, name, wall(0)).map(|added| added.name);
        assert_eq!(added(DisplayRole::Customer, Some(" bar ")).unwrap(), "bar");
        assert!(added(DisplayRole::Program, Some("bar")).is_err());
        assert_eq!(added(DisplayRole::Customer, None).unwrap(), "display 1");
        assert_eq!(added(DisplayRole::Operator, Some(" ")).unwrap(), "display 2");
        assert_eq!(added(DisplayRole::Program, None).unwrap(), "program 1");
    }

    fn rings(roll: &Roll) -> Vec<&str> {
        let members = roll.members().iter().filter(|member| member.sound);
        members.map(|member| member.name.as_str()).collect()
    }

    #[test]
    fn the_first_display_for_customers_rings_and_no_other_does() {
        let mut roll = Roll::default();
        roll.add(DisplayRole::Operator, Some("office"), wall(0)).unwrap();
        roll.add(DisplayRole::Program, Some("till"), wall(0)).unwrap();
        let shown = letters(roll.ask(&page(1), "192.168.1.7", at(0)));
        roll.allow(&shown, Some("window"), at(1).at).unwrap();
        roll.add(DisplayRole::Customer, Some("counter"), wall(2)).unwrap();
        assert_eq!(rings(&roll), ["window"]);
        roll.revoke("window").unwrap();
        roll.add(DisplayRole::Customer, Some("bar"), wall(3)).unwrap();
        assert_eq!(rings(&roll), ["bar"]);
    }

    #[test]
    fn any_display_rings_that_is_told_to_and_a_program_cannot() {
        let mut roll = Roll::default();
        roll.add(DisplayRole::Customer, Some("counter"), wall(0)).unwrap();
        roll.add(DisplayRole::Operator, Some("office"), wall(0)).unwrap();
        roll.add(DisplayRole::Program, Some("till"), wall(0)).unwrap();
        assert_eq!(roll.sound("office", true), Ok(false));
        assert_eq!(roll.sound("counter", false), Ok(true));
        assert_eq!(rings(&roll), ["office"]);
        let refused = roll.sound("till", true).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "No display is called “till”. There are: counter, office."
        );
    }

    #[test]
    fn displays_that_were_stored_before_there_was_sound_are_silent() {
        let stored = r#"[{"name":"counter","role":"customer","join":null,"cookie":null,"bearer":null}]"#;
        let roll = Roll::of(serde_json::from_str(stored).unwrap());
        assert_eq!(rings(&roll), [""; 0]);
    }

    #[test]
    fn a_customers_display_has_no_token_and_a_program_no_link() {
        let mut roll = Roll::default();
        let has = |added: Added| (added.token.is_some(), added.bearer.is_some());
        let mut add = |role| has(roll.add(role, None, wall(0)).unwrap());
        assert_eq!(add(DisplayRole::Customer), (true, false));
        assert_eq!(add(DisplayRole::Operator), (true, true));
        assert_eq!(add(DisplayRole::Program), (false, true));
    }

    #[test]
    fn what_is_stored_holds_no_secret() {
        let mut roll = Roll::default();
        let added = roll.add(DisplayRole::Operator, None, wall(0)).unwrap();
        let (token, bearer) = (added.token.unwrap(), added.bearer.unwrap());
        let cookie = roll.join(&token, &page(1), wall(1)).unwrap();
        let stored = serde_json::to_string(roll.members()).unwrap();
        for secret in [token, bearer, cookie, page(1)] {
            assert!(!stored.contains(&secret.reveal()));
        }
    }
}
