//! An adapter for tunproof (Rust 1.82 or later). Copy this file, delete what is between "example begin" and
//! "example end", and call `serve` from your main: rustc -O adapter.rs && tunproof check -- ./adapter

use std::io::{self, BufRead, Write};
use std::{collections::HashMap, fs::File, iter::Peekable, os::fd::AsFd, panic, process, str::Chars};

pub type Bytes = Vec<u8>;
pub type Packets = Result<Vec<Bytes>, No>;
pub enum No {
    Rejected(String, Vec<Bytes>), // your implementation's ordinary refusal, and what came out all the same
    Unsupported,
}

/// Of a vnet header, numbers in the order of `NAMES`. What is not given is zero, and numbers need not fit.
pub struct Fields { pub numbers: [i64; 7], pub rest: Bytes }
const NAMES: [&str; 7] =
    ["flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers"];

/// Make what you have of this. A panic is reported as an error, and never taken for a refusal.
/// In modes other than memory, frames go through a file descriptor: `attach` is called before all others, and
/// `read_some` in place of `read` until the runner's last packet is out. What writes return is not used then.
#[allow(unused_variables)]
pub trait Implementation {
    fn checksum(&mut self, data: Bytes, initial: u16) -> Result<u16, No> { lack() }
    fn parse_header(&mut self, data: Bytes, size: usize, big: bool) -> Result<Fields, No> { lack() }
    fn emit_header(&mut self, fields: Fields, size: usize, big: bool) -> Result<Bytes, No> { lack() }
    fn read(&mut self, frame: Bytes) -> Packets { lack() }
    fn write(&mut self, packet: Bytes, poison: Option<u8>) -> Packets { lack() }
    fn write_gso(&mut self, hdr: Bytes, transport: Bytes, pays: Vec<Bytes>) -> Packets { lack() }
    fn write_batch(&mut self, packets: Vec<Bytes>, poison: Option<u8>) -> Packets { lack() }
    fn attach(&mut self, mode: &str, fd: Option<i32>, name: Option<&str>) {}
    fn read_some(&mut self) -> Packets { lack() }
}

fn lack<T>() -> Result<T, No> { Err(No::Unsupported) }
fn die<T>(what: &str) -> T { // no answer is better than a wrong one
    eprintln!("adapter: not understood: {what}");
    process::exit(1)
}

/// A line that is being read, and what it says: texts and numbers by their paths, such as ".input.pays.0".
struct Request<'a> { line: Peekable<Chars<'a>>, said: HashMap<String, String> }

impl Request<'_> {
    fn next(&mut self) -> char { self.line.next().unwrap_or_else(|| die("half a line")) }
    fn next_is(&mut self, wanted: char) -> bool {
        while self.line.next_if(char::is_ascii_whitespace).is_some() {}
        self.line.next_if_eq(&wanted).is_some()
    }
    fn value(&mut self, path: String) {
        let mut found = String::new();
        if let Some((open, close)) = [('{', '}'), ('[', ']')].into_iter().find(|pair| self.next_is(pair.0)) {
            let (mut index, mut more) = (0, !self.next_is(close));
            found.push(open); // which is neither hex nor a number
            while more {
                let key = if open == '{' { self.string() } else { index.to_string() };
                if open == '{' && !self.next_is(':') { die("no colon") }
                self.value(format!("{path}.{key}"));
                (index, more) = (index + 1, self.next_is(','));
                if !more && !self.next_is(close) { die("a list without an end") }
            }
        } else if self.line.peek() == Some(&'"') {
            found = self.string();
        } else {
            let part = |c: &char| c.is_alphanumeric() || "+-.".contains(*c);
            while let Some(c) = self.line.next_if(part) { found.push(c) }
            if found == "null" { return } // as if nothing was said
            if found.parse::<f64>().is_err() && found.parse::<bool>().is_err() { die("no JSON") }
        }
        self.said.insert(path, found);
    }
    fn string(&mut self) -> String {
        if !self.next_is('"') { die("no string") }
        let mut units = vec![]; // of UTF-16, as \u has them
        loop {
            let c = match self.next() {
                '"' => return String::from_utf16_lossy(&units),
                '\\' => self.next(),
                c => { units.extend_from_slice(c.encode_utf16(&mut [0; 2])); continue }
            };
            let digit = |c: char| c.to_digit(16).unwrap_or_else(|| die("no \\u")) as u16;
            units.push(match "bfnrt\"\\/".find(c) {
                Some(at) => b"\x08\x0c\n\r\t\"\\/"[at].into(),
                None if c == 'u' => (0..4).fold(0, |unit, _| unit << 4 | digit(self.next())),
                None => die("no such escape"),
            });
        }
    }
    fn text(&self, path: &str) -> &str { self.said.get(path).map_or_else(|| die(path), String::as_str) }
    fn maybe<T>(&self, path: &str, of: impl Fn(&str) -> T) -> Option<T> {
        self.said.get(path).map(|_| of(path))
    }
    fn int(&self, path: &str) -> i64 { self.text(path).parse::<f64>().unwrap_or_else(|_| die(path)) as i64 }
    fn bytes(&self, path: &str) -> Bytes {
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_else(|| die(path)) as u8;
        let byte = |pair: &[u8]| digit(pair[0]) << 4 | digit(*pair.get(1).unwrap_or(&b'-'));
        self.text(path).as_bytes().chunks(2).map(byte).collect()
    }
    fn each<T>(&self, path: &str, mut of: impl FnMut(&str) -> T) -> Vec<T> {
        if self.text(path) != "[" { die(path) }
        let paths = (0..).map(|index| format!("{path}.{index}"));
        paths.take_while(|path| self.said.contains_key(path)).map(|path| of(&path)).collect()
    }
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c >= ' ' && !"\"\\".contains(c);
    let escaped = |c| if plain(c) { c.into() } else { format!("\\u{:04x}", c as u32) };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}
fn hex(bytes: Bytes) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    format!("\"{}\"", digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect::<String>())
}
fn many(key: &str, list: Vec<Bytes>) -> String {
    format!("\"{key}\":[{}]", list.into_iter().map(hex).collect::<Vec<_>>().join(","))
}
unsafe extern "C" { fn dup2(from: i32, to: i32) -> i32; }

/// Talks to tunproof until it says bye; `about` answers hello. What is printed by anybody goes to the log.
pub fn serve(about: &str, it: &mut dyn Implementation) -> io::Result<()> {
    let mut replies = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    unsafe { dup2(2, 1) };
    let mut sentinel = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut asked = Request { line: line.chars().peekable(), said: HashMap::new() };
        asked.value(String::new());
        if asked.next_is('\0') || asked.line.peek().is_some() { die("more than a request") }
        let reply = match asked.text(".cmd") {
            "hello" => {
                if let Some(last) = asked.maybe(".attach.sentinel", |path| asked.bytes(path)) {
                    let fd = asked.maybe(".attach.fd", |path| asked.int(path) as i32);
                    let name = asked.maybe(".attach.name", |path| asked.text(path));
                    it.attach(asked.text(".attach.mode"), fd, name);
                    sentinel = Some(last);
                }
                about.replace('\n', " ")
            }
            "run" => run(it, &asked, "", &sentinel),
            "batch" => {
                let results = asked.each(".runs", |at| run(it, &asked, at, &sentinel));
                format!("{{\"results\":[{}]}}", results.join(","))
            }
            "bye" => break,
            other => die(other),
        };
        replies.write_all((reply + "\n").as_bytes())?;
    }
    Ok(())
}

fn run(it: &mut dyn Implementation, asked: &Request, at: &str, sentinel: &Option<Bytes>) -> String {
    let (id, op) = (asked.int(&format!("{at}.id")), asked.text(&format!("{at}.op")));
    let path = |key: &str| format!("{at}.input.{key}");
    let (bytes, int) = (|key| asked.bytes(&path(key)), |key| asked.int(&path(key)));
    let list = |key| asked.each(&path(key), |at| asked.bytes(at));
    let header = || (int("size") as usize, asked.text(&path("byte_order")) == "big");
    let poison = || asked.maybe(&path("poison"), |path| asked.bytes(path)[0]);
    let written = |frames| if sentinel.is_none() { many("frames", frames) } else { "\"frames\":null".into() };
    let work = panic::AssertUnwindSafe(|| match op {
        "checksum" => it.checksum(bytes("data"), int("initial") as u16).map(|sum| format!("\"sum\":{sum}")),
        "header" if asked.text(&path("direction")) == "parse" => {
            let (size, big) = header();
            it.parse_header(bytes("bytes"), size, big).map(|fields| said(fields, size))
        }
        "header" => {
            let field = |name| asked.maybe(&path(&format!("fields.{name}")), |path| asked.int(path));
            let rest = asked.maybe(&path("fields.rest"), |path| asked.bytes(path)).unwrap_or(vec![0; 12]);
            let fields = Fields { numbers: NAMES.map(|name| field(name).unwrap_or(0)), rest };
            let (size, big) = header();
            it.emit_header(fields, size, big).map(|data| format!("\"bytes\":{}", hex(data)))
        }
        "read" => match sentinel {
            None => it.read(bytes("frame")),
            Some(last) => until(it, last),
        }.map(|packets| many("packets", packets)),
        "write" => it.write(bytes("packet"), poison()).map(written),
        "write_gso" => it.write_gso(bytes("hdr"), bytes("transport_hdr"), list("pays")).map(written),
        "write_batch" => it.write_batch(list("packets"), poison()).map(written),
        _ => Err(No::Unsupported),
    });
    let (status, more) = match panic::catch_unwind(work) {
        Ok(Ok(result)) => ("ok", result),
        Ok(Err(No::Unsupported)) => ("unsupported", format!("\"what\":{}", quoted(op))),
        Ok(Err(No::Rejected(detail, came))) => {
            let came = many(if op == "read" { "packets" } else { "frames" }, came);
            ("rejected", format!("\"detail\":{},{came}", quoted(&detail)))
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
            ("error", format!("\"detail\":{}", quoted(text)))
        }
    };
    format!("{{\"id\":{id},\"status\":\"{status}\",{more}}}")
}

fn said(fields: Fields, size: usize) -> String {
    let pairs = NAMES.iter().zip(fields.numbers).take(if size < 12 { 6 } else { 7 });
    let numbers = pairs.map(|(name, number)| format!("\"{name}\":{number}")).collect::<Vec<_>>().join(",");
    let rest = if size < 24 { String::new() } else { format!(",\"rest\":{}", hex(fields.rest)) };
    format!("\"fields\":{{{numbers}{rest}}}")
}

fn until(it: &mut dyn Implementation, sentinel: &Bytes) -> Packets {
    let (mut packets, mut refusal) = (vec![], None);
    while packets.last() != Some(sentinel) {
        match it.read_some() {
            Ok(some) => packets.extend(some),
            Err(No::Unsupported) => return Err(No::Unsupported),
            Err(No::Rejected(detail, came)) => {
                packets.extend(came);
                refusal.get_or_insert(detail);
            }
        }
    }
    packets.pop();
    match refusal {
        None => Ok(packets),
        Some(detail) => Err(No::Rejected(detail, packets)),
    }
}

// example begin: it can sum bytes, and read and make vnet headers
struct Example;

impl Implementation for Example {
    fn checksum(&mut self, data: Bytes, initial: u16) -> Result<u16, No> {
        let words = data.chunks(2).map(|pair| (pair[0] as u64) << 8 | *pair.get(1).unwrap_or(&0) as u64);
        let mut sum = initial as u64 + words.sum::<u64>();
        while sum > 0xffff { sum = (sum >> 16) + (sum & 0xffff) }
        Ok(sum as u16)
    }
    fn parse_header(&mut self, data: Bytes, size: usize, big: bool) -> Result<Fields, No> {
        if ![10, 12, 24].contains(&size) || data.len() < size {
            return Err(No::Rejected("no such header".into(), vec![]));
        }
        let mut numbers = [data[0].into(), data[1].into(), 0, 0, 0, 0, 0];
        for (number, word) in numbers[2..].iter_mut().zip(data[2..size].chunks(2)) {
            let (high, low) = if big { (word[0], word[1]) } else { (word[1], word[0]) };
            *number = i64::from(high) << 8 | i64::from(low);
        }
        Ok(Fields { numbers, rest: data[size.min(12)..size].to_vec() })
    }
    fn emit_header(&mut self, fields: Fields, size: usize, big: bool) -> Result<Bytes, No> {
        let mut data = vec![];
        for (at, number) in fields.numbers.into_iter().enumerate() {
            let word = if big { (number as u16).to_be_bytes() } else { (number as u16).to_le_bytes() };
            if at < 2 { data.push(number as u8) } else { data.extend(word) }
        }
        data.extend(fields.rest);
        let fits = |(at, number): (usize, &i64)| (0..if at < 2 { 256 } else { 65536 }).contains(number);
        if ![10, 12, 24].contains(&size) || data.len() != 24 || !fields.numbers.iter().enumerate().all(fits) {
            return Err(No::Rejected("this fits into no header".into(), vec![]));
        }
        data.truncate(size);
        Ok(data)
    }
}

fn main() -> io::Result<()> {
    let about = r#"{"protocol":1,"implementation":{"name":"example","version":"1","language":"Rust"},
        "ops":["checksum","header"],"modes":["memory"],"capabilities":["header.parse","header.emit",
        "header.12","header.24","header.big-endian","header.any-integer"]}"#;
    serve(about, &mut Example)
}
// example end
