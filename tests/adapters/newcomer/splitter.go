// Splits the superpackets that a TUN device with TSO hands out. It knows TCP over IPv4 and IPv6, and it completes the
// checksums of single packets.
//
// Two mistakes are planted here: the newcomer overlooked that PSH and FIN belong on the last segment only, and CWR on
// the first. Built with -ldflags "-X main.bugs=none" they are gone.

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var bugs = "planted"

const (
	vnetLen   = 10
	needsCsum = 1
	gsoTCP4   = 1
	gsoTCP6   = 4
	gsoECN    = 0x80
	protoTCP  = 6
	fin       = 0x01
	psh       = 0x08
	cwr       = 0x80
)

var be = binary.BigEndian

// vnet is the header of a frame.
type vnet struct {
	Flags, Type                     uint8
	HdrLen, Size, CsumStart, CsumAt uint16
}

// Split returns the packets that a frame from the TUN stands for.
func Split(frame []byte) ([][]byte, error) {
	var vn vnet
	if _, err := binary.Decode(frame, binary.LittleEndian, &vn); err != nil {
		return nil, fmt.Errorf("short frame: %w", err)
	}
	pkt := frame[vnetLen:]
	if len(pkt) == 0 || len(pkt) > 65535 {
		return nil, fmt.Errorf("a packet of %d bytes", len(pkt))
	}
	version := pkt[0] >> 4
	if version != 4 && version != 6 {
		return nil, fmt.Errorf("IP version %d", version)
	}
	if vn.Type == 0 {
		return single(vn, pkt, version)
	}
	if want := map[byte]uint8{4: gsoTCP4, 6: gsoTCP6}[version]; vn.Type&^gsoECN != want {
		return nil, fmt.Errorf("type %d with IP version %d", vn.Type, version)
	}
	if vn.Size == 0 {
		return nil, errors.New("segments of 0 bytes")
	}
	l4, err := transportOffset(pkt, version)
	if err != nil {
		return nil, err
	}
	if len(pkt) < l4+20 || pkt[l4+12]>>4 < 5 || len(pkt) < l4+int(pkt[l4+12]>>4)*4 {
		return nil, errors.New("no room for the TCP header")
	}
	if vn.Flags&needsCsum != 0 && (int(vn.CsumStart) != l4 || vn.CsumAt != 16) {
		return nil, fmt.Errorf("a checksum at %d+%d, but TCP is at %d", vn.CsumStart, vn.CsumAt, l4)
	}
	payload := l4 + int(pkt[l4+12]>>4)*4
	if len(pkt)-payload <= int(vn.Size) {
		return single(vn, pkt, version)
	}
	return segments(vn, pkt, version, l4, payload), nil
}

// single returns one packet, its checksum completed if the header asks for that.
func single(vn vnet, pkt []byte, version byte) ([][]byte, error) {
	out := append([]byte{}, pkt...)
	if vn.Flags&needsCsum == 0 {
		return [][]byte{out}, nil
	}
	start, at := int(vn.CsumStart), int(vn.CsumStart)+int(vn.CsumAt)
	if start < map[byte]int{4: 20, 6: 40}[version] || at+2 > len(out) {
		return nil, fmt.Errorf("a checksum at %d, summed from %d", at, start)
	}
	sum := ^fold(add(0, out[start:]))
	if sum == 0 {
		sum = 0xffff
	}
	be.PutUint16(out[at:], sum)
	return [][]byte{out}, nil
}

// transportOffset returns where TCP begins, behind all extension headers.
func transportOffset(pkt []byte, version byte) (int, error) {
	at, next, length := 40, byte(0), 0
	switch {
	case version == 4 && len(pkt) >= 20:
		at, next, length = int(pkt[0]&15)*4, pkt[9], int(be.Uint16(pkt[2:]))
	case version == 6 && len(pkt) >= 40:
		next, length = pkt[6], int(be.Uint16(pkt[4:]))+40
		for next == 0 || next == 43 || next == 60 {
			if len(pkt) < at+8 {
				return 0, errors.New("an extension header past the end")
			}
			next, at = pkt[at], at+int(pkt[at+1])*8+8
		}
	default:
		return 0, errors.New("no room for the IP header")
	}
	if at < 20 || at > len(pkt) || next != protoTCP || length != len(pkt) {
		return 0, fmt.Errorf("protocol %d at %d of %d bytes (%d)", next, at, length, len(pkt))
	}
	return at, nil
}

// segments cuts a superpacket. The checksum field has the sum of the pseudo-header for the whole of it.
func segments(vn vnet, pkt []byte, version byte, l4, payload int) (out [][]byte) {
	partial := uint32(be.Uint16(pkt[l4+16:]))
	if vn.Flags&needsCsum == 0 {
		addresses := map[byte][]byte{4: pkt[12:20], 6: pkt[8:min(40, l4)]}[version]
		partial = add(protoTCP+uint32(len(pkt)-l4), addresses)
	}
	for start := payload; start < len(pkt); start += int(vn.Size) {
		end := min(start+int(vn.Size), len(pkt))
		seg := append(append([]byte{}, pkt[:payload]...), pkt[start:end]...)
		if version == 4 {
			be.PutUint16(seg[2:], uint16(len(seg)))
			be.PutUint16(seg[4:], be.Uint16(seg[4:])+uint16(len(out)))
			be.PutUint16(seg[10:], 0)
			be.PutUint16(seg[10:], ^fold(add(0, seg[:l4])))
		} else {
			be.PutUint16(seg[4:], uint16(len(seg)-40))
		}
		tcp := seg[l4:]
		be.PutUint32(tcp[4:], be.Uint32(tcp[4:])+uint32(start-payload))
		if bugs == "none" && end < len(pkt) {
			tcp[13] &^= fin | psh
		}
		if bugs == "none" && start > payload {
			tcp[13] &^= cwr
		}
		// One's complement: taking a length away is adding its inverse.
		adjusted := partial + uint32(^uint16(len(pkt)-l4)) + uint32(len(tcp))
		be.PutUint16(tcp[16:], fold(adjusted))
		be.PutUint16(tcp[16:], ^fold(add(0, tcp)))
		out = append(out, seg)
	}
	return out
}

func add(sum uint32, data []byte) uint32 {
	for ; len(data) > 1; data = data[2:] {
		sum += uint32(be.Uint16(data))
	}
	if len(data) == 1 {
		sum += uint32(data[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
