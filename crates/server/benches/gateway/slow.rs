//! The largest answer, and what clients cost that ask for it and read nothing.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::Options;
use crate::accept::sender;
use crate::numbers::resident_mib;
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::moment;

/// Clients that read nothing.
const READERS: u8 = 200;
/// Rows of the longest list.
const ROWS: usize = 100;
/// The longest text, in characters.
const TEXT_CHARS: usize = 65_536;
/// After this every answer is as far as it gets.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(3);

/// Fills the longest list with the longest texts and has it asked for.
pub async fn measure(_: Options) -> Vec<Table> {
    let mut simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let sender = sender(&gateway.operator(), &simulator, 0).await;
    simulator.process.kill().await;
    let account = gateway.operator().with_key(&sender.key);
    for _ in 0..ROWS {
        let text = "x".repeat(TEXT_CHARS);
        let body = json!({ "device": sender.device, "to": "628130000001", "text": text });
        account.post("/v1/messages", body).await;
    }
    let path = format!("/v1/messages?limit={ROWS}");
    let largest = account.get(&path).await.to_string().len();
    moment(SETTLE).await;
    let before = resident_mib(gateway.process.id());
    let mut readers = Vec::new();
    for n in 0..READERS {
        readers.push(ask(n, gateway.address(), &path, &sender.key).await);
    }
    moment(SETTLE).await;
    let grown = resident_mib(gateway.process.id()) - before;
    drop(readers);
    let mut table = Table::new("Slow readers", &["", "measured", "target"]);
    let largest = format!("{:.2} MiB", largest as f64 / 1_048_576.0);
    table.row([format!("a list of {ROWS} of the longest texts"), largest, "1 MiB".into()]);
    let readers = format!("memory that {READERS} clients take that ask for it and do not read");
    table.row([readers, format!("{grown:.0} MiB"), "64 MB".into()]);
    vec![table]
}

/// Asks and reads nothing. Each has an address of its own, as the limits of one do not count here.
async fn ask(n: u8, address: &str, path: &str, key: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind(([127, 0, 1, n + 1], 0).into()).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}
