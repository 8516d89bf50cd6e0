//! What a shop has without Tillbell: a page with the documentation's own script, in a browser that fills the screen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// The calm page's colour, Tillbell's own.
pub(crate) const CALM: [u8; 3] = [0xf7, 0xf2, 0xe7];

/// The documentation's script, which also takes the frames that a present server sends, and stays as long as Tillbell.
const PAGE: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>Payments</title>
<body style="background: #f7f2e7">
<h1 id="status">Waiting for a payment</h1>
<script>
const status = document.getElementById('status');
const ws = new WebSocket('{socket}');
ws.onmessage = (event) => {
  const data = JSON.parse(event.data);
  if (data.type === 'payment' || data.payment) {
    document.body.style.background = '#34d67c';
    status.textContent = `Payment received: ${(data.payment ?? data).amount}`;
    setTimeout(() => {
      document.body.style.background = '#f7f2e7';
      status.textContent = 'Waiting for a payment';
    }, 2000);
  }
};
</script>
"##;

/// Serves the page that listens to `socket` for as long as this process lives, and answers with its address.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve(socket: &str) -> anyhow::Result<String> {
    let page = PAGE.replace("{socket}", socket);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for visitor in listener.incoming().flatten() {
            // A browser opens connections in advance and says nothing on them.
            let page = page.clone();
            std::thread::spawn(move || answer(visitor, &page));
        }
    });
    Ok(address)
}

fn answer(mut visitor: TcpStream, page: &str) -> std::io::Result<()> {
    let mut asked = BufReader::new(visitor.try_clone()?);
    let mut line = String::new();
    while asked.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(
        visitor,
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    )
}
