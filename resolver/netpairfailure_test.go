package resolver_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// oneFamilyFails has hosts with addresses of one family only, whose question fails: at
// once, after the denial of the other family, or at the end of an alias.
const oneFamilyFails = `
-- zone bogus.example. at 198.51.100.1 signed break=corrupt:www/A --
www     A     192.0.2.7
-- zone half.example. at 198.51.100.2 --
www     A     192.0.2.8
six     AAAA  2001:db8::8
alias   CNAME www
good    A     192.0.2.9
-- fault 198.51.100.2 --
when name www.half.example. type A: rcode SERVFAIL
when name six.half.example. type AAAA: rcode SERVFAIL
when type A: latency 300ms
`

// A failure of one family is a temporary error, whatever the other family's denial does.
func TestNetResolverFailureBesideDenial(t *testing.T) {
	warmNet()
	for _, host := range []string{"www.bogus.example", "www.half.example", "six.half.example", "alias.half.example"} {
		for _, strict := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, oneFamilyFails)
				in.Fault("*", resolvertest.Latency(20*time.Millisecond))
				r := in.Resolver(t, plain).NetResolver()
				r.StrictErrors = strict
				for _, when := range []string{"first", "from memory"} {
					_, err := r.LookupHost(t.Context(), host)
					failed := new(net.DNSError)
					if !errors.As(err, &failed) || failed.IsNotFound || !failed.IsTemporary {
						t.Errorf("%s, strict %t, %s: got %v, want a temporary error", host, strict, when, err)
					}
				}
				synctest.Wait()
				asked := in.Count()
				in.ResetLog()
				in.Resolver(t, plain).LookupHost(t.Context(), host)
				synctest.Wait()
				if alone := in.Count(); asked > alone {
					t.Errorf("%s: got %d queries, want no more than the %d of the method", host, asked, alone)
				}
			})
		}
	}
}

// The same over one connection, message by message.
func TestNetResolverDenialWaits(t *testing.T) {
	ask := func(t *testing.T, c net.Conn, id uint16, name string, qtype uint16) {
		m := new(dns.Msg).SetQuestion(name, qtype)
		m.Id = id
		writeQuery(t, c, m)
	}
	play := func(f func(t *testing.T, in *resolvertest.Internet, c net.Conn)) {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, oneFamilyFails)
			in.Fault("*", resolvertest.Latency(20*time.Millisecond))
			c := dialSelf(t, t.Context(), in.Resolver(t, plain), "udp")
			defer c.Close()
			f(t, in, c)
		})
	}
	wants := func(t *testing.T, c net.Conn, want map[uint16]int) {
		t.Helper()
		for range want {
			m, err := readReply(c)
			if err != nil {
				t.Fatal(err)
			}
			if rcode, ok := want[m.Id]; !ok || m.Rcode != rcode {
				t.Errorf("reply %d (%s): got %s, want %s", m.Id, m.Question[0].String(), dns.RcodeToString[m.Rcode], dns.RcodeToString[rcode])
			}
		}
	}
	play(func(t *testing.T, in *resolvertest.Internet, c net.Conn) { // alone: what DNS says
		ask(t, c, 1, "www.half.example.", dns.TypeAAAA)
		wants(t, c, map[uint16]int{1: dns.RcodeSuccess})
		if n := in.Count(resolvertest.Type(dns.TypeA), resolvertest.Name("www.half.example.")); n != 0 {
			t.Errorf("got %d queries for the family that was not asked for", n)
		}
	})
	play(func(t *testing.T, in *resolvertest.Internet, c net.Conn) { // the denial is known when the other is asked
		ask(t, c, 1, "www.half.example.", dns.TypeAAAA)
		wants(t, c, map[uint16]int{1: dns.RcodeSuccess})
		ask(t, c, 2, "www.half.example.", dns.TypeAAAA)
		time.Sleep(time.Millisecond)
		ask(t, c, 3, "www.half.example.", dns.TypeA)
		wants(t, c, map[uint16]int{2: dns.RcodeServerFailure, 3: dns.RcodeServerFailure})
		ask(t, c, 4, "www.half.example.", dns.TypeAAAA) // remembered
		wants(t, c, map[uint16]int{4: dns.RcodeServerFailure})
		ask(t, c, 5, "www.half.example.", dns.TypeTXT) // package net asks for that alone
		wants(t, c, map[uint16]int{5: dns.RcodeSuccess})
	})
	play(func(t *testing.T, in *resolvertest.Internet, c net.Conn) { // the other one is slow, and fine
		ask(t, c, 1, "good.half.example.", dns.TypeAAAA)
		ask(t, c, 2, "good.half.example.", dns.TypeA)
		wants(t, c, map[uint16]int{1: dns.RcodeSuccess, 2: dns.RcodeSuccess})
		start := time.Now()
		ask(t, c, 3, "good.half.example.", dns.TypeAAAA)
		wants(t, c, map[uint16]int{3: dns.RcodeSuccess})
		if took := time.Since(start); took != 0 {
			t.Errorf("a denial beside an answer that is known took %v", took)
		}
	})
	play(func(t *testing.T, in *resolvertest.Internet, c net.Conn) { // LookupCNAME asks for three types
		ask(t, c, 1, "www.half.example.", dns.TypeCNAME)
		ask(t, c, 2, "www.half.example.", dns.TypeA)
		wants(t, c, map[uint16]int{1: dns.RcodeServerFailure, 2: dns.RcodeServerFailure})
	})
}

// A caller that asked for the other family first and has gone ends no other caller's wait.
func TestNetResolverDenialOutlastsOthers(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, oneFamilyFails)
			in.Fault("*", resolvertest.Latency(20*time.Millisecond))
			r := in.Resolver(t, plain)
			ask := func(c net.Conn, id, qtype uint16) {
				m := new(dns.Msg).SetQuestion("www.half.example.", qtype)
				m.Id = id
				writeQuery(t, c, m)
			}
			other, own := dialSelf(t, t.Context(), r, "udp"), dialSelf(t, t.Context(), r, "udp")
			defer own.Close()
			ask(own, 1, dns.TypeTXT) // the zone is known
			if _, err := readReply(own); err != nil {
				t.Fatal(err)
			}
			ask(other, 2, dns.TypeA)
			synctest.Wait()
			ask(own, 3, dns.TypeAAAA)
			if !alone {
				ask(own, 4, dns.TypeA)
			}
			time.Sleep(50 * time.Millisecond)
			other.Close()
			if alone {
				synctest.Wait()
				ask(own, 4, dns.TypeA) // within the grace
			}
			for range 2 {
				m, err := readReply(own)
				if err != nil || m.Rcode != dns.RcodeServerFailure {
					t.Errorf("alone %t: got %v %v, want SERVFAIL", alone, m, err)
				}
			}
		})
	}
}
