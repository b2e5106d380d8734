//! internet-checksum behind tunproof's protocol. It is given inverted.

mod adapter;

use adapter::{bytes, get, int, member, serve, No};
use internet_checksum::Checksum;

fn main() -> std::io::Result<()> {
    let about = concat!(
        r#"{"protocol":1,"implementation":{"name":"internet-checksum","version":""#, env!("PEER_VERSION"), r#"",
        "language":"Rust","source":"https://fuchsia.googlesource.com/fuchsia/+/HEAD/src/connectivity/lib/internet-checksum",
        "issues":"https://issues.fuchsia.dev"},
        "ops":["checksum"],"modes":["memory"],"capabilities":[]}"#
    );
    serve(about, &mut |op, input, _came| match op {
        "checksum" => Ok(member("sum", sum(int(get(input, "initial")) as u16, &bytes(get(input, "data"))))),
        _ => Err(No::Unsupported),
    })
}

fn sum(initial: u16, data: &[u8]) -> u16 {
    let mut checksum = Checksum::new();
    checksum.add_bytes(&initial.to_be_bytes());
    checksum.add_bytes(data);
    !u16::from_be_bytes(checksum.checksum())
}
