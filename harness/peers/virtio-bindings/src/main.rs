//! virtio-bindings behind tunproof's protocol.
//!
//! It has types and no code: bytes become a header when they are taken for one. That is safe for as many bytes as the
//! type has, which its users check, and so does the adapter.

mod adapter;

use adapter::{bytes, get, hex, int, maybe, member, serve, text, No};
use std::{mem, ptr, slice};
use virtio_bindings::virtio_net::{virtio_net_hdr, virtio_net_hdr_mrg_rxbuf};

const FIELDS: [&str; 7] =
    ["flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers"];

fn main() -> std::io::Result<()> {
    let about = concat!(
        r#"{"protocol":2,"implementation":{"name":"virtio-bindings","version":""#, env!("PEER_VERSION"), r#"",
        "language":"Rust","source":"https://github.com/rust-vmm/vm-virtio",
        "issues":"https://github.com/rust-vmm/vm-virtio/issues"},
        "ops":["header"],"modes":["memory"],"capabilities":["header.parse","header.emit","header.12"],
        "claims":{"headerSizes":[10,12]}}"#
    );
    serve(about, &mut |op, input, _came| if op == "header" { sized(input) } else { Err(No::Unsupported) })
}

fn sized(input: &str) -> Result<String, No> {
    match (int(get(input, "size")), text(get(input, "byte_order"))) {
        (10, "little") => header(input, |hdr: &virtio_net_hdr| virtio_net_hdr_mrg_rxbuf { hdr: *hdr, num_buffers: 0 }),
        (12, "little") => header(input, |hdr: &virtio_net_hdr_mrg_rxbuf| *hdr),
        _ => Err(No::Unsupported),
    }
}

/// Parses or builds a header of type `T`, of which `long` gives the longer kind.
fn header<T>(input: &str, long: impl Fn(&T) -> virtio_net_hdr_mrg_rxbuf) -> Result<String, No> {
    if let Some(fields) = maybe(input, "fields") {
        let [flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers] =
            FIELDS.map(|name| maybe(fields, name).map_or(0, int) as u16);
        let (flags, gso_type) = (flags as u8, gso_type as u8);
        let hdr = virtio_net_hdr { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset };
        let built = virtio_net_hdr_mrg_rxbuf { hdr, num_buffers };
        let data = unsafe { slice::from_raw_parts(ptr::from_ref(&built).cast(), mem::size_of::<T>()) };
        return Ok(member("bytes", hex(data)));
    }
    let data = bytes(get(input, "bytes"));
    if data.len() < mem::size_of::<T>() {
        return Err(No::Rejected(format!("no header in {} bytes", data.len())));
    }
    let virtio_net_hdr_mrg_rxbuf { hdr: h, num_buffers } = long(&unsafe { ptr::read_unaligned(data.as_ptr().cast()) });
    let values =
        [h.flags.into(), h.gso_type.into(), h.hdr_len, h.gso_size, h.csum_start, h.csum_offset, num_buffers];
    let count = if mem::size_of::<T>() == 10 { 6 } else { 7 };
    let fields = FIELDS.iter().zip(values).take(count).map(|(name, value)| member(name, value)).collect::<String>();
    Ok(member("fields", format!("{{{}}}", &fields[1..]))) // without the first comma
}
