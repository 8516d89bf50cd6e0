//! What clients asked, counted.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many requests are remembered one by one; older ones are only counted.
const REMEMBERED: usize = 50_000;
const MINUTE: Duration = Duration::from_secs(60);

/// The paths of the server, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// `GET /api/v1/health`.
    Health,
    /// `GET /openapi.json`.
    OpenApi,
    /// `GET /api/v1/wallet`.
    Wallet,
    /// `GET /api/v1/payments/{hash}`.
    Payment,
    /// `GET /api/v1/payments`.
    List,
    /// `GET /api/v1/payments/paginated`.
    Paginated,
    /// `POST /api/v1/payments`.
    Pay,
    /// `GET /api/v1/rate/{currency}`.
    Rate,
    /// A WebSocket upgrade at `/api/v1/ws/{channel}`.
    Socket,
    /// Saying something on a channel over HTTP.
    Say,
    /// Anything else.
    Other,
}

impl Path {
    /// What a request is for, by its method and its path without the server's prefix.
    pub(crate) fn of(method: &str, path: &str, upgrade: bool) -> Path {
        match path {
            "/openapi.json" => return Path::OpenApi,
            "/api/v1/health" => return Path::Health,
            "/api/v1/wallet" => return Path::Wallet,
            "/api/v1/payments/paginated" => return Path::Paginated,
            "/api/v1/payments" if method == "POST" => return Path::Pay,
            "/api/v1/payments" => return Path::List,
            _ => {}
        }
        if path.starts_with("/api/v1/payments/") {
            Path::Payment
        } else if path.starts_with("/api/v1/rate/") {
            Path::Rate
        } else if let Some(channel) = path.strip_prefix("/api/v1/ws/") {
            if upgrade {
                Path::Socket
            } else if method == "POST" || channel.contains('/') {
                Path::Say
            } else {
                Path::Other
            }
        } else {
            Path::Other
        }
    }
}

/// A snapshot of what was asked since the server started or the counters were reset.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    counts: BTreeMap<Path, u64>,
    log: VecDeque<(Instant, Path, String)>,
}

impl Requests {
    /// How many requests there were for one path.
    pub fn count(&self, path: Path) -> u64 {
        self.counts.get(&path).copied().unwrap_or(0)
    }

    /// How many requests there were in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// When the last one came.
    pub fn last(&self) -> Option<Instant> {
        self.log.back().map(|(at, ..)| *at)
    }

    /// The most requests within any 60 s for one concrete path (every payment hash is a path of its own), among the
    /// last 50,000 requests; what a real server's rate limit counts.
    pub fn busiest_minute(&self) -> Option<(String, usize)> {
        let mut times: HashMap<&str, VecDeque<Instant>> = HashMap::new();
        let mut busiest: HashMap<&str, usize> = HashMap::new();
        for (at, _, path) in &self.log {
            let window = times.entry(path).or_default();
            window.push_back(*at);
            while window
                .front()
                .is_some_and(|first| at.duration_since(*first) >= MINUTE)
            {
                window.pop_front();
            }
            let most = busiest.entry(path).or_default();
            *most = (*most).max(window.len());
        }
        busiest
            .into_iter()
            .max_by_key(|(_, most)| *most)
            .map(|(path, most)| (path.to_owned(), most))
    }

    /// The concrete paths of the last 50,000 requests, oldest first.
    pub fn paths(&self) -> impl Iterator<Item = (Path, &str)> {
        self.log
            .iter()
            .map(|(_, path, concrete)| (*path, concrete.as_str()))
    }
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Requests>);

impl Counters {
    /// Counts a request and says whether it is within the limit: fewer than so many for this very path within the
    /// last minute, this one included.
    pub(crate) fn count(&self, path: Path, concrete: &str, limit: Option<usize>) -> bool {
        let now = Instant::now();
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.counts.entry(path).or_default() += 1;
        if requests.log.len() == REMEMBERED {
            requests.log.pop_front();
        }
        requests.log.push_back((now, path, concrete.to_owned()));
        limit.is_none_or(|limit| {
            let recent = requests
                .log
                .iter()
                .rev()
                .take_while(|(at, ..)| now.duration_since(*at) < MINUTE);
            recent.filter(|(_, _, other)| other == concrete).count() < limit
        })
    }

    pub(crate) fn snapshot(&self) -> Requests {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Requests::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let get = |path| Path::of("GET", path, false);
        assert_eq!(get("/api/v1/payments"), Path::List);
        assert_eq!(get("/api/v1/payments/paginated"), Path::Paginated);
        assert_eq!(get("/api/v1/payments/ab"), Path::Payment);
        assert_eq!(get("/api/v1/ws/shop/hello"), Path::Say);
        assert_eq!(get("/api/v1/ws/shop"), Path::Other);
        assert_eq!(Path::of("GET", "/api/v1/ws/shop", true), Path::Socket);
        assert_eq!(Path::of("POST", "/api/v1/payments", false), Path::Pay);
    }

    #[test]
    fn the_limit_counts_per_path() {
        let counters = Counters::default();
        for _ in 0..199 {
            assert!(counters.count(Path::Wallet, "/wallet", Some(200)));
        }
        assert!(!counters.count(Path::Wallet, "/wallet", Some(200)));
        assert!(counters.count(Path::Health, "/health", Some(200)));
        assert_eq!(
            counters.snapshot().busiest_minute(),
            Some(("/wallet".to_owned(), 200))
        );
        assert_eq!(counters.snapshot().total(), 201);
    }
}
