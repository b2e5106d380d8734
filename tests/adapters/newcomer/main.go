// The newcomer's adapter: the kit, with this in place of its example.

package main

import "os"

var tun *os.File // a wire or a device, in modes other than memory

func main() {
	Serve(Object{
		"protocol": 1, "implementation": Object{"name": "newcomer", "version": "0.1", "language": "Go"},
		"ops": []string{"read"}, "modes": []string{"memory", "wire", "device-fd"},
		"capabilities": []string{"gso.tcp4", "gso.tcp6", "csum.partial"},
	}, &Functions{Read: read, Attach: attach, ReadSome: readSome})
}

func read(frame []byte) (packets []Hex, err error) {
	split, err := Split(frame)
	for _, packet := range split {
		packets = append(packets, packet)
	}
	return packets, err
}

func attach(_ string, fd int, _ string) error {
	tun = os.NewFile(uintptr(fd), "tun")
	return nil
}

func readSome() ([]Hex, error) {
	frame := make([]byte, 10+65535)
	size, err := tun.Read(frame)
	if err != nil {
		panic(err)
	}
	return read(frame[:size])
}
