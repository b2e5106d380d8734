// Nebula behind tunproof's protocol.
//
// Its queues take any fd, and make no ioctl on it: overlay/tio reads and writes, overlay/batch joins. All of that is
// exported, but for the parser whose word the coalescer takes: newPacket, which is in Nebula's root package with all of
// its dependencies. What it says of a packet is said here again.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"

	"github.com/slackhq/nebula/firewall"
	"github.com/slackhq/nebula/iputil"
	"github.com/slackhq/nebula/overlay/batch"
	"github.com/slackhq/nebula/overlay/checksum"
	"github.com/slackhq/nebula/overlay/tio"
	"github.com/slackhq/nebula/overlay/tio/virtio"
)

const module = "github.com/slackhq/nebula"

var (
	queue tio.Queue
	joins *batch.MultiCoalescer // nil after a panic, which may leave it in any state
)

func main() {
	Serve(Object{
		"protocol": 2,
		"implementation": Object{"name": "nebula", "version": version(), "language": "Go",
			"source": "https://github.com/slackhq/nebula", "issues": "https://github.com/slackhq/nebula/issues"},
		"ops":         []string{"checksum", "header", "read", "write", "write_gso", "write_batch"},
		"modes":       []string{"wire", "device-fd"},
		"rejectStyle": "silent",
		"capabilities": []string{"gso.tcp4", "gso.tcp6", "gso.udp4", "gso.udp6", "csum.partial", "header.parse",
			"header.emit"},
		"claims": Object{ // the offloads are those that it asks for; of an iovec of 256, three are headers
			"trust": "kernel", "limits": Object{"fragments": 253}, "headerSizes": []int{10},
			"offloads": []string{"CSUM", "TSO4", "TSO6", "USO4", "USO6"},
		},
	}, &Functions{
		Checksum:    func(data []byte, initial uint16) (uint16, error) { return checksum.Checksum(data, initial), nil },
		ParseHeader: parseHeader, EmitHeader: emitHeader,
		Write: write, WriteGSO: writeGSO, WriteBatch: writeBatch,
		Attach: attach, ReadSome: readSome,
	})
}

// version is that of the module in this binary.
func version() string {
	info, _ := debug.ReadBuildInfo()
	at := slices.IndexFunc(info.Deps, func(one *debug.Module) bool { return one.Path == module })
	return info.Deps[at].Version
}

func parseHeader(data []byte, size int, order binary.ByteOrder) (Fields, error) {
	if size != virtio.Size || order != binary.LittleEndian {
		return Fields{}, ErrUnsupported
	} else if len(data) < virtio.Size { // as Offload.readPacket does before it decodes
		return Fields{}, fmt.Errorf("tun read shorter than virtio_net_hdr: %d bytes", len(data))
	}
	var h virtio.Hdr
	h.Decode(slices.Clip(data))
	gsoType := h.GSOType()
	if h.HasECNFlag() {
		gsoType |= 0x80
	}
	return Fields{Flags: h.Flags, GSOType: gsoType, HdrLen: h.HdrLen, GSOSize: h.GSOSize, CsumStart: h.CsumStart,
		CsumOffset: h.CsumOffset}, nil
}

func emitHeader(f Fields, size int, order binary.ByteOrder) (Hex, error) {
	if size != virtio.Size || order != binary.LittleEndian {
		return nil, ErrUnsupported
	}
	data := make(Hex, size)
	virtio.EncodeHeader(data, f.Flags, f.GSOType, f.HdrLen, f.GSOSize, f.CsumStart, f.CsumOffset)
	return data, nil
}

func attach(_ string, fd int, _ string) error {
	set, err := tio.NewOffloadQueueSet(true, slog.New(slog.DiscardHandler))
	if err == nil {
		err = set.Add(fd)
	}
	if err == nil {
		queue = set.Queues()[0]
	}
	return err
}

// readSome is what Interface.listenIn does: whatever one Read gives, cut up.
func readSome() (packets []Hex, err error) {
	given, err := queue.Read()
	for _, one := range given {
		err = errors.Join(err, tio.SegmentSuperpacket(one, func(segment []byte) error {
			packets = append(packets, slices.Clone(segment))
			return nil
		}))
	}
	return packets, err
}

func write(packet, _ []byte) ([]Hex, error) {
	_, err := queue.Write(slices.Clip(packet))
	return nil, err
}

func writeGSO(hdr, transportHdr []byte, pays []Hex) ([]Hex, error) {
	var fragments [][]byte
	for _, pay := range pays {
		fragments = append(fragments, slices.Clip(pay))
	}
	writer := queue.(tio.GSOWriter)
	return nil, writer.WriteGSO(slices.Clip(hdr), slices.Clip(transportHdr), fragments, proto(hdr, transportHdr))
}

// proto is what a caller knows, and must say.
func proto(hdr, transportHdr []byte) tio.GSOProto {
	parsed := parse(slices.Concat(hdr, transportHdr))
	return map[uint8]tio.GSOProto{6: tio.GSOProtoTCP, 17: tio.GSOProtoUDP}[parsed.Protocol]
}

// writeBatch is what Interface.readOutsidePackets does with a batch.
func writeBatch(packets []Hex, _ []byte) ([]Hex, error) {
	one := joins
	joins = nil
	if one == nil {
		one = batch.NewMultiCoalescer(queue, nil)
	}
	var errs error
	for counter, packet := range packets {
		key := batch.SortKey{Counter: uint64(counter)}
		errs = errors.Join(errs, one.Commit(slices.Clip(packet), key, parse(packet)))
	}
	errs = errors.Join(errs, one.Flush())
	joins = one
	return nil, errs
}

// parse is the part of newPacket that the coalescer uses. What newPacket cannot parse Nebula drops; here the coalescer
// gets it, as a packet of no known protocol.
func parse(packet []byte) *firewall.ParsedPacket {
	var parsed firewall.ParsedPacket
	switch {
	case len(packet) >= 40 && packet[0]>>4 == 6:
		protocol, offset, _, anyFragment, err := iputil.IPv6FindUpperProtocol(packet)
		if err == nil {
			parsed.Protocol, parsed.IPHdrLen, parsed.FragAny = protocol, offset, anyFragment
		}
	case len(packet) >= 20 && packet[0]>>4 == 4:
		parsed.Protocol, parsed.IPHdrLen = packet[9], int(packet[0]&15)*4
		parsed.FragAny = binary.BigEndian.Uint16(packet[6:])&0x3fff != 0
	}
	return &parsed
}
