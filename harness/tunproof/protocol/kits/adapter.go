// An adapter for tunproof, for Go 1.23 and later. Copy this file, delete the part from "example begin"
// to "example end", and call Serve from your own main: go build -o adapter . && tunproof check -- ./adapter
package main

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"runtime/debug"
	"syscall"
)

// Functions do the work; leave those you lack nil. An error is a rejection by your implementation, or
// ErrUnsupported; packets or frames returned with it came out anyway. For any other trouble, panic.
// In modes other than memory, frames go through a file descriptor: Attach is called before anything else, and
// ReadSome, which returns copies, replaces Read until the runner's last packet is out. Writes return nil.
type Functions struct {
	Checksum    func(data []byte, initial uint16) (uint16, error)
	ParseHeader func(data []byte, size int, order binary.ByteOrder) (Fields, error)
	EmitHeader  func(fields Fields, size int, order binary.ByteOrder) (Hex, error)
	Read        func(frame []byte) (packets []Hex, err error)
	Write       func(packet, poison []byte) (frames []Hex, err error)
	WriteGSO    func(hdr, transportHdr []byte, pays []Hex) (frames []Hex, err error)
	WriteBatch  func(packets []Hex, poison []byte) (frames []Hex, err error)
	Attach      func(mode string, fd int, name string) error
	ReadSome    func() (packets []Hex, err error)
	attached    bool
}

type Fields struct { // of a vnet header; they hold only values that fit, so do not claim header.any-integer
	Flags      uint8   `json:"flags"`
	GSOType    uint8   `json:"gso_type"`
	HdrLen     uint16  `json:"hdr_len"`
	GSOSize    uint16  `json:"gso_size"`
	CsumStart  uint16  `json:"csum_start"`
	CsumOffset uint16  `json:"csum_offset"`
	NumBuffers *uint16 `json:"num_buffers,omitempty"` // in 12 and 24 bytes; nil is zero
	Rest       Hex     `json:"rest,omitempty"`        // in 24 bytes, the last 12; nil is zeros
}

type Object = map[string]any
type Hex []byte // bytes that are hex in messages
type input map[string]json.RawMessage
type request struct {
	Cmd, Op       string
	ID            *uint64
	Input, Attach input
	Runs          []request
}

var ErrUnsupported = errors.New("unsupported")
var orders = map[string]binary.ByteOrder{`"little"`: binary.LittleEndian, `"big"`: binary.BigEndian}

func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }
func (h *Hex) UnmarshalText(text []byte) (err error) { // without spare capacity: a read past the end panics
	*h, err = hex.AppendDecode(make(Hex, 0, len(text)/2), text)
	return err
}
func list(many []Hex, err error) ([]Hex, error) { return append([]Hex{}, many...), err } // never null

func get[T any](said input, key string) (value T) { // zero for null
	demand(json.Unmarshal(said[key], &value), key)
	return value
}
func demand(err error, what string) { // no reply is better than a wrong one
	if err != nil {
		log.Fatalf("adapter: %s: %v", what, err)
	}
}

// Serve talks to tunproof until it says bye; about is the reply to hello. Anything printed goes to the log.
func Serve(about Object, do *Functions) {
	fd, err := syscall.Dup(1)
	demand(errors.Join(err, syscall.Dup3(2, 1, 0)), "standard output")
	syscall.CloseOnExec(fd)
	requests, replies := json.NewDecoder(os.Stdin), json.NewEncoder(os.NewFile(uintptr(fd), "replies"))
	for {
		var asked request
		if err = requests.Decode(&asked); err == io.EOF || err == nil && asked.Cmd == "bye" {
			return
		}
		demand(err, "request")
		reply := about
		switch asked.Cmd {
		case "hello":
			if do.attached = asked.Attach != nil; do.attached {
				do.attach(asked.Attach)
			}
		case "run":
			reply = do.run(asked)
		case "batch":
			results := []Object{}
			for _, one := range asked.Runs {
				results = append(results, do.run(one))
			}
			reply = Object{"results": results}
		default:
			log.Fatalf("adapter: no such command: %q", asked.Cmd)
		}
		demand(replies.Encode(reply), "reply")
	}
}

// attach makes reads continue until the sentinel comes out. The first rejection counts.
func (do *Functions) attach(to input) {
	demand(do.Attach(get[string](to, "mode"), get[int](to, "fd"), get[string](to, "name")), "attach")
	sentinel := string(get[Hex](to, "sentinel"))
	do.Read = func([]byte) (packets []Hex, refusal error) {
		for len(packets) == 0 || string(packets[len(packets)-1]) != sentinel {
			some, err := do.ReadSome()
			packets, refusal = append(packets, some...), cmp.Or(refusal, err)
		}
		return packets[:len(packets)-1], refusal
	}
}

func (do *Functions) run(asked request) (reply Object) {
	reply = Object{"id": asked.ID, "status": "ok"}
	defer func() {
		if e := recover(); e != nil {
			reply["status"], reply["detail"], reply["trace"] = "error", fmt.Sprint(e), string(debug.Stack())
		}
	}()
	op, in, b, err := asked.Op, asked.Input, get[Hex], fmt.Errorf("%w: %s", ErrUnsupported, asked.Op)
	parse, order := string(in["direction"]) == `"parse"`, orders[string(in["byte_order"])]
	switch {
	case op == "checksum" && do.Checksum != nil:
		reply["sum"], err = do.Checksum(b(in, "data"), get[uint16](in, "initial"))
	case op == "header" && parse && do.ParseHeader != nil:
		reply["fields"], err = do.ParseHeader(b(in, "bytes"), get[int](in, "size"), order)
	case op == "header" && !parse && do.EmitHeader != nil:
		reply["bytes"], err = do.EmitHeader(get[Fields](in, "fields"), get[int](in, "size"), order)
	case op == "read" && do.Read != nil:
		reply["packets"], err = list(do.Read(b(in, "frame")))
	case op == "write" && do.Write != nil:
		reply["frames"], err = list(do.Write(b(in, "packet"), b(in, "poison")))
	case op == "write_gso" && do.WriteGSO != nil:
		reply["frames"], err = list(do.WriteGSO(b(in, "hdr"), b(in, "transport_hdr"), get[[]Hex](in, "pays")))
	case op == "write_batch" && do.WriteBatch != nil:
		reply["frames"], err = list(do.WriteBatch(get[[]Hex](in, "packets"), b(in, "poison")))
	}
	if errors.Is(err, ErrUnsupported) {
		return Object{"id": asked.ID, "status": "unsupported", "what": err.Error()}
	} else if err != nil {
		reply["status"], reply["detail"] = "rejected", err.Error()
	}
	maps.DeleteFunc(reply, func(key string, _ any) bool {
		refused := err != nil && (key == "sum" || key == "fields" || key == "bytes")
		return refused || do.attached && key == "frames"
	})
	return reply
}

// example begin: it sums bytes, and parses and builds vnet headers
func main() {
	Serve(Object{
		"protocol": 2, "implementation": Object{"name": "example", "version": "1", "language": "Go"},
		"ops": []string{"checksum", "header"}, "modes": []string{"memory"}, "capabilities": []string{
			"header.parse", "header.emit", "header.12", "header.24", "header.big-endian"},
		"claims": Object{ // what your code was written for: cases outside of it are not run
			"offloads":     []string{"CSUM", "TSO4", "TSO6", "USO4", "USO6"}, // for TUNSETOFFLOAD
			"trust":        "kernel",          // whose frames it reads: its own kernel's, or "anyone"'s
			"validates":    false,             // write_gso checks what is its caller's duty
			"limits":       Object{},          // what it documents: segments, packets, fragments, bytes
			"headerSizes":  []int{10, 12, 24}, // bytes of vnet header that its functions take
			"rejectsEmpty": false,             // an empty packet is an error
		},
	}, &Functions{Checksum: checksum, ParseHeader: parseHeader, EmitHeader: emitHeader})
}

func checksum(data []byte, initial uint16) (uint16, error) {
	sum := uint32(initial)
	for index, value := range data {
		sum += uint32(value) << (8 - index%2*8)
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum), nil
}

func parseHeader(data []byte, size int, order binary.ByteOrder) (f Fields, err error) {
	if len(data) < size || size != 10 && size != 12 && size != 24 {
		return f, fmt.Errorf("no header of %d bytes in %d", size, len(data))
	}
	word := func(at int) *uint16 { value := order.Uint16(data[at:]); return &value }
	f = Fields{data[0], data[1], *word(2), *word(4), *word(6), *word(8), nil, data[min(size, 12):size]}
	if size > 10 {
		f.NumBuffers = word(10)
	}
	return f, nil
}
func emitHeader(f Fields, size int, order binary.ByteOrder) (Hex, error) {
	if size != 10 && size != 12 && size != 24 {
		return nil, fmt.Errorf("no header has %d bytes", size)
	}
	words := []uint16{f.HdrLen, f.GSOSize, f.CsumStart, f.CsumOffset, *cmp.Or(f.NumBuffers, new(uint16))}
	data, err := binary.Append(Hex{f.Flags, f.GSOType}, order, words)
	return append(append(data, f.Rest...), make(Hex, 12)...)[:size], err
}

// example end
