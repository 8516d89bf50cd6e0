//! Pairing, step by step: understand the text, reach the server, try key and socket, remember what was there.
//!
//! Nothing is stored here. What was paired before stays untouched until every step has succeeded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::link::{Channel, Link, SocketState};
use tillbell_lnbits::pairing::{Credential, PairingError};
use tillbell_lnbits::rest::{Answer, Dialect, Filter, Page, PageQuery, RestError};
use tillbell_lnbits::{Direction, InvoiceKey, Pairing, PaymentRow, Rest, Server, Status, Text, WalletId};

use crate::baseline::{Awaited, Baseline, LAST_MINUTE};
use crate::pages::{FIRST_PAGE, FULL_PAGE, Length, NextPage, Pages};
use crate::paired::Listen;
use crate::view::{PairingForm, PairingPreview, PairingProgress, PairingStep, StepState};

/// The socket may take this long.
const SOCKET: Duration = Duration::from_secs(15);
/// Our own word must come back on the channel within this.
const ECHO: Duration = Duration::from_secs(3);
/// Rows and answers may be stamped by clocks that differ by this much: LNbits' own within a request, and a proxy's
/// from it. What had settled in that time is remembered by its ids.
const CLOCK_SLACK: SignedDuration = LAST_MINUTE;

/// A pairing that works, not yet stored.
#[derive(Debug)]
pub struct Enrolled {
    /// The server.
    pub server: Server,
    /// The key, where there is one.
    pub key: Option<InvoiceKey>,
    /// What is listened to.
    pub listen: Listen,
    /// The wallet's id, if any payment told it.
    pub wallet: Option<WalletId>,
    /// The shop's name.
    pub name: String,
    /// The line between history and news.
    pub baseline: Option<Baseline>,
}

/// Why a pairing failed; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The text.
    #[error(transparent)]
    Text(#[from] PairingError),
    /// The key is still missing.
    #[error("Paste the wallet's invoice key too: in LNbits, open the wallet and look under API info.")]
    KeyMissing,
    /// The admin key.
    #[error(
        "This is the wallet's admin key, which can spend. A display needs no key that can spend: use the invoice key."
    )]
    AdminKey,
    /// A wallet id where the key is wanted.
    #[error(
        "This LNbits wants the invoice key, not the wallet id: in LNbits, open the wallet and look under API info."
    )]
    WalletIdOnLnbits,
    /// The server answered, but is no LNbits.
    #[error(
        "{host} answers, but not as an LNbits does. Check the address, and that no login page stands in between."
    )]
    NotLnbits {
        /// The host's name.
        host: String,
    },
    /// A question had no usable answer.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The list changed too fast for a baseline.
    #[error(
        "The wallet's list of payments changes faster than it can be read: try again in a quieter minute."
    )]
    Torn,
    /// The socket could not be opened.
    #[error("The wallet answers, but its live channel does not open. {0}")]
    Socket(String),
}

/// Why a baseline could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// A question had no usable answer.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// Pages of the list did not overlap, however often they were read: an invoice may have slipped between them. May
    /// pass.
    #[error("The wallet's list of payments changes faster than it can be read.")]
    Torn,
}

impl From<BaselineError> for EnrolError {
    fn from(error: BaselineError) -> Self {
        match error {
            BaselineError::Rest(error) => Self::Rest(error),
            BaselineError::Torn => Self::Torn,
        }
    }
}

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Text,
    Server,
    Key,
    Socket,
    Echo,
    Baseline,
}

impl Stage {
    const ALL: [Self; 6] = [
        Self::Text,
        Self::Server,
        Self::Key,
        Self::Socket,
        Self::Echo,
        Self::Baseline,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Text => "Understand the text",
            Self::Server => "Reach the server",
            Self::Key => "Try the key",
            Self::Socket => "Open the live channel",
            Self::Echo => "Hear ourselves on it",
            Self::Baseline => "Remember what was there",
        }
    }
}

/// Tells how far a pairing is.
struct Steps<'a> {
    progress: PairingProgress,
    tell: &'a mut (dyn FnMut(&PairingProgress) + Send),
}

impl<'a> Steps<'a> {
    fn new(tell: &'a mut (dyn FnMut(&PairingProgress) + Send)) -> Self {
        let step = |stage: Stage| PairingStep {
            label: stage.label().to_owned(),
            state: StepState::Waiting,
            detail: None,
        };
        Self {
            progress: PairingProgress {
                steps: Stage::ALL.map(step).to_vec(),
                outcome: None,
            },
            tell,
        }
    }

    fn set(&mut self, stage: Stage, state: StepState, detail: Option<String>) {
        if let Some(step) = self.progress.steps.get_mut(stage as usize) {
            step.state = state;
            step.detail = detail;
        }
        (self.tell)(&self.progress);
    }

    fn begin(&mut self, stage: Stage) {
        self.set(stage, StepState::Running, None);
    }

    fn done(&mut self, stage: Stage, detail: impl Into<Option<String>>) {
        self.set(stage, StepState::Done, detail.into());
    }

    /// Marks the running step as failed.
    fn fail(&mut self) {
        if let Some(step) = self
            .progress
            .steps
            .iter_mut()
            .find(|step| step.state == StepState::Running)
        {
            step.state = StepState::Failed;
        }
        (self.tell)(&self.progress);
    }
}

/// Says what was understood of a text, without dialling anybody. Holds no key.
///
/// # Errors
/// Says what to paste instead.
pub fn preview(text: &str) -> Result<PairingPreview, PairingError> {
    let pairing: Pairing = text.parse()?;
    let mut remarks = Vec::new();
    if pairing.dropped_password {
        remarks.push(
            "This address holds a password (usr=). It was dropped: a display does not need it.".to_owned(),
        );
    }
    if pairing.is_insecure() {
        remarks.push("Others on the way could read this connection: it is not encrypted.".to_owned());
    }
    Ok(PairingPreview {
        server: pairing.server.as_str().to_owned(),
        kind: pairing.describe().to_owned(),
        name: pairing.name.as_ref().map(ToString::to_string),
        needs_key: matches!(pairing.credential, Credential::Missing),
        insecure: pairing.is_insecure(),
        remarks,
    })
}

/// Reads a form into a pairing: the key field completes a text that has none.
///
/// # Errors
/// Says what to paste instead.
pub fn read_form(form: &PairingForm) -> Result<Pairing, EnrolError> {
    let mut pairing: Pairing = form.pairing.parse()?;
    let typed = form
        .invoice_key
        .as_deref()
        .map(str::trim)
        .filter(|key| !key.is_empty());
    if let Some(key) = typed {
        pairing.complete(key)?;
    }
    if let Some(name) = form
        .name
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        pairing.name = Some(Text::clean_to(name, Text::MAX_NAME));
    }
    pairing.allow(form.allow_insecure)?;
    Ok(pairing)
}

/// Tries a pairing from end to end. `tell` hears each step as it goes.
///
/// # Errors
/// Says what to do; the step that failed is marked in the progress.
pub async fn enrol(
    pairing: Pairing,
    dialer: &Dialer,
    tell: &mut (dyn FnMut(&PairingProgress) + Send),
) -> Result<Enrolled, EnrolError> {
    let mut steps = Steps::new(tell);
    let result = try_all(pairing, dialer, &mut steps).await;
    if result.is_err() {
        steps.fail();
    }
    result
}

async fn try_all(pairing: Pairing, dialer: &Dialer, steps: &mut Steps<'_>) -> Result<Enrolled, EnrolError> {
    steps.begin(Stage::Text);
    steps.done(Stage::Text, pairing.describe().to_owned());

    steps.begin(Stage::Server);
    let anonymous = Rest::new(dialer.clone(), pairing.server.clone(), None);
    let nothing_to_ask = anonymous.offers_nothing_to_ask().await?;
    let version = if nothing_to_ask {
        None
    } else {
        anonymous.version().await.ok().and_then(|answer| answer.value)
    };
    let dialect = version.as_ref().map_or(Dialect::V1, |version| version.dialect);
    steps.done(
        Stage::Server,
        match &version {
            Some(version) => format!("LNbits {}", version.text),
            None if nothing_to_ask => "it answers, but offers nothing to ask".to_owned(),
            None => pairing.server.host().to_owned(),
        },
    );

    steps.begin(Stage::Key);
    let (listen, key, wallet_name) = match (&pairing.credential, nothing_to_ask) {
        (Credential::Missing, _) => return Err(EnrolError::KeyMissing),
        (Credential::WalletId(id) | Credential::KeyOrWalletId(_, id), true) => {
            (Listen::WalletId(id.clone()), None, None)
        }
        (Credential::WalletId(_), false) => return Err(EnrolError::WalletIdOnLnbits),
        (Credential::Key(_), true) => {
            return Err(EnrolError::NotLnbits {
                host: pairing.server.host().to_owned(),
            });
        }
        (Credential::Key(key), false) => (
            Listen::Key,
            Some(key.clone()),
            Some(try_key(dialer, &pairing, key).await?),
        ),
        (Credential::KeyOrWalletId(key, _), false) => match try_key(dialer, &pairing, key).await {
            Ok(name) => (Listen::Key, Some(key.clone()), Some(name)),
            Err(EnrolError::Rest(RestError::KeyRefused)) => return Err(EnrolError::WalletIdOnLnbits),
            Err(error) => return Err(error),
        },
    };
    steps.done(
        Stage::Key,
        match &wallet_name {
            Some(name) => format!("wallet “{name}”"),
            None => "payments will be shown as not confirmed by the wallet".to_owned(),
        },
    );

    steps.begin(Stage::Socket);
    let channel = match (&listen, &key) {
        (Listen::WalletId(id), _) => Channel::WalletId(id.clone()),
        (Listen::Key, Some(key)) => Channel::Key(key.clone()),
        (Listen::Key, None) => return Err(EnrolError::KeyMissing),
    };
    let mut link = Link::start(dialer.clone(), &pairing.server, &channel);
    open(&mut link).await?;
    steps.done(Stage::Socket, None);

    steps.begin(Stage::Echo);
    let rest = Rest::new(dialer.clone(), pairing.server.clone(), key.clone());
    let heard = match &key {
        Some(_) => Some(hear_ourselves(&link, &rest, &channel).await),
        None => None,
    };
    steps.done(
        Stage::Echo,
        match heard {
            Some(true) => None,
            Some(false) => {
                Some("nothing came back: the wallet will be asked every few seconds as well".to_owned())
            }
            None => Some("this server has no way to try".to_owned()),
        },
    );

    steps.begin(Stage::Baseline);
    let (baseline, wallet) = match &key {
        Some(_) => {
            let (baseline, wallet) = take_baseline(&rest, dialect).await?;
            (Some(baseline), wallet)
        }
        None => (None, None),
    };
    let waiting = baseline
        .as_ref()
        .and_then(|baseline| baseline.pending.as_ref())
        .map_or(0, |pending| pending.len());
    steps.done(
        Stage::Baseline,
        match (&baseline, waiting) {
            (None, _) => "nothing can be asked".to_owned(),
            (Some(_), 1) => "one invoice is waiting".to_owned(),
            (Some(_), n) => format!("{n} invoices are waiting"),
        },
    );

    let name = pairing
        .name
        .as_ref()
        .map(ToString::to_string)
        .or(wallet_name)
        .filter(|name| !name.is_empty());
    Ok(Enrolled {
        name: name.unwrap_or_else(|| pairing.server.host().to_owned()),
        server: pairing.server,
        key,
        listen,
        wallet,
        baseline,
    })
}

/// Asks for the wallet with the key; returns the wallet's name.
async fn try_key(dialer: &Dialer, pairing: &Pairing, key: &InvoiceKey) -> Result<String, EnrolError> {
    let rest = Rest::new(dialer.clone(), pairing.server.clone(), Some(key.clone()));
    let info = rest.wallet().await?.value;
    match info.id {
        // Only an admin key is told the id.
        Some(_) => Err(EnrolError::AdminKey),
        None => Ok(info.name.to_string()),
    }
}

/// Waits until the socket is open or has failed once.
async fn open(link: &mut Link) -> Result<(), EnrolError> {
    let opened = tokio::time::timeout(
        SOCKET,
        link.state
            .wait_for(|state| !matches!(state, SocketState::Dialling)),
    )
    .await;
    match opened.as_ref().map(|state| state.as_deref()) {
        Ok(Ok(SocketState::Open { .. })) => Ok(()),
        Ok(Ok(SocketState::Waiting { why, .. })) => Err(EnrolError::Socket(why.to_string())),
        Ok(Ok(SocketState::Dialling) | Err(_)) | Err(_) => Err(EnrolError::Socket(
            "It did not answer within 15 seconds.".to_owned(),
        )),
    }
}

/// Puts a word on our own channel, as anybody could, and listens for it: true when it came back.
pub async fn hear_ourselves(link: &Link, rest: &Rest, channel: &Channel) -> bool {
    let before = link.meter.frames();
    let asked = rest.say(channel, "tillbell listens").await;
    if asked.is_err() {
        return false;
    }
    let heard = async {
        while link.meter.frames() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ECHO, heard).await.is_ok()
}

/// Takes the line between history and news: first what is pending, then what has settled around now.
///
/// The order matters. An invoice that settles between the two questions is in the first answer, so it is news;
/// one that had settled before is in neither or among the settled, so it is old.
///
/// Pages that are too long for the line are asked for shorter, down to fifty rows: to find that length takes up to a
/// minute, and reading is slower after it.
///
/// # Errors
/// When a question has no answer, and [`BaselineError::Torn`] when the list changed too fast to be read whole.
pub async fn take_baseline(
    rest: &Rest,
    dialect: Dialect,
) -> Result<(Baseline, Option<WalletId>), BaselineError> {
    baseline_from(dialect, |query| rest.page(query)).await
}

/// The same, asking in this way.
async fn baseline_from<F>(
    dialect: Dialect,
    ask: impl FnMut(PageQuery) -> F,
) -> Result<(Baseline, Option<WalletId>), BaselineError>
where
    F: Future<Output = Result<Answer<Page>, RestError>>,
{
    let mut reader = Reader {
        ask,
        full_page: FULL_PAGE,
        server_time: None,
        wallet: None,
    };
    let pending = match dialect {
        Dialect::V0_12 => None,
        Dialect::V1 => {
            // Whatever was seen pending once is news: after a reading from the top, too.
            let mut pending = BTreeMap::new();
            let mut take = |page: &Page, _| {
                let rows = page
                    .rows
                    .iter()
                    .filter(|row| row.direction == Direction::Incoming);
                let open = rows.filter(|row| row.status == Status::Pending);
                pending.extend(open.map(|row| (row.checking_id.clone(), Awaited::of(row, false))));
                false
            };
            reader.read(Filter::Pending, FULL_PAGE, &mut take).await?;
            Some(pending)
        }
    };
    let mut settled_lately = BTreeSet::new();
    // Whoever pays one of these while the pages are read pays after the baseline.
    let mut seen_open = BTreeSet::new();
    let mut taken = None;
    let mut take = |page: &Page, server_time: Option<Timestamp>| {
        let newest = page.rows.iter().map(|row| row.created).max();
        // Without a clock of the server's, its newest row stands for one.
        let now = *taken.get_or_insert_with(|| server_time.or(newest).unwrap_or(Timestamp::UNIX_EPOCH));
        let bottom = now.saturating_sub(LAST_MINUTE).unwrap_or(Timestamp::MIN);
        let incoming = |row: &&PaymentRow| row.direction == Direction::Incoming && row.created >= bottom;
        for row in page.rows.iter().filter(incoming) {
            match row.status {
                Status::Settled if !seen_open.contains(&row.checking_id) => {
                    settled_lately.insert(row.checking_id.clone());
                }
                Status::Pending => {
                    seen_open.insert(row.checking_id.clone());
                }
                Status::Settled | Status::Failed => {}
            }
        }
        page.rows.iter().any(|row| row.created < bottom)
    };
    reader.read(Filter::All, FIRST_PAGE, &mut take).await?;
    let taken = taken.unwrap_or(Timestamp::UNIX_EPOCH);
    let taken = taken.saturating_sub(CLOCK_SLACK).unwrap_or(taken);
    Ok((
        Baseline {
            taken,
            settled_lately,
            pending,
        },
        reader.wallet,
    ))
}

/// Reads lists, with what their pages tell beside their rows.
struct Reader<A> {
    ask: A,
    /// Rows of a full page: fewer after a page that was too long.
    full_page: u32,
    /// The server's time at its first answer.
    server_time: Option<Timestamp>,
    wallet: Option<WalletId>,
}

impl<A, F> Reader<A>
where
    A: FnMut(PageQuery) -> F,
    F: Future<Output = Result<Answer<Page>, RestError>>,
{
    /// Reads a list from the top to its end, or until `take` has seen enough. It may be shown a row again and again.
    async fn read(
        &mut self,
        filter: Filter,
        first_page: u32,
        take: &mut (dyn FnMut(&Page, Option<Timestamp>) -> bool + Send),
    ) -> Result<(), BaselineError> {
        let mut pages = Pages::from_top(first_page.min(self.full_page), self.full_page);
        loop {
            let answer = match (self.ask)(pages.query(filter)).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.full_page = pages.shorter(Length::of(&error)).ok_or(error)?;
                    pages.shorten(self.full_page);
                    continue;
                }
            };
            let page = answer.value;
            self.server_time = self.server_time.or(answer.server_time);
            if self.wallet.is_none() {
                self.wallet = page.rows.first().map(|row| row.wallet_id.clone());
            }
            let enough = take(&page, self.server_time);
            let next = pages.turn(&page);
            if pages.torn {
                return Err(BaselineError::Torn);
            }
            match (enough, next) {
                (_, NextPage::ReadAnew) | (false, NextPage::Read) => {}
                (true, NextPage::Read) | (_, NextPage::End) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::tests::{Change, List};

    /// What a future comes to that waits for nothing.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits for something else than its answers"),
        }
    }

    /// Takes the baseline of a list that answers like this, at the time of its newest row; says how many rows each
    /// question was for.
    fn take(
        dialect: Dialect,
        list: &mut List,
        mut answer: impl FnMut(&mut List, &PageQuery) -> Result<Page, RestError>,
    ) -> (Result<Baseline, BaselineError>, Vec<u32>) {
        let server_time = list.0.front().map(|row| row.created);
        let mut asked = Vec::new();
        let taken = at_once(baseline_from(dialect, |query| {
            asked.push(query.limit);
            std::future::ready(answer(list, &query).map(|value| Answer { value, server_time }))
        }));
        (taken.map(|(baseline, _)| baseline), asked)
    }

    /// So many invoices wait above as many that were paid.
    fn half_paid(count: usize) -> List {
        let mut list = List::default();
        (0..count).for_each(|_| list.add(1, Status::Settled));
        (0..count).for_each(|_| list.add(1, Status::Pending));
        list
    }

    /// What of the list waits, and is it news when it is paid?
    fn assert_all_that_waits_is_news(list: &List, baseline: &Baseline) {
        let waits: Vec<_> = list
            .0
            .iter()
            .filter(|row| row.status == Status::Pending)
            .collect();
        let missed = waits.iter().filter(|row| !baseline.is_news(row)).count();
        assert_eq!(missed, 0, "of {} that wait", waits.len());
    }

    #[test]
    fn a_baseline_whose_pages_are_too_long_for_the_line_is_read_in_shorter_ones() {
        for error in [RestError::TooLarge, RestError::TimedOut, RestError::Cut] {
            let mut list = half_paid(300);
            let (taken, asked) = take(Dialect::V1, &mut list, |list, query| {
                if query.limit > 125 {
                    Err(error.clone())
                } else {
                    Ok(list.page(query))
                }
            });
            let baseline = taken.unwrap();
            assert_all_that_waits_is_news(&list, &baseline);
            assert_eq!(baseline.pending.unwrap().len(), 300, "{error}");
            assert_eq!(asked, [1_000, 500, 250, 125, 125, 125, 50, 125], "{error}");
        }
    }

    #[test]
    fn a_line_on_which_not_even_fifty_rows_come_gives_no_baseline() {
        let (taken, asked) = take(Dialect::V1, &mut half_paid(300), |_, _| Err(RestError::TimedOut));
        assert_eq!(taken, Err(BaselineError::Rest(RestError::TimedOut)));
        assert_eq!(asked, [1_000, 500, 250, 125, 62, 50]);
    }

    #[test]
    fn a_refusal_that_has_nothing_to_do_with_length_is_not_asked_about_again() {
        let (taken, asked) = take(Dialect::V1, &mut half_paid(1), |_, _| Err(RestError::KeyRefused));
        assert_eq!(taken, Err(BaselineError::Rest(RestError::KeyRefused)));
        assert_eq!(asked, [1_000]);
    }

    #[test]
    fn rows_that_leave_while_the_baselines_pages_are_read_hide_no_pending_invoice() {
        let mut list = half_paid(1_500);
        let mut leave = [40].into_iter();
        let (taken, _) = take(Dialect::V1, &mut list, |list, query| {
            let page = list.page(query);
            list.change(leave.next().unwrap_or(0), Status::Settled);
            Ok(page)
        });
        assert_all_that_waits_is_news(&list, &taken.unwrap());
    }

    #[test]
    fn an_invoice_that_is_paid_while_the_settled_ones_are_read_is_news() {
        let mut list = List::default();
        (0..70).for_each(|n| list.add(0, if n == 27 { Status::Pending } else { Status::Settled }));
        let (taken, asked) = take(Dialect::V0_12, &mut list, |list, query| {
            let page = list.page(query);
            list.change(1, Status::Settled);
            Ok(page)
        });
        let baseline = taken.unwrap();
        let news = list.0.iter().filter(|row| baseline.is_news(row)).count();
        assert_eq!((news, asked), (1, vec![50, 200]));
    }

    #[test]
    fn rows_that_leave_while_the_settled_ones_are_read_let_nothing_old_ring() {
        let mut list = List::default();
        list.add(0, Status::Settled);
        (0..30).for_each(|n| list.add(if n == 0 { 3_600 } else { 0 }, Status::Settled));
        (0..50).for_each(|_| list.add(0, Status::Pending));
        let mut fail = [40].into_iter();
        let (taken, asked) = take(Dialect::V0_12, &mut list, |list, query| {
            let page = list.page(query);
            list.change(fail.next().unwrap_or(0), Status::Failed);
            Ok(page)
        });
        let baseline = taken.unwrap();
        let mut settled = list.0.iter().filter(|row| row.status == Status::Settled);
        assert!(!settled.any(|row| baseline.is_news(row)));
        assert_eq!(asked, [50, 200, 1_000]);
    }

    #[test]
    fn a_list_whose_pending_rows_leave_again_and_again_gives_no_baseline() {
        let mut list = half_paid(1_500);
        let (taken, asked) = take(Dialect::V1, &mut list, |list, query| {
            let page = list.page(query);
            list.change(40, Status::Settled);
            Ok(page)
        });
        assert_eq!(taken, Err(BaselineError::Torn));
        assert_eq!(asked.len(), 8, "it is bounded");
        let said = EnrolError::from(BaselineError::Torn).to_string();
        assert!(said.contains("try again"), "{said}");
    }

    /// A row that is missed among the settled ones would ring although it is old.
    #[test]
    fn a_list_whose_newest_rows_fail_again_and_again_gives_no_baseline() {
        for dialect in [Dialect::V0_12, Dialect::V1] {
            let mut list = List::default();
            (0..3_000).for_each(|_| list.add(0, Status::Settled));
            (0..900).for_each(|_| list.add(0, Status::Pending));
            let (taken, _) = take(dialect, &mut list, |list, query| {
                let page = list.page(query);
                if query.filter == Filter::All {
                    list.change(40, Status::Failed);
                }
                Ok(page)
            });
            assert_eq!(taken, Err(BaselineError::Torn), "{dialect:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_a_list_changes_while_it_is_read_its_baseline_is_right_or_there_is_none(
            rows in prop::collection::vec((0_i64..20, prop::bool::weighted(0.4)), 1..2_500),
            changes in prop::collection::vec(Change::any(), 0..8),
            longest in 50_u32..1_200,
        ) {
            let mut list = List::default();
            for (seconds, paid) in rows {
                list.add(seconds, if paid { Status::Settled } else { Status::Pending });
            }
            let settled = |list: &List| -> Vec<_> {
                list.0.iter().filter(|row| row.status == Status::Settled).cloned().collect()
            };
            let before = settled(&list);
            let mut changes = changes.into_iter();
            let (taken, _) = take(Dialect::V1, &mut list, |list, query| {
                let page = (query.limit <= longest).then(|| list.page(query));
                if let Some(change) = changes.next() {
                    change.happen(list);
                }
                page.ok_or(RestError::TimedOut)
            });
            match taken {
                Err(error) => prop_assert_eq!(error, BaselineError::Torn),
                Ok(baseline) => {
                    for row in before {
                        prop_assert!(!baseline.is_news(&row), "what had settled is old");
                    }
                    assert_all_that_waits_is_news(&list, &baseline);
                }
            }
        }
    }
}
