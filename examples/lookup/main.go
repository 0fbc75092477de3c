// Lookup prints the addresses of a name.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: lookup NAME")
	}
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	addrs, err := lookup(context.Background(), r, os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, addr := range addrs {
		fmt.Println(addr)
	}
}

// lookup gives the addresses of a name, of both families. That there are none is no
// error.
func lookup(ctx context.Context, r *resolver.Resolver, name string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		result, err := r.Resolve(ctx, name, rrtype)
		if err != nil {
			return nil, err
		}
		for _, rr := range result.Answer { // aliases come before the addresses
			switch rr := rr.(type) {
			case *dns.A:
				addrs = append(addrs, netip.AddrFrom4([4]byte(rr.A.To4())))
			case *dns.AAAA:
				addrs = append(addrs, netip.AddrFrom16([16]byte(rr.AAAA)))
			}
		}
	}
	return addrs, nil
}
