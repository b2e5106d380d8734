// AmneziaWG, a fork of wireguard-go, behind tunproof's protocol.
//
// As in ../wireguard-go, memory mode calls functions that the package keeps to itself, through go:linkname. Mode
// device-create uses the public API only.
package main

import (
	"encoding/binary"
	"runtime/debug"
	"slices"
	"unsafe"

	"github.com/amnezia-vpn/amneziawg-go/conn"
	"github.com/amnezia-vpn/amneziawg-go/device"
	"github.com/amnezia-vpn/amneziawg-go/tun"
)

const (
	module   = "github.com/amnezia-vpn/amneziawg-go"
	headroom = device.MessageTransportOffsetContent // in front of a packet when the device writes it
)

//go:linkname checksum github.com/amnezia-vpn/amneziawg-go/tun.checksum
func checksum(data []byte, initial uint64) uint16

//go:linkname handleVirtioRead github.com/amnezia-vpn/amneziawg-go/tun.handleVirtioRead
func handleVirtioRead(in []byte, bufs [][]byte, sizes []int, offset int) (int, error)

//go:linkname handleGRO github.com/amnezia-vpn/amneziawg-go/tun.handleGRO
func handleGRO(bufs [][]byte, offset int, tcp, udp unsafe.Pointer, canUDPGRO bool, toWrite *[]int) error

//go:linkname newTCPGROTable github.com/amnezia-vpn/amneziawg-go/tun.newTCPGROTable
func newTCPGROTable() unsafe.Pointer

//go:linkname newUDPGROTable github.com/amnezia-vpn/amneziawg-go/tun.newUDPGROTable
func newUDPGROTable() unsafe.Pointer

//go:linkname resetTCP github.com/amnezia-vpn/amneziawg-go/tun.(*tcpGROTable).reset
func resetTCP(table unsafe.Pointer)

//go:linkname resetUDP github.com/amnezia-vpn/amneziawg-go/tun.(*udpGROTable).reset
func resetUDP(table unsafe.Pointer)

//go:linkname decode github.com/amnezia-vpn/amneziawg-go/tun.(*virtioNetHdr).decode
func decode(header *virtioNetHdr, data []byte) error

//go:linkname encode github.com/amnezia-vpn/amneziawg-go/tun.(*virtioNetHdr).encode
func encode(header *virtioNetHdr, data []byte) error

// virtioNetHdr has the layout of theirs, and so can stand in for it.
type virtioNetHdr struct {
	flags, gsoType                         uint8
	hdrLen, gsoSize, csumStart, csumOffset uint16
}

// instance is what a NativeTun keeps from call to call.
type instance struct {
	tcp, udp unsafe.Pointer
	toWrite  []int
}

var (
	kept    *instance // nil after a panic, which may leave it in any state
	opened  tun.Device
	buffers [][]byte // of the device's pool: used again and again, never cleared
	into    [conn.IdealBatchSize][]byte
	sizes   [conn.IdealBatchSize]int
)

func main() {
	for i := range into {
		into[i] = make([]byte, device.MaxMessageSize)
	}
	Serve(Object{
		"protocol": 2,
		"implementation": Object{"name": "amneziawg-go", "version": version(), "language": "Go",
			"source": "https://github.com/amnezia-vpn/amneziawg-go",
			"issues": "https://github.com/amnezia-vpn/amneziawg-go/issues"},
		"ops":   []string{"checksum", "header", "read", "write", "write_batch"},
		"modes": []string{"memory", "device-create"},
		"capabilities": []string{"gso.tcp4", "gso.tcp6", "gso.udp4", "gso.udp6", "csum.partial", "header.parse",
			"header.emit"},
		"claims": Object{ // the offloads are those that it asks for; BatchSize is 128
			"trust": "kernel", "limits": Object{"packets": conn.IdealBatchSize}, "headerSizes": []int{10},
			"offloads": []string{"CSUM", "TSO4", "TSO6", "USO4", "USO6"},
		},
	}, &Functions{
		Checksum:    func(data []byte, initial uint16) (uint16, error) { return checksum(data, uint64(initial)), nil },
		ParseHeader: parseHeader, EmitHeader: emitHeader,
		Read: read, Write: write, WriteBatch: writeBatch,
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
	if size != 10 || order != binary.LittleEndian {
		return Fields{}, ErrUnsupported
	}
	var h virtioNetHdr
	err := decode(&h, slices.Clip(data))
	return Fields{Flags: h.flags, GSOType: h.gsoType, HdrLen: h.hdrLen, GSOSize: h.gsoSize, CsumStart: h.csumStart,
		CsumOffset: h.csumOffset}, err
}

func emitHeader(f Fields, size int, order binary.ByteOrder) (Hex, error) {
	if size != 10 || order != binary.LittleEndian {
		return nil, ErrUnsupported
	}
	data := make(Hex, size)
	err := encode(&virtioNetHdr{f.Flags, f.GSOType, f.HdrLen, f.GSOSize, f.CsumStart, f.CsumOffset}, data)
	return data, err
}

// read is the second half of NativeTun.Read. Packets that came with an error came out anyway.
func read(frame []byte) ([]Hex, error) {
	count, err := handleVirtioRead(slices.Clip(frame), into[:], sizes[:], 0)
	return packets(count), err
}

func packets(count int) (all []Hex) {
	for i := range max(count, 0) {
		all = append(all, slices.Clone(into[i][:sizes[i]]))
	}
	return all
}

func write(packet, poison []byte) ([]Hex, error) { return writeBatch([]Hex{packet}, poison) }

// writeBatch is NativeTun.Write, with the system call left out.
func writeBatch(given []Hex, poison []byte) (frames []Hex, err error) {
	bufs := staged(given, poison)
	if opened != nil {
		_, err = opened.Write(bufs, headroom)
		return nil, err
	}
	one := kept
	kept = nil
	if one == nil {
		one = &instance{newTCPGROTable(), newUDPGROTable(), nil}
	}
	one.toWrite = one.toWrite[:0]
	if err = handleGRO(bufs, headroom, one.tcp, one.udp, true, &one.toWrite); err == nil {
		for _, i := range one.toWrite {
			frames = append(frames, slices.Clone(bufs[i][headroom-10:]))
		}
	}
	resetTCP(one.tcp)
	resetUDP(one.udp)
	kept = one
	return frames, err
}

// staged puts packets where the device has them: behind headroom, in MaxMessageSize bytes. What is larger than those gets
// no room to grow: nothing is joined to it.
func staged(given []Hex, poison []byte) (bufs [][]byte) {
	for i, packet := range given {
		if i == len(buffers) {
			buffers = append(buffers, make([]byte, device.MaxMessageSize))
		}
		if poison != nil {
			for at := range buffers[i] {
				buffers[i][at] = poison[0]
			}
		}
		one := append(buffers[i][:headroom], packet...)
		if len(one) > device.MaxMessageSize {
			one = slices.Clip(one)
		}
		bufs = append(bufs, one)
	}
	return bufs
}

func attach(_ string, _ int, name string) (err error) {
	opened, err = tun.CreateTUN(name, 1500)
	return err
}

func readSome() ([]Hex, error) {
	count, err := opened.Read(into[:], sizes[:], 0)
	return packets(count), err
}
