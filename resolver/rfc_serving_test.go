package resolver_test

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// withOption adds an EDNS option to a query.
func withOption(o dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		if m.IsEdns0() == nil {
			withEDNS(m)
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, o)
	}
}

func cookie(size int) func(*dns.Msg) {
	return withOption(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("5a", size)})
}

// optionOf returns an option of a reply; nil when it has none.
func optionOf(reply *dns.Msg, code uint16) dns.EDNS0 {
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if o.Option() == code {
				return o
			}
		}
	}
	return nil
}

// TestRFC7873 has the cases of section 5.2: without a cookie nothing changes; a cookie of
// an illegal length is FORMERR; others are returned with one of the server's, whether the
// server cookie that came with them was good or not.
func TestRFC7873(t *testing.T) {
	none := func(m *dns.Msg) { m.Question = nil }
	for _, test := range []struct {
		name   string
		change []func(*dns.Msg)
		rcode  int
		cookie bool
	}{
		{"no EDNS", nil, dns.RcodeSuccess, false},
		{"no cookie (5.2.1)", []func(*dns.Msg){withEDNS}, dns.RcodeSuccess, false},
		{"empty (5.2.2)", []func(*dns.Msg){cookie(0)}, dns.RcodeFormatError, false},
		{"7 bytes (5.2.2)", []func(*dns.Msg){cookie(7)}, dns.RcodeFormatError, false},
		{"client cookie (5.2.3)", []func(*dns.Msg){cookie(8)}, dns.RcodeSuccess, true},
		{"9 bytes (5.2.2)", []func(*dns.Msg){cookie(9)}, dns.RcodeFormatError, false},
		{"15 bytes (5.2.2)", []func(*dns.Msg){cookie(15)}, dns.RcodeFormatError, false},
		{"bad server cookie of 8 (5.2.4)", []func(*dns.Msg){cookie(16)}, dns.RcodeSuccess, true},
		{"bad server cookie of 32 (5.2.4)", []func(*dns.Msg){cookie(40)}, dns.RcodeSuccess, true},
		{"41 bytes (5.2.2)", []func(*dns.Msg){cookie(41)}, dns.RcodeFormatError, false},
		{"two, the first counts (5.2)", []func(*dns.Msg){cookie(8), cookie(3)}, dns.RcodeSuccess, true},
		{"no question (5.4)", []func(*dns.Msg){cookie(8), none}, dns.RcodeSuccess, true},
		{"no question, malformed (5.4)", []func(*dns.Msg){cookie(9), none}, dns.RcodeFormatError, false},
		{"no question, no cookie (RFC 9619)", []func(*dns.Msg){withEDNS, none}, dns.RcodeFormatError, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, clientWorld).Resolver(t)
				reply := served(r, overUDP, ask("www.shop.example.", dns.TypeA, test.change...))
				if reply.Rcode != test.rcode {
					t.Errorf("got %s, want %s", dns.RcodeToString[reply.Rcode], dns.RcodeToString[test.rcode])
				}
				got, ok := optionOf(reply, dns.EDNS0COOKIE).(*dns.EDNS0_COOKIE)
				if ok != test.cookie {
					t.Fatalf("reply has a cookie: %t, want %t", ok, test.cookie)
				}
				if ok && (!strings.HasPrefix(got.Cookie, strings.Repeat("5a", 8)) || hex.DecodedLen(len(got.Cookie)) != 24) {
					t.Errorf("got cookie %s, want the client's and 16 bytes more", got.Cookie)
				}
			})
		})
	}
}

// A cookie is for one client at one time, of one resolver.
func TestCookiesForClientsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, clientWorld)
		r, other := in.Resolver(t), in.Resolver(t)
		get := func(r *resolver.Resolver, remote net.Addr) string {
			return optionOf(served(r, remote, ask("localhost.", dns.TypeA, cookie(8))), dns.EDNS0COOKIE).(*dns.EDNS0_COOKIE).Cookie
		}
		neighbour := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5353}
		first := get(r, overUDP)
		if again := get(r, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5354}); again != first {
			t.Errorf("from another port: got %s, want %s", again, first)
		}
		cookies := []string{first, get(r, neighbour), get(other, overUDP)}
		time.Sleep(time.Second)
		cookies = append(cookies, get(r, overUDP))
		if slices.Sort(cookies); len(slices.Compact(cookies)) != 4 {
			t.Errorf("got cookies %q, want four", cookies)
		}
	})
}

// RFC 5001: the identity is sent to clients that ask for it, and only then.
func TestRFC5001(t *testing.T) {
	nsid := withOption(&dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	for _, test := range []struct {
		name, id string
		change   []func(*dns.Msg)
		want     bool
	}{
		{"asked for", "ns-7", []func(*dns.Msg){nsid}, true},
		{"not asked for", "ns-7", []func(*dns.Msg){withEDNS}, false},
		{"no EDNS", "ns-7", nil, false},
		{"no identity", "", []func(*dns.Msg){nsid}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := resolvertest.New(t, clientWorld).Resolver(t, func(o *resolver.Options) { o.NSID = test.id })
			reply := served(r, overUDP, ask("localhost.", dns.TypeA, test.change...))
			got, ok := optionOf(reply, dns.EDNS0NSID).(*dns.EDNS0_NSID)
			if ok != test.want || ok && got.Nsid != hex.EncodeToString([]byte(test.id)) {
				t.Errorf("%s: got %v, want an identity: %t", test.name, got, test.want)
			}
		})
	}
}

// The longest identity leaves room for the rest of the smallest reply.
func TestNSIDLength(t *testing.T) {
	for length, want := range map[int]bool{255: true, 256: false, 70_000: false} {
		r, err := resolver.New(resolver.Options{NSID: strings.Repeat("x", length)})
		if (err == nil) != want {
			t.Errorf("%d bytes: got %v, want a resolver: %t", length, err, want)
		}
		if err == nil {
			r.Close()
		}
	}
}

// TestQueryOptions: queries have no more than 100 options.
func TestQueryOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, clientWorld).Resolver(t)
		for n, rcode := range map[int]int{100: dns.RcodeSuccess, 101: dns.RcodeFormatError} {
			query := ask("localhost.", dns.TypeA)
			for range n {
				withOption(&dns.EDNS0_LOCAL{Code: 65001})(query)
			}
			if reply := served(r, overUDP, query); reply.Rcode != rcode {
				t.Errorf("%d options: got %s, want %s", n, dns.RcodeToString[reply.Rcode], dns.RcodeToString[rcode])
			}
		}
	})
}

// TestRFC6840AD: sections 5.7 and 5.8. AD is for clients that set AD or DO, when all is
// Secure. With CD=1 nothing is validated (section 5.9), but data that was validated before
// is authentic all the same (RFC 4035 §3.2.3).
func TestRFC6840AD(t *testing.T) {
	withoutAnything := func(*dns.Msg) {}
	for _, test := range []struct {
		name, ask string
		before    bool // asked and validated before
		change    []func(*dns.Msg)
		ad        bool
	}{
		{"nothing asked for", "www.shop.example.", false, []func(*dns.Msg){withoutAnything}, false},
		{"AD", "www.shop.example.", false, []func(*dns.Msg){withAD}, true},
		{"DO", "www.shop.example.", false, []func(*dns.Msg){withDO}, true},
		{"AD and DO", "www.shop.example.", false, []func(*dns.Msg){withAD, withDO}, true},
		{"AD out of the cache", "www.shop.example.", true, []func(*dns.Msg){withAD}, true},
		{"RD=0", "www.shop.example.", true, []func(*dns.Msg){withAD, withoutRD}, true},
		{"insecure", "www.plain.example.", false, []func(*dns.Msg){withAD, withDO}, false},
		{"partly insecure", "abroad.shop.example.", false, []func(*dns.Msg){withAD}, false},
		{"local", "localhost.", false, []func(*dns.Msg){withAD}, false},
		{"CD", "www.shop.example.", false, []func(*dns.Msg){withAD, withCD}, false},
		{"CD, validated before", "www.shop.example.", true, []func(*dns.Msg){withAD, withCD}, true},
		{"CD, bogus", "www.broken.example.", true, []func(*dns.Msg){withDO, withCD}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, clientWorld).Resolver(t)
				if test.before {
					r.Exchange(t.Context(), ask(test.ask, dns.TypeA))
				}
				reply := served(r, overUDP, ask(test.ask, dns.TypeA, test.change...))
				if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0 || reply.AuthenticatedData != test.ad {
					t.Errorf("got AD=%t, want %t:\n%v", reply.AuthenticatedData, test.ad, reply)
				}
			})
		})
	}
}

// TestThousandsOfClients: each of 4,000 clients that ask at once gets one answer, in time,
// and Close finds nothing left; questions without a slot are refused by the limit.
func TestThousandsOfClients(t *testing.T) {
	const clients, room = 4000, 500
	for _, test := range []struct {
		name     string
		closing  time.Duration // 0: not while they wait
		longest  time.Duration
		answered func(ok, failed int) bool
	}{
		// A server that needs 700 ms answers some of the clients that may wait for a
		// second.
		{"overload", 0, 3 * time.Second, func(ok, failed int) bool { return ok >= room && failed >= clients/2 }},
		{"Close", 300 * time.Millisecond, 300 * time.Millisecond, func(ok, failed int) bool { return ok == 0 && failed == clients }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, crowdedWorld)
				r := in.Resolver(t, func(o *resolver.Options) {
					o.Limits.Questions, o.Limits.QueriesPerZone, o.Limits.QueriesPerServer = room, -1, -1
				})
				served(r, overUDP, ask("warm.slow.example.", dns.TypeA))
				start := time.Now()
				if test.closing > 0 {
					time.AfterFunc(test.closing, func() { r.Close() })
				}
				ok, failed := 0, 0
				for i, c := range thousands(r, clients) {
					switch {
					case c.written != 1:
						t.Fatalf("client %d has %d answers", i, c.written)
					case c.at.Sub(start) > test.longest:
						t.Fatalf("client %d waited %v, want at most %v", i, c.at.Sub(start), test.longest)
					case c.reply.Rcode == dns.RcodeSuccess && len(c.reply.Answer) == 1:
						ok++
					case c.reply.Rcode == dns.RcodeServerFailure && len(codes(c.reply)) == 1:
						failed++
					default:
						t.Fatalf("client %d got\n%v", i, c.reply)
					}
				}
				if !test.answered(ok, failed) {
					t.Errorf("%d were answered and %d refused by the limit", ok, failed)
				}
			})
		})
	}
}

// countingClient is a client that notices when it is answered twice.
type countingClient struct {
	client
	written int
}

func (c *countingClient) WriteMsg(m *dns.Msg) error {
	c.written++
	return c.client.WriteMsg(m)
}

func thousands(r *resolver.Resolver, n int) []*countingClient {
	clients := make([]*countingClient, n)
	var all sync.WaitGroup
	for i := range clients {
		clients[i] = &countingClient{client: client{remote: overUDP}}
		all.Go(func() { r.ServeDNS(clients[i], ask(fmt.Sprintf("c%d.slow.example.", i), dns.TypeA, withEDNS)) })
	}
	all.Wait()
	return clients
}
