//! smoltcp's checksum behind tunproof's protocol. It is not public, but an ICMP message has no pseudo-header: its checksum
//! is that of all of its bytes. Type and code are the initial sum, and the data follow the checksum.

mod adapter;

use adapter::{bytes, get, int, member, serve, No};
use smoltcp::wire::Icmpv4Packet;

fn main() -> std::io::Result<()> {
    let about = concat!(
        r#"{"protocol":1,"implementation":{"name":"smoltcp","version":""#, env!("PEER_VERSION"), r#"",
        "language":"Rust","source":"https://github.com/smoltcp-rs/smoltcp",
        "issues":"https://github.com/smoltcp-rs/smoltcp/issues"},
        "ops":["checksum"],"modes":["memory"],"capabilities":[]}"#
    );
    serve(about, &mut |op, input, _came| match op {
        "checksum" => Ok(member("sum", sum(int(get(input, "initial")) as u16, &bytes(get(input, "data"))))),
        _ => Err(No::Unsupported),
    })
}

fn sum(initial: u16, data: &[u8]) -> u16 {
    let mut message = Icmpv4Packet::new_unchecked([&initial.to_be_bytes(), &[0, 0], data].concat());
    message.fill_checksum();
    !message.checksum()
}
