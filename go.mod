module github.com/iterdns/iterdns

go 1.26.0

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/miekg/dns v1.1.73
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.47.0
)

require golang.org/x/net v0.57.0
