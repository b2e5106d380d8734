//! pnet_packet's checksum behind tunproof's protocol. It is given inverted, and has no initial sum: that is a word of
//! the data.

mod adapter;

use adapter::{bytes, get, int, member, serve, No};
use pnet_packet::util::checksum;

fn main() -> std::io::Result<()> {
    let about = concat!(
        r#"{"protocol":1,"implementation":{"name":"pnet_packet","version":""#, env!("PEER_VERSION"), r#"",
        "language":"Rust","source":"https://github.com/libpnet/libpnet",
        "issues":"https://github.com/libpnet/libpnet/issues"},
        "ops":["checksum"],"modes":["memory"],"capabilities":[]}"#
    );
    serve(about, &mut |op, input, _came| match op {
        "checksum" => Ok(member("sum", sum(int(get(input, "initial")) as u16, &bytes(get(input, "data"))))),
        _ => Err(No::Unsupported),
    })
}

fn sum(initial: u16, data: &[u8]) -> u16 {
    let none = data.len(); // the word that it leaves out
    match initial {
        0 => !checksum(data, none),
        _ => !checksum(&[&initial.to_be_bytes(), data].concat(), none + 1),
    }
}
