module tunproof/peers/gvisor

go 1.23.1

require gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c
