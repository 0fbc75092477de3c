package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// everyType returns the types that tests try: all assigned ones, the meta types, and those
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
				t.Errorf("type %d: Resolve returned %v, want ErrMetaType: %t", qtype, err, meta)
			}
		}
	})
}

// RFC 3597: records of an unknown type pass bit for bit.
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

// RFC 8482: the answer to ANY is what one server returns, validated, and no more work for
// more types.
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

// oddZone has one server, which is made to answer anything.
const oddZone = `
-- zone . --
example. NS ns.example.
ns.example. A 198.51.100.4
-- zone example. at 198.51.100.4 --
www A 192.0.2.80
`

// oddAnswer is a reply hook that answers with one record of any type and RDATA.
func oddAnswer(rdata *string) resolvertest.Fault {
	return resolvertest.RawHook(func(query, _ []byte) []byte {
		end := questionEnd(query)
		m := append(replyHeader(query, 1, 0, 0), 0xC0, 12)
		m = append(m, query[end-4:end]...) // type and class
		m = append(m, 0, 0, 1, 0)
		return append(append(m, byte(len(*rdata)>>8), byte(len(*rdata))), *rdata...)
	})
}

// RFC 3597 §3: whatever RDATA a server sends, it is passed on as it came or not at all:
// decoded, from the cache, as a message, past a hook, and by way of a second level.
func TestRFC3597RDataIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, oddZone)
		var rdata string
		in.Fault("198.51.100.4", oddAnswer(&rdata))
		shared := newStore()
		first := in.Resolver(t, minimiseOff, func(o *resolver.Options) { o.SecondLevel, o.ViewName = shared, "odd" })
		hooked := func(_ context.Context, _ dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
			return result, err
		}
		second := in.Resolver(t, minimiseOff, func(o *resolver.Options) { o.SecondLevel, o.ViewName, o.Hooks.After = shared, "odd", hooked })
		random := rand.New(rand.NewPCG(3, 4))
		passed := make(map[uint16]bool)
		for n, qtype := range append(everyType(), dns.TypeTA, dns.TypeDLV) {
			if slices.Contains(metaTypes, qtype) || qtype == dns.TypeANY || qtype == dns.TypeRRSIG || qtype == dns.TypeCNAME || qtype == dns.TypeDNAME || qtype == dns.TypeDS {
				continue
			}
			for i, length := range []int{0, 1, 2, 3, 5, 9, 21} {
				name := fmt.Sprintf("n%dx%d.example.", n, i)
				synctest.Wait() // what ends late in the background reads it
				rdata = oddRData(random, length)
				result, err := first.Resolve(t.Context(), name, qtype)
				if err != nil {
					continue // refused: its type has a form that this has not
				}
				passed[qtype] = true
				wantRData(t, qtype, rdata, result.Answer)
				synctest.Wait()
				for _, r := range []*resolver.Resolver{first, second, second} {
					reply := exchanged(t, r, ask(name, qtype))
					wantRData(t, qtype, rdata, reply.Answer)
				}
				query, err := ask(name, qtype).Pack()
				if err != nil {
					t.Fatal(err)
				}
				kept := qtype < 128 || qtype > 255 // others are set aside for meta types, RFC 6895 §3.1
				if hit, ok := first.AppendHit(nil, query, 0); kept && (!ok || !strings.HasSuffix(string(hit), rdata)) {
					t.Errorf("%s: AppendHit: got %q, %t, want %q at its end", dns.Type(qtype), hit, ok, rdata)
				}
				if t.Failed() {
					return
				}
			}
		}
		for _, qtype := range []uint16{dns.TypeUINFO, dns.TypeUID, dns.TypeGID, dns.TypeRKEY, dns.TypeNID, dns.TypeURI, dns.TypeLOC, dns.TypeDLV, 65280} {
			if !passed[qtype] {
				t.Errorf("%s: nothing was passed on", dns.Type(qtype))
			}
		}
	})
}

// oddRData makes RDATA of what miekg/dns reads in ways of its own.
func oddRData(random *rand.Rand, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = "\\\"; .@0-\x00\x01\x02\x03\x40\xc0\xff\x7f"[random.IntN(16)]
	}
	return string(b)
}

// wantRData compares the RDATA of the only record.
func wantRData(t *testing.T, qtype uint16, want string, answer []dns.RR) {
	t.Helper()
	if len(answer) != 1 {
		t.Errorf("%s %q: got %v", dns.Type(qtype), want, answer)
		return
	}
	set, err := dnssec.NewRRset(answer...)
	if err != nil || set.Type != qtype || set.Records != dnssec.Pack(want) {
		t.Errorf("%s: got %q of %T, %v; want %q", dns.Type(qtype), set.Records, answer[0], err, want)
	}
}

// A record that is opaque only because its Go type would pack it otherwise is found by
// Lookup all the same: a search for CAA records must not miss one.
func TestLookupOfChangedRData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, oddZone)
		rdata := "\x00\x05issue\\@"
		in.Fault("198.51.100.4", oddAnswer(&rdata))
		records, err := resolver.Lookup[*dns.CAA](t.Context(), in.Resolver(t, minimiseOff), "www.example.")
		if err != nil || len(records.Records) != 1 || records.Records[0].Tag != "issue" {
			t.Errorf("got %v, %v; want one CAA record", records.Records, err)
		}
	})
}

// RFC 3597 §5: RDATA in the generic form of zone files is served as written, by mock
// servers, signed, and from local zones.
func TestRFC3597GenericZoneText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := []uint16{dns.TypeUINFO, dns.TypeUID, dns.TypeGID, dns.TypeRKEY, dns.TypeNID, dns.TypeURI, dns.TypeLOC, dns.TypeDLV, dns.TypeCAA, dns.TypeNULL, 65534}
		const rdata = "\x00\x05iss\\e\\@"
		var text strings.Builder
		for _, rrtype := range odd {
			fmt.Fprintf(&text, "n%d TYPE%d \\# %d %x\n", rrtype, rrtype, len(rdata), rdata)
		}
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed --\n"+text.String())
		local, err := resolver.ParseLocalZone("local.example.", strings.NewReader(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		r := in.Resolver(t, func(o *resolver.Options) { o.LocalZones = []resolver.LocalZone{local} })
		for _, rrtype := range odd {
			for _, zone := range []string{"shop.example.", "local.example."} {
				name := fmt.Sprintf("n%d.%s", rrtype, zone)
				for range 2 {
					result, err := r.Resolve(t.Context(), name, rrtype)
					if err != nil {
						t.Errorf("%s %s: %v", name, dns.Type(rrtype), err)
						continue
					}
					wantRData(t, rrtype, rdata, result.Answer[:1]) // its signature is behind it
					if secure := result.Status == dnssec.Secure; secure != (zone == "shop.example.") {
						t.Errorf("%s %s: got %s", name, dns.Type(rrtype), result.Status)
					}
					reply := exchanged(t, r, ask(name, rrtype))
					wantRData(t, rrtype, rdata, reply.Answer)
					if packed, err := reply.Pack(); err != nil || !strings.HasSuffix(string(packed), rdata) {
						t.Errorf("%s %s: got %q, %v", name, dns.Type(rrtype), packed, err)
					}
				}
			}
		}
	})
}
