//! An adapter for tunproof (Rust 1.82 or later). Copy this file, delete the part from "example begin"
//! to "example end", and call `serve` from your main: rustc -O adapter.rs && tunproof check -- ./adapter

use std::io::{self, BufRead, Write};
use std::{fmt::Display, fs::File, iter, os::fd::AsFd, panic, process};

pub type Bytes = Vec<u8>;
pub enum No {
    Rejected(String), // by your implementation, with an ordinary error; for any other trouble, panic
    Unsupported,
}

// Performs an op, taking what it needs from the input. Packets and frames that come out are pushed to the
// list, even if the input is rejected. Other results are returned, or an empty String if there is none.
//     checksum     data, initial                      member("sum", sum)
//     header       direction (parse or emit), size,   member("fields", "{...}") or
//                  byte_order, bytes or fields        member("bytes", hex(&header))
//     read         frame                              pushes packets
//     write        packet, poison (hex, or null)      pushes frames
//     write_gso    hdr, transport_hdr, pays (a list)  the same
//     write_batch  packets (a list), poison           the same
// In modes other than memory, frames go through a file descriptor: attach (mode, fd, name) comes before all
// others, and read_some replaces read until the runner's last packet is pushed. Writes then push nothing.
pub type Work<'a> = &'a mut dyn FnMut(&str, &str, &mut Vec<Bytes>) -> Result<String, No>;

fn die<T>(what: &str) -> T { // no reply is better than a wrong one
    eprintln!("adapter: not understood: {what}");
    process::exit(1)
}

// Reading JSON. A value is the text from its first character on. Strings that matter here have no escapes.

fn past(at: &str, wanted: char) -> &str {
    at.strip_prefix(wanted).unwrap_or_else(|| die("this is not JSON")).trim_ascii_start()
}
fn skip(mut at: &str) -> &str { // one value and the white space after it
    let mut depth = 0;
    loop {
        if at.is_empty() { die("half a line") }
        let word = at.find([' ', '\t', ',', ':', '{', '[', '}', ']', '"']).unwrap_or(at.len());
        let length = if at.starts_with('"') { text(at).len() + 2 } else { word.max(1) };
        depth += i32::from(at.starts_with(['{', '['])) - i32::from(at.starts_with(['}', ']']));
        at = at[length..].trim_ascii_start();
        if depth <= 0 { return at }
    }
}
fn next(value: &str) -> &str { // to the next item in an object or a list, or to its end
    let at = skip(value);
    if at.starts_with(['}', ']']) { at } else { past(at, ',') }
}
pub fn text(string: &str) -> &str {
    let inside = string.strip_prefix('"').unwrap_or_else(|| die("no string"));
    let escapes = |end: usize| inside[..end].bytes().rev().take_while(|byte| *byte == b'\\').count();
    let end = inside.match_indices('"').map(|(end, _)| end).find(|end| escapes(*end) % 2 == 0);
    &inside[..end.unwrap_or_else(|| die("half a string"))]
}
pub fn maybe<'a>(object: &'a str, key: &str) -> Option<&'a str> { // None: missing, or null
    let mut at = past(object, '{');
    while !at.starts_with('}') {
        let value = past(skip(at), ':');
        if text(at) == key { return Some(value).filter(|value| !value.starts_with("null")) }
        at = next(value);
    }
    None
}
pub fn get<'a>(object: &'a str, key: &str) -> &'a str { maybe(object, key).unwrap_or_else(|| die(key)) }
pub fn each<T>(list: &str, of: impl FnMut(&str) -> T) -> Vec<T> {
    let item = |at| Some(at).filter(|at: &&str| !at.starts_with(']'));
    iter::successors(item(past(list, '[')), |at| item(next(at))).map(of).collect()
}
pub fn int(value: &str) -> i64 {
    let end = value.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().unwrap_or_else(|_| die("no number"))
}
pub fn bytes(value: &str) -> Bytes {
    let hex = text(value);
    let byte = |at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).map(|at| byte(at).unwrap_or_else(|| die("no hex"))).collect()
}

// Writing JSON.

pub fn hex(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
pub fn member(key: &str, value: impl Display) -> String { format!(",\"{key}\":{value}") }
fn quoted(text: &str) -> String {
    let plain = |c: char| c >= ' ' && c != '"' && c != '\\';
    let escaped = |c| if plain(c) { String::from(c) } else { format!("\\u{:04x}", c as u32) };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

fn run(work: Work, asked: &str, sentinel: &Option<Bytes>) -> String {
    let (id, op, input) = (int(get(asked, "id")), text(get(asked, "op")), get(asked, "input"));
    let mut came = vec![];
    let done = panic::catch_unwind(panic::AssertUnwindSafe(|| match sentinel {
        Some(last) if op == "read" => {
            let mut first = Ok(String::new());
            while came.last() != Some(last) && !matches!(first, Err(No::Unsupported)) {
                first = first.and(work("read_some", input, &mut came)); // the first rejection counts
            }
            came.pop();
            first
        }
        _ => work(op, input, &mut came),
    }));
    let list = came.iter().map(|one| hex(one)).collect::<Vec<_>>().join(",");
    let came = match op {
        "read" => member("packets", format!("[{list}]")),
        "write" | "write_gso" | "write_batch" if sentinel.is_none() => member("frames", format!("[{list}]")),
        _ => String::new(),
    };
    let (status, more) = match done {
        Ok(Ok(result)) => ("ok", result + &came),
        Ok(Err(No::Unsupported)) => ("unsupported", member("what", quoted(op))),
        Ok(Err(No::Rejected(detail))) => ("rejected", member("detail", quoted(&detail)) + &came),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
            ("error", member("detail", quoted(text)))
        }
    };
    format!("{{\"id\":{id},\"status\":\"{status}\"{more}}}")
}

unsafe extern "C" { fn dup2(from: i32, to: i32) -> i32; }

/// Talks to tunproof until it says bye; `about` is the reply to hello. Anything printed goes to the log.
pub fn serve(about: &str, work: Work) -> io::Result<()> {
    let mut replies = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    unsafe { dup2(2, 1) };
    let mut sentinel = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let asked = line.trim_ascii();
        if !skip(asked).is_empty() { die("more than one value") }
        let reply = match text(get(asked, "cmd")) {
            "hello" => {
                if let Some(to) = maybe(asked, "attach") {
                    sentinel = Some(bytes(get(to, "sentinel")));
                    work("attach", to, &mut vec![]).unwrap_or_else(|_| die("attach"));
                }
                about.replace('\n', " ")
            }
            "run" => run(work, asked, &sentinel),
            "batch" => {
                let results = each(get(asked, "runs"), |one| run(work, one, &sentinel));
                format!("{{\"results\":[{}]}}", results.join(","))
            }
            "bye" => break,
            other => die(other),
        };
        replies.write_all((reply + "\n").as_bytes())?;
    }
    Ok(())
}

// example begin: it sums bytes, and parses and builds vnet headers
fn checksum(input: &str) -> Result<String, No> {
    let data = bytes(get(input, "data"));
    let words = data.chunks(2).map(|pair| i64::from(pair[0]) << 8 | i64::from(*pair.get(1).unwrap_or(&0)));
    let mut sum = int(get(input, "initial")) + words.sum::<i64>();
    while sum > 0xffff { sum = (sum >> 16) + (sum & 0xffff) }
    Ok(member("sum", sum))
}

const NAMES: [&str; 7] =
    ["flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers"];

fn header(input: &str) -> Result<String, No> {
    let (size, big) = (int(get(input, "size")) as usize, text(get(input, "byte_order")) == "big");
    let word = |value: u16| if big { value } else { value.swap_bytes() };
    if size != 10 && size != 12 { return Err(No::Rejected(format!("no header has {size} bytes"))) }
    if let Some(fields) = maybe(input, "fields") {
        let values = NAMES.map(|name| maybe(fields, name).map_or(0, int) as u16);
        let mut header = vec![values[0] as u8, values[1] as u8];
        header.extend(values[2..].iter().flat_map(|value| word(*value).to_be_bytes()));
        return Ok(member("bytes", hex(&header[..size])));
    }
    let header = bytes(get(input, "bytes"));
    if header.len() < size { return Err(No::Rejected(format!("no header in {} bytes", header.len()))) }
    let words = header[2..size].chunks(2).map(|pair| word(u16::from_be_bytes([pair[0], pair[1]])));
    let values = header[..2].iter().map(|byte| u16::from(*byte)).chain(words);
    let fields = NAMES.iter().zip(values).map(|(name, value)| member(name, value)).collect::<String>();
    Ok(member("fields", format!("{{{}}}", &fields[1..]))) // without the first comma
}

fn main() -> io::Result<()> {
    // What your code was written for; cases outside of it are not run.
    let claims = [
        r#""offloads":["CSUM","TSO4","TSO6","USO4","USO6"]"#, // what it asks TUNSETOFFLOAD for
        r#""trust":"kernel""#,       // whose frames it reads: its own kernel's, or "anyone"'s
        r#""validates":false"#,      // write_gso checks what is its caller's duty
        r#""limits":{}"#,            // what it documents: segments, packets, fragments, bytes
        r#""headerSizes":[10,12]"#,  // bytes of vnet header that its functions take
        r#""rejectsEmpty":false"#,   // an empty packet is an error
    ];
    let about = r#"{"protocol":2,"implementation":{"name":"example","version":"1","language":"Rust"},
        "ops":["checksum","header"],"modes":["memory"],
        "capabilities":["header.parse","header.emit","header.12","header.big-endian"],"claims":{"#;
    let about = format!("{about}{}}}}}", claims.join(","));
    serve(&about, &mut |op, input, _came| match op {
        "checksum" => checksum(input),
        "header" => header(input),
        _ => Err(No::Unsupported),
    })
}
// example end
