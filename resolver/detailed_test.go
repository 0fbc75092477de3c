package resolver_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const detailWorld = `
-- zone shop.example. at 198.51.100.3 signed --
@          100  MX    10 www
@          NS    ns1
@          TXT   "hello"
www   60   A     192.0.2.80
www        AAAA  2001:db8::80
alias      CNAME www.plain.example.
_sip._tcp  SRV   1 1 80 www
-- zone plain.example. at 198.51.100.4 --
www        A     192.0.2.81
@          MX    10 www
-- zone late.example. at 198.51.100.5 signed break=expired --
www        A     192.0.2.82
-- zone 2.0.192.in-addr.arpa. at 198.51.100.6 signed --
80         PTR   www.shop.example.
`

// TestDetailed: each look-up like package net's has one that also returns status and TTL, of
// answers from the network and from the cache alike.
func TestDetailed(t *testing.T) { synctest.Test(t, testDetailed) } // or a TTL is a second less

func testDetailed(t *testing.T) {
	r := resolvertest.New(t, detailWorld).Resolver(t, func(o *resolver.Options) { o.SearchList = []string{"nowhere.example", "plain.example"} })
	d := r.Detailed()
	ctx := t.Context()
	for range 2 {
		for name, ask := range map[string]func() (any, resolver.Detail, error){
			"host 1m0s secure www.shop.example.": func() (any, resolver.Detail, error) { return anyDetail(d.LookupHost(ctx, "www.shop.example.")) },
			"ipaddr 1m0s secure www.shop.example.": func() (any, resolver.Detail, error) {
				return anyDetail(d.LookupIPAddr(ctx, "www.shop.example."))
			},
			"ip 5m0s secure www.shop.example.": func() (any, resolver.Detail, error) { return anyDetail(d.LookupIP(ctx, "ip6", "www.shop.example.")) },
			"netip 1m0s secure www.shop.example.": func() (any, resolver.Detail, error) {
				return anyDetail(d.LookupNetIP(ctx, "ip", "www.shop.example."))
			},
			"alias 5m0s insecure www.plain.example.": func() (any, resolver.Detail, error) {
				return anyDetail(d.LookupNetIP(ctx, "ip", "alias.shop.example."))
			},
			"cname 5m0s insecure www.plain.example.": func() (any, resolver.Detail, error) { return anyDetail(d.LookupCNAME(ctx, "alias.shop.example.")) },
			"mx 1m40s secure shop.example.":          func() (any, resolver.Detail, error) { return anyDetail(d.LookupMX(ctx, "shop.example.")) },
			"ns 5m0s secure shop.example.":           func() (any, resolver.Detail, error) { return anyDetail(d.LookupNS(ctx, "shop.example.")) },
			"txt 5m0s secure shop.example.":          func() (any, resolver.Detail, error) { return anyDetail(d.LookupTXT(ctx, "shop.example.")) },
			"addr 5m0s secure 80.2.0.192.in-addr.arpa.": func() (any, resolver.Detail, error) {
				return anyDetail(d.LookupAddr(ctx, "192.0.2.80"))
			},
			"srv 5m0s secure _sip._tcp.shop.example.": func() (any, resolver.Detail, error) {
				canonical, records, detail, err := d.LookupSRV(ctx, "sip", "tcp", "shop.example.")
				if canonical != detail.Canonical {
					t.Errorf("SRV: got the name %s, want %s", canonical, detail.Canonical)
				}
				return records, detail, err
			},
			"searched 5m0s insecure www.plain.example.": func() (any, resolver.Detail, error) { return anyDetail(d.LookupNetIP(ctx, "ip4", "www")) },
			"literal 0s indeterminate ": func() (any, resolver.Detail, error) {
				return anyDetail(d.LookupNetIP(ctx, "ip", "192.0.2.1"))
			},
		} {
			values, got, err := ask()
			var kind string
			fmt.Sscan(name, &kind)
			if text := fmt.Sprintf("%s %v %v %s", kind, got.TTL.Round(time.Second), got.Status, got.Canonical); err != nil || text != name || reflect.ValueOf(values).Len() == 0 {
				t.Errorf("got %v, %s, %v, want %s", values, text, err, name)
			}
		}
	}
	_, got, err := d.LookupMX(ctx, "none.shop.example.")
	missing := new(resolver.NotFoundError)
	if !errors.As(err, &missing) || missing.Rcode != dns.RcodeNameError || got.Status != dnssec.Secure || got.TTL.Round(time.Second) != 5*time.Minute {
		t.Errorf("a name that does not exist: got %+v, %v, want a secure denial for 5m0s", got, err)
	}
	_, got, err = d.LookupNetIP(ctx, "ip", "www.late.example.")
	if err == nil || got != (resolver.Detail{Status: dnssec.Bogus}) {
		t.Errorf("bogus: got %+v, %v", got, err)
	}
}

func anyDetail[T any](values T, detail resolver.Detail, err error) (any, resolver.Detail, error) {
	return values, detail, err
}

// TestDetailedHasAll: no look-up like package net's is without one that returns a Detail, and all
// return it in the place before the error.
func TestDetailedHasAll(t *testing.T) {
	detailed := reflect.TypeFor[resolver.Detailed]()
	for m := range reflect.TypeFor[lookups]().Methods() {
		if m.Name == "LookupPort" { // which is not about DNS
			continue
		}
		with, ok := detailed.MethodByName(m.Name)
		if !ok {
			t.Errorf("there is no Detailed.%s", m.Name)
			continue
		}
		n := with.Type.NumOut()
		if n != m.Type.NumOut()+1 || with.Type.Out(n-2) != reflect.TypeFor[resolver.Detail]() || with.Type.NumIn() != m.Type.NumIn()+1 {
			t.Errorf("Detailed.%s is %v", m.Name, with.Type)
		}
	}
}
