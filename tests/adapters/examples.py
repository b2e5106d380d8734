"""Replacements for the example in the kits of compiled languages, for tests: all do the same.

checksum  prints, panics (C: aborts) without data, and returns half of initial divided by the length
read      refuses; "came" and the frame came nonetheless
write     gives packet and poison if there is poison; on a wire, writes the packet there
write_gso refuses, and everything in one frame came nonetheless; lacks it without pays
write_batch gives the packets back; of those that are larger than they are long, the whole
"""

GO = """
var fd int

func main() {
	about := Object{
		"protocol": 1, "implementation": Object{"name": "x", "version": "2", "language": "Go"},
		"ops": []string{"checksum", "read", "write", "write_gso", "write_batch"}, "modes": []string{"memory", "wire"},
		"capabilities": []string{},
	}
	Serve(about, &Functions{
		Checksum: func(data []byte, initial uint16) (uint16, error) {
			fmt.Println("printed")
			if len(data) == 0 {
				panic("no \\"data\\"\\n at all")
			}
			return initial / 2 / uint16(len(data)), nil
		},
		Read: func(frame []byte) ([]Hex, error) {
			return []Hex{[]byte("came"), frame}, errors.New("not \\"this\\"\\n one")
		},
		Write: func(packet, poison []byte) ([]Hex, error) {
			if fd > 0 {
				_, err := syscall.Write(fd, packet)
				return nil, err
			} else if poison == nil {
				return nil, nil
			}
			return []Hex{packet, poison}, nil
		},
		WriteGSO: func(hdr, transportHdr []byte, pays []Hex) ([]Hex, error) {
			if len(pays) == 0 {
				return nil, ErrUnsupported
			}
			frame := append(hdr, transportHdr...)
			for _, pay := range pays {
				frame = append(frame, pay...)
			}
			return []Hex{frame}, errors.New("not those")
		},
		WriteBatch: func(packets []Hex, poison []byte) ([]Hex, error) {
			for index, packet := range packets {
				packets[index] = packet[:cap(packet)]
			}
			return packets, nil
		},
		Attach: func(mode string, number int, name string) error {
			fmt.Println(mode, number, name)
			fd = number
			return nil
		},
		ReadSome: func() ([]Hex, error) {
			packet := make([]byte, 65536)
			length, err := syscall.Read(fd, packet)
			if string(packet[:length]) == "bad" {
				err = errors.New("not \\"this\\"\\n one")
			}
			return []Hex{packet[:length]}, err
		},
	})
}
"""

RUST = """
fn work(file: &mut Option<File>, op: &str, input: &str, came: &mut Vec<Bytes>) -> Result<String, No> {
    let data = |key| bytes(get(input, key));
    match op {
        "checksum" => {
            println!("printed");
            let data = data("data");
            assert!(!data.is_empty(), "no \\"data\\"\\n at all");
            return Ok(member("sum", int(get(input, "initial")) / 2 / data.len() as i64));
        }
        "read" => {
            came.extend([b"came".to_vec(), data("frame")]);
            return Err(No::Rejected("not \\"this\\"\\n one".into()));
        }
        "write" => match (file, maybe(input, "poison").map(bytes)) {
            (Some(file), _) => file.write_all(&data("packet")).unwrap(),
            (None, Some(poison)) => came.extend([data("packet"), poison]),
            (None, None) => {}
        },
        "write_gso" => {
            let pays = each(get(input, "pays"), bytes);
            if pays.is_empty() { return Err(No::Unsupported) }
            came.push([data("hdr"), data("transport_hdr"), pays.concat()].concat());
            return Err(No::Rejected("not those".into()));
        }
        "write_batch" => came.extend(each(get(input, "packets"), bytes).into_iter().map(|mut packet| {
            packet.resize(packet.capacity(), 0);
            packet
        })),
        "attach" => {
            let fd = maybe(input, "fd").map(int);
            println!("{} {fd:?} {:?}", text(get(input, "mode")), maybe(input, "name").map(text));
            *file = fd.map(|fd| unsafe { std::os::fd::FromRawFd::from_raw_fd(fd as i32) });
        }
        "read_some" => {
            let mut packet = vec![0; 65536];
            let length = std::io::Read::read(file.as_mut().unwrap(), &mut packet).unwrap();
            packet.truncate(length);
            let bad = packet == b"bad";
            came.push(packet);
            if bad { return Err(No::Rejected("not \\"this\\"\\n one".into())) }
        }
        _ => return Err(No::Unsupported),
    }
    Ok(String::new())
}

fn main() -> io::Result<()> {
    let about = r#"{"protocol":1,"implementation":{"name":"x","version":"2","language":"Rust"},"capabilities":[],
        "modes":["memory","wire"],"ops":["checksum","read","write","write_gso","write_batch"]}"#;
    let mut file = None;
    serve(about, &mut |op, input, came| work(&mut file, op, input, came))
}
"""

C = r"""
static int fd = -1;

static status checksum(value in) {
    bytes from = from_hex(get(in, "data"));
    printf("printed\n");
    fflush(stdout);
    if (!from.size) abort();
    fprintf(result, "\"sum\":%d", (int)number(get(in, "initial")) / 2 / (int)from.size);
    free(from.data);
    return OK;
}
static status read_frame(value in) {
    bytes frame = from_hex(get(in, "frame"));
    give((bytes){(uint8_t *)"came", 4});
    give(frame);
    free(frame.data);
    detail = "not \"this\"\n one";
    return REJECTED;
}
static status write_packet(value in) {
    bytes packet = from_hex(get(in, "packet")), poison = {0};
    ssize_t written = fd < 0 ? 0 : write(fd, packet.data, packet.size);
    if (get(in, "poison")) {
        poison = from_hex(get(in, "poison"));
        give(packet);
        give(poison);
    }
    free(packet.data);
    free(poison.data);
    return written < 0 ? FAILED : OK;
}
static status write_gso(value in) {
    if (*past(get(in, "pays"), '[') == ']') return UNSUPPORTED;
    uint8_t made[100];
    bytes frame = {made, 0}, hdr = from_hex(get(in, "hdr")), transport = from_hex(get(in, "transport_hdr"));
    memcpy(made, hdr.data, hdr.size), frame.size += hdr.size;
    memcpy(made + frame.size, transport.data, transport.size), frame.size += transport.size;
    for EACH(item, get(in, "pays")) {
        bytes pay = from_hex(item);
        memcpy(made + frame.size, pay.data, pay.size), frame.size += pay.size;
        free(pay.data);
    }
    give(frame);
    free(hdr.data);
    free(transport.data);
    return REJECTED;
}
static status write_batch(value in) {
    for EACH(item, get(in, "packets")) {
        bytes packet = from_hex(item);
        give(packet);
        free(packet.data);
    }
    return OK;
}
static status attach(value in) {
    char name[16] = "-";
    if (get(in, "name")) sscanf(get(in, "name"), "\"%15[^\"]", name);
    fd = get(in, "fd") ? (int)number(get(in, "fd")) : -1;
    printf("%.15s %d %s\n", get(in, "mode"), fd, name);
    fflush(stdout);
    return OK;
}
static status read_some(value in) {
    static uint8_t packet[65536];
    ssize_t length = read(fd, packet, sizeof packet);
    if (length < 0 || get(in, "frame")) return FAILED;
    give((bytes){packet, (size_t)length});
    detail = "not \"this\"\n one";
    return length == 3 && !memcmp(packet, "bad", 3) ? REJECTED : OK;
}
int main(void) {
    static const operation operations[] = {
        {"checksum", checksum}, {"read", read_frame}, {"write", write_packet}, {"write_gso", write_gso},
        {"write_batch", write_batch}, {"attach", attach}, {"read_some", read_some}, {NULL, NULL}};
    return serve("{\"protocol\":1,\"implementation\":{\"name\":\"x\",\"version\":\"2\",\"language\":\"C\"},"
                 "\"ops\":[\"checksum\",\"read\",\"write\",\"write_gso\",\"write_batch\"],"
                 "\"modes\":[\"memory\",\"wire\"],\"capabilities\":[]}", operations);
}
"""

EXAMPLES = {"go": GO, "rs": RUST, "c": C}
