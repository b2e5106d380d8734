// gopacket's checksum behind tunproof's protocol. Folding inverts it.
package main

import (
	"runtime/debug"
	"slices"

	"github.com/gopacket/gopacket"
)

func main() {
	info, _ := debug.ReadBuildInfo()
	Serve(Object{
		"protocol": 1,
		"implementation": Object{"name": "gopacket", "version": info.Deps[0].Version, "language": "Go",
			"source": "https://github.com/gopacket/gopacket", "issues": "https://github.com/gopacket/gopacket/issues"},
		"ops": []string{"checksum"}, "modes": []string{"memory"}, "capabilities": []string{},
	}, &Functions{Checksum: func(data []byte, initial uint16) (uint16, error) {
		return ^gopacket.FoldChecksum(gopacket.ComputeChecksum(slices.Clip(data), uint32(initial))), nil
	}})
}
