package resolvertest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

func TestHints(t *testing.T) {
	in := New(t, `
-- zone . at 192.0.2.1 192.0.2.2 --
@       NS      a.roots.example.
@       NS      b
-- zone example. at 192.0.2.3 --
a.roots A       192.0.2.1
`)
	hints := in.Hints()
	var got []string
	for _, s := range hints.Servers {
		got = append(got, fmt.Sprintf("%s %v", s.Name, s.Addrs))
	}
	if want := "a.roots.example. [192.0.2.1], b. [192.0.2.1 192.0.2.2]"; strings.Join(got, ", ") != want || !hints.Zone.IsRoot() {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOptions(t *testing.T) {
	o := New(t, shop).Options()
	if o.Validation != resolver.ValidateOff || o.TrustAnchors != nil || o.DisableLocalZones || !o.DisableHostsFile {
		t.Errorf("unsigned: got %+v", o)
	}
	if !o.AllowServer(netip.MustParseAddr(shopServer)) {
		t.Error("a server at a documentation address may not be asked")
	}
	if o := New(t, fmt.Sprintf(signedText, "")).Options(); o.Validation != resolver.Validate || len(o.TrustAnchors) != 1 {
		t.Errorf("signed: got validation %v and %d anchors", o.Validation, len(o.TrustAnchors))
	}
	if o := New(t, "-- zone . --\n-- zone example. signed --\n-- zone test. no-ds --").Options(); len(o.TrustAnchors) != 1 {
		t.Errorf("an island below an unsigned root: got %d anchors, want 1", len(o.TrustAnchors))
	}
	if o := New(t, "-- zone 2.0.192.in-addr.arpa. --\n80 PTR www.shop.example.").Options(); !o.DisableLocalZones {
		t.Error("a written reverse zone is answered locally")
	}
}

// TestResolver: the whole, from a question to the log.
func TestResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop+"-- fault * --\nlatency 10ms")
		r := in.Resolver(t, func(o *resolver.Options) { o.Family = resolver.FamilyIPv4Only })
		start := time.Now()
		result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		if err != nil || len(result.Answer) != 1 {
			t.Fatalf("got %+v, %v", result, err)
		}
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("took %v, want 30ms for three servers", took)
		}
		if n := in.Count(Not(Name("."))); n != 3 {
			t.Errorf("got %d queries, want 3:\n%s", n, Table(in.Log()))
		}
		in.Advance(301 * time.Second)
		in.ResetLog()
		if _, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || in.Count() != 1 {
			t.Errorf("after the TTL: got %v and\n%s", err, Table(in.Log()))
		}
	})
}

func TestResolverOptionsFail(t *testing.T) {
	bad := func(o *resolver.Options) { o.Family = 99 }
	if failures := failuresOf(func(tb TB) { New(tb, shop).Resolver(tb, bad) }); len(failures) != 1 {
		t.Errorf("got failures %q, want one", failures)
	}
	defer func() {
		if recover() == nil {
			t.Error("without a test, options that make no sense do not panic")
		}
	}()
	New(nil, shop).Resolver(nil, bad)
}
