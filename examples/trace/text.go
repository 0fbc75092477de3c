package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// pad returns an owner name with tabs up to the column where dig puts the TTL.
func pad(owner string) string {
	const column, tab = 24, 8
	tabs := max(1, (column-len(owner)+tab-1)/tab)
	return owner + strings.Repeat("\t", tabs)
}

// recordText returns a record in one line.
func recordText(rr dns.RR) string {
	owner, rest, _ := strings.Cut(resolver.PrintableRR(rr), "\t")
	return pad(owner) + rest
}

// server names a server as dig does.
func server(addr netip.AddrPort, name string) string {
	return fmt.Sprintf("%s#%d(%s)", addr.Addr(), addr.Port(), drawing.HostText(name))
}
