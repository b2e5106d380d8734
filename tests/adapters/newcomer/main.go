// The newcomer's adapter: the kit, with this in place of its example.

package main

func main() {
	Serve(Object{
		"protocol": 1, "implementation": Object{"name": "newcomer", "version": "0.1", "language": "Go"},
		"ops": []string{"read"}, "modes": []string{"memory"},
		"capabilities": []string{"gso.tcp4", "gso.tcp6", "csum.partial"},
	}, &Functions{Read: read})
}

func read(frame []byte) (packets []Hex, err error) {
	split, err := Split(frame)
	for _, packet := range split {
		packets = append(packets, packet)
	}
	return packets, err
}
