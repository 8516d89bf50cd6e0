//! The paths of the server, and what each answers per version.

use std::{io::Write as _, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Path as Part, Query, Request, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse as _, Response},
    routing::{any, get},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use crate::{
    bolt11,
    faults::{RestFault, UpgradeFault},
    invoice::{Entry, NewInvoice},
    ledger::{Key, Page, Sort, Status, Wallet},
    line::Scissors,
    requests::Path,
    server::Server,
    socket,
    version::{Told, Version},
};

/// No page has more rows than this.
const MOST_ROWS: usize = 1000;
/// Answers of so many bytes are packed for who can unpack them.
const LEAST_PACKED: usize = 1000;
const PORTAL: &str = "<!doctype html><title>Welcome to Guest WiFi</title><p>Please accept our terms.";

type Shared = State<Arc<Server>>;

pub(crate) fn router(server: &Arc<Server>) -> Router {
    let mut routes = Router::new();
    if server.version() == Version::Documented {
        routes = routes.route("/api/v1/ws/{channel}", any(connect));
    } else {
        routes = routes
            .route("/api/v1/ws/{channel}", get(connect).post(say_in_query))
            .route("/api/v1/ws/{channel}/{data}", get(say_in_path))
            .route("/api/v1/health", get(health))
            .route("/openapi.json", get(openapi))
            .route("/api/v1/wallet", get(wallet))
            .route("/api/v1/payments", get(list).post(create))
            .route("/api/v1/payments/paginated", get(paginated))
            .route("/api/v1/payments/{hash}", get(payment))
            .route("/api/v1/rate/{currency}", get(rate));
    }
    let prefix = server.options.prefix.as_str();
    let routes = if prefix.is_empty() {
        routes
    } else {
        Router::new().nest(prefix, routes)
    };
    routes
        .fallback(|| async { detail(StatusCode::NOT_FOUND, "Not Found") })
        .layer(middleware::from_fn_with_state(server.clone(), gate))
        .with_state(server.clone())
}

/// Counts every request, lets faults have their way with it, and dates the answer.
async fn gate(State(server): Shared, request: Request, next: Next) -> Response {
    let concrete = request.uri().path().to_owned();
    let own = concrete.strip_prefix(&server.options.prefix).unwrap_or_default();
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let path = Path::of(request.method().as_str(), own, upgrade);
    let limit = server.faults.rate_limit();
    let mut response = if !server
        .requests
        .count(path, &concrete, limit.map(|(most, _)| most))
    {
        too_many(limit.and_then(|(_, retry_after)| retry_after))
    } else if path == Path::Socket {
        match server.faults.upgrade() {
            Some(fault) => refuse_upgrade(fault).await,
            None => next.run(request).await,
        }
    } else {
        match server.faults.rest(path) {
            Some(fault) => spoil(fault, next.run(request)).await,
            None => packed(request, next).await,
        }
    };
    let date = server.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// The right answer, packed as LNbits does it.
async fn packed(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT_ENCODING);
    let wanted = accepted.is_some_and(|accepted| accepted.to_str().is_ok_and(|list| list.contains("gzip")));
    let response = next.run(request).await;
    if !wanted {
        return response;
    }
    let (mut head, body) = whole(response).await;
    if body.len() < LEAST_PACKED {
        return Response::from_parts(head, Body::from(body));
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    // Into a vector nothing fails.
    let written = packed.write_all(&body).and_then(|()| packed.finish());
    head.headers
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, Body::from(written.unwrap_or_default()))
}

fn too_many(retry_after: Option<u32>) -> Response {
    let mut response = detail(StatusCode::TOO_MANY_REQUESTS, "Too many requests.");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

async fn refuse_upgrade(fault: UpgradeFault) -> Response {
    match fault {
        UpgradeFault::Hang => std::future::pending().await,
        UpgradeFault::Status(code) => status(code).into_response(),
        UpgradeFault::Redirect(to) => redirect(&to),
        UpgradeFault::Html => Html(PORTAL).into_response(),
    }
}

async fn spoil(fault: RestFault, answer: impl Future<Output = Response>) -> Response {
    match fault {
        RestFault::Hang => std::future::pending().await,
        RestFault::Status(429, retry_after) => too_many(retry_after),
        RestFault::Status(code, retry_after) => {
            let mut response = detail(status(code), "Something went wrong.");
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        RestFault::Says(code, what) => detail(status(code), &what),
        RestFault::Redirect(to) => redirect(&to),
        RestFault::Page(code, name, value) => (status(code), [(name, value)], Html(PORTAL)).into_response(),
        RestFault::Html => Html(PORTAL).into_response(),
        RestFault::Body(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        RestFault::Drip(size, pause) => {
            let (head, body) = whole(answer.await).await;
            let pieces: Vec<Bytes> = body.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
            let drops = stream::unfold(pieces.into_iter(), move |mut pieces| async move {
                let piece = pieces.next()?;
                tokio::time::sleep(pause).await;
                Some((Ok::<_, std::io::Error>(piece), pieces))
            });
            Response::from_parts(head, Body::from_stream(drops))
        }
        RestFault::Cut => cut(whole(answer.await).await),
        RestFault::CutBeyond(most) => match whole(answer.await).await {
            (head, body) if body.len() <= most => Response::from_parts(head, Body::from(body)),
            longer => cut(longer),
        },
        RestFault::Huge(bytes) => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            let pieces = stream::unfold(bytes, move |left| {
                let piece = chunk.slice(..left.min(chunk.len()));
                async move {
                    let left = left - piece.len();
                    (!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), left))
                }
            });
            (
                [(header::CONTENT_TYPE, "application/json")],
                Body::from_stream(pieces),
            )
                .into_response()
        }
    }
}

async fn whole(response: Response) -> (axum::http::response::Parts, Bytes) {
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    (
        head,
        axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default(),
    )
}

fn cut((mut head, body): (axum::http::response::Parts, Bytes)) -> Response {
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    let sent = stream::once(async move { Ok(half) });
    let cut = stream::once(async {
        // What was written goes out before the connection breaks.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(head, Body::from_stream(sent.chain(cut)))
}

fn redirect(to: &str) -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to.to_owned())]).into_response()
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// LNbits' way to say what is wrong.
fn detail(status: StatusCode, what: &str) -> Response {
    (status, axum::Json(json!({"detail": what}))).into_response()
}

/// What 0.12 does with a question it does not understand: 500, and the connection is gone.
fn broken() -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        [(header::CONNECTION, "close")],
        "Internal Server Error",
    )
        .into_response()
}

async fn connect(
    State(server): Shared,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    Part(channel): Part<String>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return detail(StatusCode::NOT_FOUND, "Not Found");
    };
    // Seated before the client knows that it is connected, so that it misses nothing.
    let seat = server.channels.join(&channel);
    let (faults, ping_every) = (server.faults.clone(), server.options.ping_every);
    drop(server);
    upgrade.on_upgrade(move |socket| socket::serve(socket, seat, scissors, faults, ping_every))
}

async fn say_in_query(
    State(server): Shared,
    Part(channel): Part<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    match find(&query, "data") {
        Some(data) => say(&server, &channel, data),
        None => detail(StatusCode::UNPROCESSABLE_ENTITY, "field required"),
    }
}

async fn say_in_path(State(server): Shared, Part((channel, data)): Part<(String, String)>) -> Response {
    say(&server, &channel, &data)
}

/// Anyone may say anything on a real server. Here, what could be taken for a payment is for tests only.
fn say(server: &Server, channel: &str, data: &str) -> Response {
    let sent = cfg!(feature = "faults") || !data.trim_start().starts_with(['{', '[']);
    if sent {
        server.say(channel, data);
    }
    axum::Json(json!({"sent": sent, "data": data})).into_response()
}

async fn health(State(server): Shared) -> Response {
    let up = server.now().as_second() - server.started.as_second();
    let up_time = format!("{:02}:{:02}:{:02}", up / 3600, up / 60 % 60, up % 60);
    axum::Json(json!({"server_time": server.now().as_second(), "up_time": up_time})).into_response()
}

async fn openapi(State(server): Shared) -> Response {
    let info = json!({"title": "LNbits API", "version": server.version().number()});
    axum::Json(json!({"openapi": "3.1.0", "info": info, "paths": {}})).into_response()
}

async fn wallet(State(server): Shared, headers: HeaderMap, query: Query<Vec<(String, String)>>) -> Response {
    let (wallet, key) = match unlock(&server, &headers, &query) {
        Ok(unlocked) => unlocked,
        Err(refusal) => return *refusal,
    };
    let mut answer = json!({"name": wallet.name, "balance": server.ledger().balance_msat(&wallet.id)});
    if key == Key::Admin {
        answer["id"] = json!(wallet.id);
    }
    axum::Json(answer).into_response()
}

async fn rate(State(server): Shared, Part(currency): Part<String>) -> Response {
    let rate = server.rate(&currency);
    match (server.version(), rate) {
        (Version::V0_12, rate) => {
            axum::Json(json!({"rate": rate.unwrap_or(0.010_000_000_001)})).into_response()
        }
        (Version::V1_6, rate) => {
            let rate = rate.unwrap_or(0.0);
            let price = if rate > 0.0 { 100_000_000.0 / rate } else { 0.0 };
            axum::Json(json!({"rate": rate, "price": price})).into_response()
        }
        (Version::Documented | Version::V1_0 | Version::V1_2, Some(rate)) => {
            axum::Json(json!({"rate": rate, "price": 100_000_000.0 / rate})).into_response()
        }
        (Version::Documented | Version::V1_0 | Version::V1_2, None) => {
            detail(StatusCode::BAD_REQUEST, "Could not fetch any Bitcoin price.")
        }
    }
}

/// `GET /payments/{hash}`, with all its traps: it needs no key, and tells anyone that anything is paid.
async fn payment(State(server): Shared, Part(hash): Part<String>, headers: HeaderMap) -> Response {
    // Here the key is taken from the header only, and a wrong one is as good as none.
    let key = headers.get("x-api-key").and_then(|key| key.to_str().ok());
    let wallet = key.and_then(|key| server.ledger().unlock(key).map(|(wallet, _)| wallet.clone()));
    let wallet_id = wallet.as_ref().map(|wallet| wallet.id.as_str());
    let version = server.version();
    let (lag, unknown) = (server.lag(), || {
        detail(StatusCode::NOT_FOUND, "Payment does not exist.")
    });
    let asked = server
        .ledger()
        .standalone(&hash, wallet_id)
        .map(|row| row.payment.amount_msat > 0);
    match asked {
        None => return unknown(),
        Some(true) => server.expire_if_asked(&hash),
        Some(false) => {}
    }
    let ledger = server.ledger();
    let Some(row) = ledger.standalone(&hash, wallet_id) else {
        return unknown();
    };
    let Some((status, updated)) = row.seen(lag) else {
        return unknown();
    };
    let mut answer = match status {
        Status::Success => json!({"paid": true, "preimage": version.preimage(&row.payment)}),
        Status::Failed => json!({"paid": false, "status": "failed"}),
        Status::Pending => json!({"paid": false, "preimage": null}),
    };
    if wallet.is_some() {
        if status == Status::Pending {
            answer["status"] = json!("pending");
        }
        answer["details"] = version.payment(&row.payment, status, updated, Told::Stored);
    }
    axum::Json(answer).into_response()
}

async fn list(State(server): Shared, headers: HeaderMap, query: Query<Vec<(String, String)>>) -> Response {
    let newest = Page {
        sort: Some(Sort::Created),
        descending: true,
        ..Page::default()
    };
    match page(&server, &headers, &query, newest) {
        Ok((rows, _)) => axum::Json(rows).into_response(),
        Err(refusal) => *refusal,
    }
}

async fn paginated(
    State(server): Shared,
    headers: HeaderMap,
    query: Query<Vec<(String, String)>>,
) -> Response {
    match page(&server, &headers, &query, Page::default()) {
        Ok((rows, total)) => axum::Json(json!({"data": rows, "total": total})).into_response(),
        Err(refusal) => *refusal,
    }
}

type Refusal = Box<Response>;

fn page(
    server: &Server,
    headers: &HeaderMap,
    query: &[(String, String)],
    asked: Page,
) -> Result<(Vec<Value>, usize), Refusal> {
    let (wallet, _) = unlock(server, headers, query)?;
    let version = server.version();
    let asked = read_page(version, query, asked)?;
    let lag = server.lag();
    let answer = {
        let ledger = server.ledger();
        let (rows, total) = ledger.page(&wallet.id, &asked, lag);
        let rows = rows
            .into_iter()
            .map(|(row, status, updated)| version.payment(row, status, updated, Told::Stored));
        (rows.collect(), total)
    };
    let arriving = server.faults.inserts_while_paging();
    server.insert(&wallet.id, (0..arriving).map(|_| Entry::default()));
    Ok(answer)
}

/// Reads a list's query as this version understands it.
fn read_page(version: Version, query: &[(String, String)], mut page: Page) -> Result<Page, Refusal> {
    let invalid = |what: &str| Box::new(detail(StatusCode::BAD_REQUEST, what));
    for (name, value) in query {
        let name = name.strip_suffix("[eq]").unwrap_or(name);
        match name {
            "limit" | "offset" => {
                let Ok(number) = value.parse::<usize>() else {
                    return Err(Box::new(detail(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "value is not a valid integer",
                    )));
                };
                if name == "limit" {
                    page.limit = Some(number).filter(|number| *number > 0);
                } else {
                    page.offset = number;
                }
            }
            "direction" => page.descending = value == "desc",
            "sortby" => page.sort = Some(read_sort(version, value)?),
            "payment_hash" | "checking_id" if version == Version::V0_12 => return Err(Box::new(broken())),
            "amount[gt]" => page.above_msat = value.parse().ok(),
            "payment_hash" => page.payment_hash = Some(value.clone()),
            "checking_id" => page.checking_id = Some(value.clone()),
            // 0.12 does not know this one, and does as if nothing had been said.
            "status" if version == Version::V0_12 => {}
            "status" if ["pending", "success", "failed"].contains(&value.as_str()) => {
                page.status = Some(value.clone());
            }
            "status" => {
                return Err(invalid(
                    "1 validation error for PaymentFilters\nstatus\n  value is not valid",
                ));
            }
            _ => {}
        }
    }
    page.limit = page.limit.map(|limit| limit.min(MOST_ROWS));
    Ok(page)
}

fn read_sort(version: Version, by: &str) -> Result<Sort, Refusal> {
    match (by, version) {
        ("time" | "created_at", _) => Ok(Sort::Created),
        ("amount", _) => Ok(Sort::Amount),
        ("updated_at", Version::V1_6) => Ok(Sort::Updated),
        (_, Version::V0_12) => Err(Box::new(broken())),
        (_, Version::Documented | Version::V1_0 | Version::V1_2 | Version::V1_6) => Err(Box::new(detail(
            StatusCode::BAD_REQUEST,
            "1 validation error for Filters\n__root__\n  Invalid sort field (type=value_error)",
        ))),
    }
}

/// `POST /payments`: makes an invoice, or with the admin key pays one.
async fn create(
    State(server): Shared,
    headers: HeaderMap,
    query: Query<Vec<(String, String)>>,
    body: Bytes,
) -> Response {
    let (wallet, key) = match unlock(&server, &headers, &query) {
        Ok(unlocked) => unlocked,
        Err(refusal) => return *refusal,
    };
    let Ok(Value::Object(data)) = serde_json::from_slice::<Value>(&body) else {
        return detail(StatusCode::UNPROCESSABLE_ENTITY, "value is not a valid dict");
    };
    if data.get("out").and_then(Value::as_bool).unwrap_or(true) {
        pay(&server, &wallet, key, &data)
    } else {
        make_invoice(&server, &wallet, &data)
    }
}

fn pay(server: &Server, wallet: &Wallet, key: Key, data: &Map<String, Value>) -> Response {
    if key == Key::Invoice {
        return detail(StatusCode::UNAUTHORIZED, "Invoice (or Admin) key required.");
    }
    let bolt11 = data.get("bolt11").and_then(Value::as_str).unwrap_or_default();
    let Some(hash) = bolt11::payment_hash(bolt11) else {
        return detail(StatusCode::BAD_REQUEST, "BOLT11 string is invalid or not given");
    };
    let Some(paid) = server.pay_between(&wallet.id, &hash) else {
        return detail(status(520), "Internal invoice already paid.");
    };
    let answer = match server.version() {
        Version::V0_12 => json!({"payment_hash": hash, "checking_id": hash}),
        version @ (Version::Documented | Version::V1_0 | Version::V1_2 | Version::V1_6) => {
            version.payment(&paid, paid.status, paid.updated, Told::Fresh)
        }
    };
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

fn make_invoice(server: &Server, wallet: &Wallet, data: &Map<String, Value>) -> Response {
    let amount = data.get("amount").and_then(Value::as_f64).unwrap_or(0.0);
    if amount <= 0.0 {
        return detail(status(520), "Amountless invoices not supported.");
    }
    let unit = data.get("unit").and_then(Value::as_str).unwrap_or("sat");
    let rate = if unit == "sat" {
        Some(1.0)
    } else {
        server.rate(unit)
    };
    let Some(rate) = rate else {
        return detail(StatusCode::BAD_REQUEST, "Could not get exchange rate");
    };
    let mut extra = data
        .get("extra")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if unit != "sat" {
        extra.insert("fiat_currency".to_owned(), json!(unit));
        extra.insert("fiat_amount".to_owned(), json!(amount));
        extra.insert("fiat_rate".to_owned(), json!(rate));
    }
    let seconds = data.get("expiry").and_then(Value::as_u64).unwrap_or(3600);
    let invoice = server.make_invoice(
        &wallet.id,
        NewInvoice {
            amount_msat: (amount * rate).round() as u64 * 1000,
            memo: data.get("memo").and_then(Value::as_str).map(str::to_owned),
            expiry: std::time::Duration::from_secs(seconds),
            extra,
            ..NewInvoice::default()
        },
    );
    let version = server.version();
    let answer = match version {
        Version::V0_12 => json!({
            "payment_hash": invoice.payment_hash,
            "payment_request": invoice.bolt11,
            "checking_id": invoice.checking_id,
            "lnurl_response": null,
        }),
        Version::Documented | Version::V1_0 | Version::V1_2 | Version::V1_6 => {
            let ledger = server.ledger();
            ledger.incoming(&invoice.payment_hash).map_or(Value::Null, |row| {
                version.payment(&row.payment, row.payment.status, row.payment.updated, Told::Fresh)
            })
        }
    };
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

/// The wallet that the request's key opens. The key may come in the header or in the query.
fn unlock(
    server: &Server,
    headers: &HeaderMap,
    query: &[(String, String)],
) -> Result<(Wallet, Key), Refusal> {
    let key = headers
        .get("x-api-key")
        .and_then(|key| key.to_str().ok())
        .or_else(|| find(query, "api-key"));
    let Some(key) = key else {
        return Err(Box::new(detail(StatusCode::UNAUTHORIZED, "No Api Key provided.")));
    };
    match server.ledger().unlock(key) {
        Some((wallet, key)) => Ok((wallet.clone(), key)),
        None => Err(Box::new(detail(StatusCode::NOT_FOUND, "Wallet not found."))),
    }
}

fn find<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.as_str())
}
