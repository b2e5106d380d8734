//! tun-rs behind tunproof's protocol.
//!
//! tun-rs opens its TUN by name, and has offloads only then. So in the modes that have no TUN it opens one all the same,
//! in a network namespace of its own, and `dup2` puts a socket in the place of the fd: from then on the device reads and
//! writes the socket. The TUN is gone with its fd. In mode memory the adapter holds the other end of that socket.

mod adapter;

use adapter::{bytes, get, hex, int, maybe, member, serve, text, Bytes, No};
use std::os::fd::{AsRawFd, RawFd};
use std::{io, process, ptr};
use tun_rs::{DeviceBuilder, GROTable, SyncDevice, VirtioNetHdr, IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN};

const LARGEST: usize = 65535;
const SOCKET_BUFFER: i32 = 256 << 20; // for all frames of a batch at once

struct Peer {
    device: SyncDevice,
    far: Option<RawFd>, // in mode memory: the other end of its socket
    table: Option<GROTable>, // None after a panic, which may leave it in any state
    original: Bytes,
    into: Vec<Bytes>,
    sizes: Vec<usize>,
    staged: Vec<Bytes>, // used again and again: what a call leaves in the headroom is there in the next
}

/// Ends the adapter, since what is missing is not tun-rs's fault: a panic would be charged to it.
fn broken(error: io::Error) -> ! {
    eprintln!("adapter: {error}");
    process::exit(1)
}

fn checked(result: i32) {
    if result < 0 { broken(io::Error::last_os_error()) }
}

fn rejected(error: io::Error) -> No { No::Rejected(error.to_string()) }

impl Peer {
    fn new(device: SyncDevice, far: Option<RawFd>) -> Peer {
        Peer {
            device,
            far,
            table: None,
            original: vec![0; VIRTIO_NET_HDR_LEN + LARGEST],
            into: vec![vec![0; LARGEST]; IDEAL_BATCH_SIZE],
            sizes: vec![0; IDEAL_BATCH_SIZE],
            staged: vec![],
        }
    }

    fn attached(mode: &str, fd: RawFd, name: &str) -> Peer {
        let device = if mode == "wire" { device_on(fd) } else { open(name) };
        Peer::new(device, None)
    }

    fn in_memory() -> Peer {
        let mut ends = [0; 2];
        let device = open_alone();
        unsafe {
            checked(libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()));
            let size = ptr::from_ref(&SOCKET_BUFFER).cast();
            checked(libc::setsockopt(ends[0], libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size, 4));
            checked(libc::dup2(ends[0], device.as_raw_fd()));
        }
        Peer::new(device, Some(ends[1]))
    }

    fn read(&mut self, frame: Option<Bytes>, came: &mut Vec<Bytes>) -> Result<String, No> {
        if let (Some(far), Some(frame)) = (self.far, frame) {
            checked(unsafe { libc::write(far, frame.as_ptr().cast(), frame.len()) } as i32);
        }
        let count = self.device.recv_multiple(&mut self.original, &mut self.into, &mut self.sizes, 0);
        let packets = self.into.iter().zip(&self.sizes).map(|(packet, size)| packet[..*size].to_vec());
        came.extend(packets.take(count.map_err(rejected)?));
        Ok(String::new())
    }

    fn write(&mut self, packets: &[Bytes], poison: Option<u8>, came: &mut Vec<Bytes>) -> Result<String, No> {
        let missing = packets.len().saturating_sub(self.staged.len());
        self.staged.extend((0..missing).map(|_| Vec::with_capacity(2 * VIRTIO_NET_HDR_LEN + LARGEST)));
        for (buffer, packet) in self.staged.iter_mut().zip(packets) {
            buffer.resize(VIRTIO_NET_HDR_LEN, 0);
            if let Some(byte) = poison { buffer.fill(byte) }
            buffer.extend_from_slice(packet);
        }
        let mut table = self.table.take().unwrap_or_default();
        let sent = self.device.send_multiple(&mut table, &mut self.staged[..packets.len()], VIRTIO_NET_HDR_LEN);
        self.table = Some(table);
        if let Some(far) = self.far { came.extend(std::iter::from_fn(|| taken(far))) }
        sent.map(|_| String::new()).map_err(rejected)
    }
}

/// Returns the next frame in a socket, or `None`.
fn taken(far: RawFd) -> Option<Bytes> {
    let mut frame = vec![0; 2 * LARGEST];
    let size = unsafe { libc::recv(far, frame.as_mut_ptr().cast(), frame.len(), libc::MSG_DONTWAIT) };
    frame.truncate(usize::try_from(size).ok()?);
    Some(frame)
}

fn open(name: &str) -> SyncDevice {
    let builder = DeviceBuilder::new().name(name).offload(true).inherit_enable_state();
    builder.build_sync().unwrap_or_else(|error| broken(error))
}

/// Returns a device in a network namespace that only this process is in.
fn open_alone() -> SyncDevice {
    let root = unsafe { libc::geteuid() } == 0;
    checked(unsafe { libc::unshare(libc::CLONE_NEWNET | if root { 0 } else { libc::CLONE_NEWUSER }) });
    open("alone")
}

/// Returns a device that reads and writes a socket.
fn device_on(fd: RawFd) -> SyncDevice {
    let device = open_alone();
    checked(unsafe { libc::dup2(fd, device.as_raw_fd()) });
    device
}

const FIELDS: [&str; 6] = ["flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset"];

fn header(input: &str) -> Result<String, No> {
    if int(get(input, "size")) != 10 || text(get(input, "byte_order")) != "little" { return Err(No::Unsupported) }
    if let Some(fields) = maybe(input, "fields") {
        let [flags, gso_type, hdr_len, gso_size, csum_start, csum_offset] =
            FIELDS.map(|name| int(get(fields, name)) as u16);
        let (flags, gso_type) = (flags as u8, gso_type as u8);
        let mut header = [0; VIRTIO_NET_HDR_LEN];
        let from = VirtioNetHdr { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset };
        return from.encode(&mut header).map(|()| member("bytes", hex(&header))).map_err(rejected);
    }
    let h = VirtioNetHdr::decode(&bytes(get(input, "bytes"))).map_err(rejected)?;
    let values = [h.flags.into(), h.gso_type.into(), h.hdr_len, h.gso_size, h.csum_start, h.csum_offset];
    let fields = FIELDS.iter().zip(values).map(|(name, value)| member(name, value)).collect::<String>();
    Ok(member("fields", format!("{{{}}}", &fields[1..]))) // without the first comma
}

fn main() -> io::Result<()> {
    let about = concat!(
        r#"{"protocol":2,"implementation":{"name":"tun-rs","version":""#, env!("PEER_VERSION"), r#"","language":"Rust",
        "source":"https://github.com/tun-rs/tun-rs","issues":"https://github.com/tun-rs/tun-rs/issues"},
        "ops":["checksum","header","read","write","write_batch"],"modes":["memory","wire","device-create"],
        "capabilities":["gso.tcp4","gso.tcp6","gso.udp4","gso.udp6","csum.partial","header.parse","header.emit"],
        "claims":{"trust":"kernel","limits":{"segments":128},"headerSizes":[10],
        "offloads":["CSUM","TSO4","TSO6","USO4","USO6"]}}"#
    );
    let mut peer = None;
    serve(about, &mut |op, input, came| {
        let poison = maybe(input, "poison").map(|byte| bytes(byte)[0]);
        if op == "attach" {
            let fd = maybe(input, "fd").map_or(-1, int) as RawFd;
            peer = Some(Peer::attached(text(get(input, "mode")), fd, maybe(input, "name").map_or("", text)));
            return Ok(String::new());
        }
        let peer = peer.get_or_insert_with(Peer::in_memory);
        match op {
            "checksum" => {
                let sum = tun_rs::checksum(&bytes(get(input, "data")), int(get(input, "initial")) as u64);
                Ok(member("sum", sum))
            }
            "header" => header(input),
            "read" => peer.read(maybe(input, "frame").map(bytes), came),
            "read_some" => peer.read(None, came),
            "write" => peer.write(&[bytes(get(input, "packet"))], poison, came),
            "write_batch" => peer.write(&adapter::each(get(input, "packets"), bytes), poison, came),
            _ => Err(No::Unsupported),
        }
    })
}
