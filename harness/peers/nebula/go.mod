module tunproof/peers/nebula

go 1.27.3

require github.com/slackhq/nebula v1.12.0

require (
	golang.org/x/sys v0.49.0 // indirect
	gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c // indirect
)

// Of gVisor it is the checksum alone, and only on a processor without AVX2 or NEON. The version that Nebula asks for
// cannot be had from every registry.
replace gvisor.dev/gvisor => gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c
