//! Found in the network by a name.

use mdns_sd::{ServiceDaemon, ServiceEvent};
use tillbell_till::clock::SystemClock;
use tillbell_web::Web;
use tokio::task::spawn_blocking;

use crate::browser::Browser;
use crate::shop::{SOON, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_for_the_whole_network_is_found_by_its_name_and_one_for_this_machine_is_not() {
    let shop = Shop::open().await;
    let named = |browser: &Browser| {
        let browser = browser.clone();
        async move {
            browser
                .send("GET", "/", &[("Host", "tillbell.local:7878")], "")
                .await
                .status
        }
    };
    assert_eq!(
        (shop.web.name(), named(&Browser::new(shop.address())).await),
        (None, 421)
    );

    let clock = std::sync::Arc::new(SystemClock::default());
    let web = Web::open(shop.engine.clone(), clock, "0.0.0.0:0".parse().unwrap()).unwrap();
    let port = web.address().port();
    assert_eq!(web.name(), Some("tillbell.local"));
    let here = Browser::new(([127, 0, 0, 1], port).into());
    assert_eq!(named(&here).await, 200);
    let found = spawn_blocking(move || {
        let daemon = ServiceDaemon::new().unwrap();
        let events = daemon.browse("_http._tcp.local.").unwrap();
        loop {
            if let ServiceEvent::ServiceResolved(service) = events.recv_timeout(SOON).unwrap()
                && service.port == port
            {
                return service.host;
            }
        }
    });
    assert_eq!(found.await.unwrap(), "tillbell.local.");
}
