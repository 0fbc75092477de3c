package resolver_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// lookupError makes a look-up that fails, and returns its error as package net has it.
func lookupError(t *testing.T, ctx context.Context, r *resolver.Resolver, name string) (*net.DNSError, error) {
	t.Helper()
	addrs, err := r.LookupNetIP(ctx, "ip", name)
	if err == nil {
		t.Fatalf("LookupNetIP(%q): got %v, want an error", name, addrs)
	}
	e := new(net.DNSError)
	if !errors.As(err, &e) {
		t.Fatalf("LookupNetIP(%q): got %T %v, want a *net.DNSError", name, err, err)
	}
	if e.Name != name {
		t.Errorf("Name: got %q, want %q", e.Name, name)
	}
	return e, err
}

func TestNotFoundErrorTellsKinds(t *testing.T) {
	r := resolvertest.New(t, netWorld).Resolver(t, plain)
	for _, c := range []struct {
		name  string
		rcode int
		text  string
	}{
		{"missing.shop.example", dns.RcodeNameError, "NXDOMAIN (indeterminate, TTL 5m0s)"},
		{"mail-only.shop.example", dns.RcodeSuccess, "no records of this type (indeterminate, TTL 5m0s)"},
	} {
		e, err := lookupError(t, t.Context(), r, c.name)
		if !e.IsNotFound || e.IsTemporary || e.IsTimeout || e.Err != "no such host" {
			t.Errorf("%s: got %+v, want only IsNotFound", c.name, e)
		}
		missing := new(resolver.NotFoundError)
		if !errors.As(err, &missing) {
			t.Fatalf("%s: no *NotFoundError behind %v", c.name, err)
		}
		if missing.Rcode != c.rcode || missing.TTL != 5*time.Minute || missing.Status != dnssec.Indeterminate {
			t.Errorf("%s: got %+v, want rcode %d and 5m0s", c.name, missing, c.rcode)
		}
		if missing.Error() != c.text {
			t.Errorf("%s: got %q, want %q", c.name, missing, c.text)
		}
	}
}

// A failure leaves open whether the denial of the other family is the whole truth, so that
// it is the error, whichever comes last.
func TestFailureOutranksDenial(t *testing.T) {
	r := resolvertest.New(t, netWorld).Resolver(t, plain)
	e, err := lookupError(t, t.Context(), r, "none.half.example")
	if e.IsNotFound || !e.IsTemporary || e.Err != "server misbehaving: zone half.example.: no reachable server: 198.51.100.6: answered SERVFAIL" {
		t.Errorf("got %+v, want only IsTemporary", e)
	}
	failed := new(resolver.Error)
	if !errors.As(err, &failed) {
		t.Fatalf("no *resolver.Error behind %v", err)
	}
	if failed.Zone != "half.example." || failed.Question.Qtype != dns.TypeAAAA {
		t.Errorf("got zone %s, type %d, want half.example., AAAA", failed.Zone, failed.Question.Qtype)
	}
	if e.Server != "198.51.100.6:53" {
		t.Errorf("Server: got %q, want the last server asked", e.Server)
	}
}

// YXDOMAIN says neither that a name exists nor that it does not (RFC 6672 §2.2).
func TestNameTooLongIsMisbehaving(t *testing.T) {
	target := strings.Repeat(strings.Repeat("t", 63)+".", 3) + "example."
	in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 --\nold DNAME "+target+"\n")
	r := in.Resolver(t, plain)
	e, err := lookupError(t, t.Context(), r, strings.Repeat("n", 63)+".old.shop.example")
	if e.IsNotFound || e.IsTemporary || e.Err != "server misbehaving: YXDOMAIN" {
		t.Errorf("got %+v, want no flag", e)
	}
	missing := new(resolver.NotFoundError)
	if !errors.As(err, &missing) || missing.Rcode != dns.RcodeYXDomain {
		t.Errorf("got %v, want YXDOMAIN behind it", err)
	}
}

func TestLookupTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, netWorld)
		in.Fault("shop.example", resolvertest.Dead())
		r := in.Resolver(t, plain)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		e, err := lookupError(t, ctx, r, "www.shop.example")
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want the context's second", took)
		}
		if !e.IsTimeout || !e.IsTemporary || e.IsNotFound || !strings.HasPrefix(e.Err, "i/o timeout: zone shop.example.: no reply yet from ") {
			t.Errorf("got %+v, want a timeout, and who was silent", e)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded behind it", err)
		}
	})
}

// A caller that gives up between the two answers does not get one of them as if it were
// all.
func TestLookupTimesOutBetweenFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, netWorld)
		in.Fault("shop.example", resolvertest.Drop().When(resolvertest.Type(dns.TypeAAAA)))
		r := in.Resolver(t, plain)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if e, _ := lookupError(t, ctx, r, "www.shop.example"); !e.IsTimeout {
			t.Errorf("got %+v, want a timeout", e)
		}
		// A caller that waits gets the addresses.
		addrs, err := r.LookupNetIP(t.Context(), "ip", "www.shop.example")
		expectNet(t, "with patience", "[192.0.2.80]", addrs, err)
	})
}

func TestLookupCanceledWithCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, netWorld)
		in.Fault("shop.example", resolvertest.Dead())
		r := in.Resolver(t, plain)
		cause := errors.New("the user pressed a key")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		e, err := lookupError(t, ctx, r, "www.shop.example")
		if e.IsTimeout || e.IsTemporary || e.IsNotFound || !strings.HasPrefix(e.Err, "operation was canceled: zone shop.example.: no reply yet from ") {
			t.Errorf("got %+v, want a cancellation, and who was silent", e)
		}
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("got %v, want context.Canceled and its cause behind it", err)
		}
	})
}

func TestLookupAfterClose(t *testing.T) {
	in := resolvertest.New(t, netWorld)
	r, err := resolver.New(in.Options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.LookupNetIP(t.Context(), "ip4", "www.shop.example"); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// Also for an answer in the cache.
	if _, err := r.LookupNetIP(t.Context(), "ip4", "www.shop.example"); !errors.Is(err, resolver.ErrClosed) {
		t.Errorf("LookupNetIP: got %v, want ErrClosed", err)
	}
	if _, err := r.LookupMX(t.Context(), "shop.example"); !errors.Is(err, resolver.ErrClosed) {
		t.Errorf("LookupMX: got %v, want ErrClosed", err)
	}
	if _, err := r.NetResolver().LookupMX(t.Context(), "shop.example"); err == nil {
		t.Error("through NetResolver: got no error")
	}
}

// The error for a literal of the wrong family is net's *net.AddrError too.
func TestNoSuitableAddressIsAddrError(t *testing.T) {
	r := resolvertest.New(t, netWorld).Resolver(t, plain)
	_, err := r.LookupNetIP(t.Context(), "ip4", "2001:db8::1")
	e := new(net.AddrError)
	if !errors.As(err, &e) || e.Addr != "2001:db8::1" {
		t.Errorf("got %v, want a *net.AddrError behind it", err)
	}
}

// Hooks of a Trace get both questions of one look-up, and never at the same time: the
// counter is not guarded.
func TestLookupTrace(t *testing.T) {
	r := resolvertest.New(t, netWorld).Resolver(t, plain)
	asked := make(map[uint16]int)
	ctx := resolver.WithTrace(t.Context(), &resolver.Trace{
		Query: func(q resolver.QueryInfo) { asked[q.Asked.Qtype]++ },
		Done:  func(d resolver.DoneInfo) { asked[dns.TypeNone]++ },
	})
	for range 2 { // the second time out of the cache
		addrs, err := r.LookupNetIP(ctx, "ip", "www.shop.example")
		want := []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")}
		if err != nil || len(addrs) != 2 || addrs[0] != want[0] || addrs[1] != want[1] {
			t.Fatalf("got %v %v, want %v", addrs, err, want)
		}
	}
	if asked[dns.TypeA] == 0 || asked[dns.TypeAAAA] == 0 || asked[dns.TypeNone] != 4 {
		t.Errorf("got %v, want A and AAAA queries and four ends", asked)
	}
}
