module example.com/surface

go 1.26.0

replace github.com/iterdns/iterdns => ../../..

require (
	github.com/iterdns/iterdns v0.0.0
	github.com/miekg/dns v1.1.73
)

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
