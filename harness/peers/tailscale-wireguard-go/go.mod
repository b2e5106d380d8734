module tunproof/peers/tailscale-wireguard-go

go 1.25

require github.com/tailscale/wireguard-go v0.0.0-20260304043104-4184faf59e56

require (
	golang.org/x/crypto v0.13.0 // indirect
	golang.org/x/net v0.15.0 // indirect
	golang.org/x/sys v0.12.0 // indirect
	golang.zx2c4.com/wintun v0.0.0-20230126152724-0fa3db229ce2 // indirect
)
