//! etherparse's checksum behind tunproof's protocol. It is given inverted, in the order of bytes in memory.

mod adapter;

use adapter::{bytes, get, int, member, serve, No};
use etherparse::checksum::Sum16BitWords;

fn main() -> std::io::Result<()> {
    let about = concat!(
        r#"{"protocol":1,"implementation":{"name":"etherparse","version":""#, env!("PEER_VERSION"), r#"",
        "language":"Rust","source":"https://github.com/JulianSchmid/etherparse",
        "issues":"https://github.com/JulianSchmid/etherparse/issues"},
        "ops":["checksum"],"modes":["memory"],"capabilities":[]}"#
    );
    serve(about, &mut |op, input, _came| match op {
        "checksum" => Ok(member("sum", sum(int(get(input, "initial")) as u16, &bytes(get(input, "data"))))),
        _ => Err(No::Unsupported),
    })
}

fn sum(initial: u16, data: &[u8]) -> u16 {
    let words = Sum16BitWords::new().add_2bytes(initial.to_be_bytes()).add_slice(data);
    !words.ones_complement().to_be()
}
