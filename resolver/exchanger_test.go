package resolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// plainExchanger is what somebody might bring: it sends once and takes the first
// message that comes, whatever that is.
type plainExchanger struct{ in *resolvertest.Internet }

func (e plainExchanger) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	c, err := e.in.Dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Now()) })
	defer stop()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	reply := make([]byte, 65535)
	if network == "udp" {
		n, err := c.Read(reply)
		return reply[:n], err
	}
	if _, err := io.ReadFull(c, reply[:2]); err != nil {
		return nil, err
	}
	reply = reply[:binary.BigEndian.Uint16(reply)]
	_, err = io.ReadFull(c, reply)
	return reply, err
}

// TestExchanger: with a transport of the caller's the resolver still makes all decisions: a
// wrong message is a lost reply, truncated ones are asked for over TCP, forged ones too.
func TestExchanger(t *testing.T) {
	for _, test := range []struct {
		fault string
		works bool
		tcp   int
	}{
		{"", true, 0},
		{"when udp: truncate", true, 1},
		{"when udp: wrong-id", true, 1},
		{"when udp: fold-case", true, 1},
		{"when udp first 1: drop", true, 0},
		{"when udp: wrong-question a.example. A", false, 0},
		{"garbage", false, 0},
		{"refuse", false, 0},
		{"unreachable", false, 0},
		{"drop", false, 0},
	} {
		t.Run(test.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, forgeWorld+"-- fault 198.51.100.3 --\n"+test.fault+"\n")
				r := in.Resolver(t, ipv4Only, func(o *resolver.Options) { o.Dial, o.Exchanger = nil, plainExchanger{in} })
				w := &world{t, in, r}
				o := w.ask(manyLetters+".shop.example.", dns.TypeA) // whose case shows when it is folded
				if (o.err == nil) != test.works || o.err != nil && !errors.Is(o.err, resolver.ErrNoReachableServer) {
					t.Errorf("got %v, want an answer %t", o, test.works)
				}
				if got := in.Count(resolvertest.Over("tcp")); got != test.tcp {
					t.Errorf("got %d queries over TCP, want %d:\n%s", got, test.tcp, resolvertest.Table(in.Log()))
				}
				if err := r.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

// TestFamilies: servers are asked over the families that are allowed.
func TestFamilies(t *testing.T) {
	for family, wrong := range map[resolver.Family]func(netip.Addr) bool{
		resolver.FamilyIPv4Only: netip.Addr.Is6,
		resolver.FamilyIPv6Only: netip.Addr.Is4,
	} {
		inWorld(t, plainWorld, func(w *world) {
			for _, name := range []string{"www.shop.example.", "www.far.example.", "none.host.test."} {
				if o := w.ask(name, dns.TypeA); o.err != nil {
					w.Errorf("%s: got %v", name, o)
				}
				w.count(0, func(q resolvertest.Query) bool { return wrong(q.Server) })
			}
		}, func(o *resolver.Options) { o.Family = family })
	}
}

// TestOptionsRefused: New returns an error for options that make no sense.
func TestOptionsRefused(t *testing.T) {
	in := resolvertest.New(t, plainWorld)
	for name, change := range map[string]func(*resolver.Options){
		"validation":   func(o *resolver.Options) { o.Validation = 99 },
		"minimisation": func(o *resolver.Options) { o.Minimise = 99 },
		"family":       func(o *resolver.Options) { o.Family = 99 },
		"hints":        func(o *resolver.Options) { h := *o.RootHints; h.Servers = nil; o.RootHints = &h },
		"negative trust anchor": func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "a..b."}}
		},
	} {
		o := in.Options()
		change(&o)
		if r, err := resolver.New(o); err == nil {
			t.Errorf("%s: got no error", name)
			r.Close()
		}
	}
	if r, err := resolver.New(resolver.Options{}); err != nil {
		t.Errorf("the zero Options: %v", err)
	} else if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
