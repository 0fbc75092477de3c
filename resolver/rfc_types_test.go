package resolver_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// everyType gives the types that tests try: all assigned ones, the meta types, and those
// for private use (RFC 6895 §3.1).
func everyType() []uint16 {
	var types []uint16
	for t := range uint16(301) {
		types = append(types, t)
	}
	for t := 65280; t <= 65535; t++ {
		types = append(types, uint16(t))
	}
	return types
}

// metaTypes are no data: OPT, NXNAME (RFC 9824), and TKEY to MAILA.
var metaTypes = []uint16{0, 41, 128, 249, 250, 251, 252, 253, 254}

func TestRFC6895EveryType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed --\nwww TYPE65280 \\# 3 00ff41\nwww A 192.0.2.80")
		r := in.Resolver(t)
		for _, qtype := range everyType() {
			in.ResetLog()
			reply := exchanged(t, r, ask("www.shop.example.", qtype, withDO))
			meta := slices.Contains(metaTypes, qtype)
			ok := reply.Rcode == dns.RcodeSuccess && reply.AuthenticatedData
			refused := slices.Contains([]int{dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeRefused}, reply.Rcode)
			switch {
			case qtype == dns.TypeRRSIG: // is no RRset, and cannot be signed (RFC 4035 §2.2)
			case meta && !refused, !meta && !ok:
				t.Errorf("type %d: got %s AD=%t", qtype, dns.RcodeToString[reply.Rcode], reply.AuthenticatedData)
			}
			if n := in.Count(resolvertest.Type(metaTypes...)); meta && n > 0 {
				t.Errorf("type %d: %d queries were sent", qtype, n)
			}
			_, err := r.Resolve(t.Context(), "www.shop.example.", qtype)
			if got := errors.Is(err, resolver.ErrMetaType); got != meta {
				t.Errorf("type %d: Resolve gave %v, want ErrMetaType: %t", qtype, err, meta)
			}
		}
	})
}

// RFC 3597: a type nobody knows passes bit for bit.
func TestRFC3597UnknownType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed --\nwww TYPE65280 \\# 5 00ff41c00c")
		r := in.Resolver(t)
		for range 2 {
			reply := exchanged(t, r, ask("www.shop.example.", 65280, withAD))
			if len(reply.Answer) != 1 || !reply.AuthenticatedData {
				t.Fatalf("got\n%v", reply)
			}
			rr, ok := reply.Answer[0].(*dns.RFC3597)
			if !ok || rr.Rdata != "00ff41c00c" {
				t.Errorf("got %v, want RDATA 00ff41c00c", reply.Answer[0])
			}
		}
	})
}

// RFC 8482: ANY is what one server returns, validated, and no more work for more types.
func TestRFC8482Any(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, clientWorld)
		r := in.Resolver(t)
		reply := exchanged(t, r, ask("www.shop.example.", dns.TypeANY, withDO))
		if got, want := types(reply.Answer), "www.shop.example. A, www.shop.example. RRSIG(A), www.shop.example. NSEC, www.shop.example. RRSIG(NSEC)"; got != want || !reply.AuthenticatedData {
			t.Errorf("got AD=%t %s\nwant AD=true %s", reply.AuthenticatedData, got, want)
		}
		if n := in.Count(resolvertest.Type(dns.TypeANY)); n != 1 {
			t.Errorf("%d ANY queries were sent, want 1", n)
		}
		reply = exchanged(t, r, ask("nx.shop.example.", dns.TypeANY, withAD))
		if reply.Rcode != dns.RcodeNameError || !reply.AuthenticatedData {
			t.Errorf("got %s AD=%t, want NXDOMAIN AD=true", dns.RcodeToString[reply.Rcode], reply.AuthenticatedData)
		}
	})
}
