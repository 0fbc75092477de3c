module github.com/iterdns/iterdns/examples/rediscache

go 1.26.0

require (
	github.com/iterdns/iterdns v0.0.0
	github.com/miekg/dns v1.1.73
	github.com/redis/go-redis/v9 v9.23.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace github.com/iterdns/iterdns => ../..
