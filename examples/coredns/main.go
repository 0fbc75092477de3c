// Coredns is a CoreDNS with the plugin iterdns compiled in. README.md says how to run
// it, and iterdns/README.md what the plugin can do.
//
//	go run . -conf Corefile
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
)

func main() {
	dnsserver.Directives = directives()
	coremain.Run()
}
