//! An adapter for tunproof, for Rust 1.82 and later. Copy this file, delete what is between "example begin" and
//! "example end", and call `serve` from a main of your own: rustc -O adapter.rs && tunproof check -- ./adapter

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
const NAMES: [&str; 7] = ["flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers"];

/// Make what you have of this. A panic is reported as an error, and never taken for a refusal.
/// In modes other than memory, frames go through a file descriptor: `attach` is called before anything else, and
/// `read_some` in place of `read` until the runner's last packet is out. What writes return is not used then.
#[allow(unused_variables)]
pub trait Implementation {
    fn checksum(&mut self, data: Bytes, initial: u16) -> Result<u16, No> { Err(No::Unsupported) }
    fn parse_header(&mut self, data: Bytes, size: usize, big: bool) -> Result<Fields, No> { Err(No::Unsupported) }
    fn emit_header(&mut self, fields: Fields, size: usize, big: bool) -> Result<Bytes, No> { Err(No::Unsupported) }
    fn read(&mut self, frame: Bytes) -> Packets { Err(No::Unsupported) }
    fn write(&mut self, packet: Bytes, poison: Option<u8>) -> Packets { Err(No::Unsupported) }
    fn write_gso(&mut self, hdr: Bytes, transport: Bytes, pays: Vec<Bytes>) -> Packets { Err(No::Unsupported) }
    fn write_batch(&mut self, packets: Vec<Bytes>, poison: Option<u8>) -> Packets { Err(No::Unsupported) }
    fn attach(&mut self, mode: &str, fd: Option<i32>, name: Option<&str>) {}
    fn read_some(&mut self) -> Packets { Err(No::Unsupported) }
}

fn die<T>(what: &str) -> T { // no answer is better than a wrong one
    eprintln!("adapter: not understood: {what}");
    process::exit(1)
}

/// A line, as far as it has been read, and what it says: texts and numbers by their paths, such as ".input.pays.0".
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
            while let Some(c) = self.line.next_if(|c| c.is_alphanumeric() || "+-.".contains(*c)) { found.push(c) }
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
    fn int(&self, path: &str) -> i64 { self.text(path).parse::<f64>().unwrap_or_else(|_| die(path)) as i64 }
    fn bytes(&self, path: &str) -> Bytes {
        let (text, byte) = (self.text(path), |pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| die(path)));
        (0..text.len()).step_by(2).map(|at| byte(text.get(at..at + 2).unwrap_or(""))).collect()
    }
    fn each<T>(&self, path: &str, of: impl Fn(&str) -> T) -> Vec<T> {
        self.text(path);
        (0..).map(|n| format!("{path}.{n}")).take_while(|path| self.said.contains_key(path)).map(|p| of(&p)).collect()
    }
}

fn quoted(text: &str) -> String {
    let escaped = |c: char| if c < ' ' || "\"\\".contains(c) { format!("\\u{:04x}", c as u32) } else { c.into() };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

fn hex(bytes: &Bytes) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    format!("\"{}\"", digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect::<String>())
}

fn many(list: Vec<Bytes>) -> String { format!("[{}]", list.iter().map(hex).collect::<Vec<_>>().join(",")) }

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
                if asked.said.contains_key(".attach") {
                    let fd = asked.said.get(".attach.fd").and_then(|fd| fd.parse().ok());
                    it.attach(asked.text(".attach.mode"), fd, asked.said.get(".attach.name").map(String::as_str));
                    sentinel = Some(asked.bytes(".attach.sentinel"));
                }
                about.replace('\n', " ")
            }
            "run" => run(it, &asked, "", &sentinel),
            "batch" => format!("{{\"results\":[{}]}}", asked.each(".runs", |at| run(it, &asked, at, &sentinel)).join(",")),
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
    let header = || (int("size") as usize, asked.text(&path("byte_order")) == "big");
    let poison = || asked.said.get(&path("poison")).map(|_| bytes("poison")[0]);
    let done = panic::catch_unwind(panic::AssertUnwindSafe(|| match op {
        "checksum" => it.checksum(bytes("data"), int("initial") as u16).map(|sum| format!("\"sum\":{sum}")),
        "header" if asked.text(&path("direction")) == "parse" => {
            it.parse_header(bytes("bytes"), header().0, header().1).map(|fields| said(fields, header().0))
        }
        "header" => {
            let numbers = NAMES.map(|name| asked.said.get(&path(&format!("fields.{name}"))).map_or(0, )
            it.emit_header(, header().0, header().1).map(|data| format!("\"bytes\":{}", hex(&data)))
        }
        "read" => match sentinel { Some(last) => until(it, last), None => it.read(bytes("frame")) }.map(|list| many("packets", list)),
        "write" => it.write(bytes("packet"), poison()).map(written),
        "write_gso" => it.write_gso(bytes("hdr"), bytes("transport_hdr"), asked.each(&path("pays"), |at| asked.bytes(at))).map(written),
        "write_batch" => it.write_batch(asked.each(&path("packets"), |at| asked.bytes(at)), poison()).map(written),
        _ => Err(No::Unsupported),
    }));
    match done {}
}
