package caa_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/caa"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// What fails: whose failure it is, and when it may count as permission.
func TestFailures(t *testing.T) {
	negative := caa.Request{Issuers: request.Issuers, RetryWait: -1}
	for _, c := range []struct {
		what    string
		name    string
		faults  string
		request caa.Request
		want    caa.Outcome
		lookups string
	}{
		{"signed, silent", "own.shop.example", "-- fault 198.51.100.3 --\ndead", request, caa.FailedThere, "own.shop.example. example./DS shop.example./DS own.shop.example./DS"},
		{"signed, SERVFAIL", "own.shop.example", "-- fault shop.example. --\nwhen type CAA: rcode SERVFAIL", request, caa.FailedThere, "own.shop.example. example./DS shop.example./DS own.shop.example./DS"},
		{"signed, NOTIMP on the way up", "www.other.shop.example", "-- fault shop.example. --\nwhen name other.shop.example. type CAA: rcode NOTIMP", request, caa.FailedThere, "www.other.shop.example. other.shop.example. example./DS shop.example./DS other.shop.example./DS"},
		{"unsigned, silent", "x.dead.plain.example", "", request, caa.FailedUnsigned, "x.dead.plain.example. example./DS plain.example./DS dead.plain.example. plain.example. example."},
		{"unsigned, silent, not tried again", "x.dead.plain.example", "", negative, caa.FailedThere, "x.dead.plain.example."},
		{"unsigned, SERVFAIL", "own.plain.shop.example", "-- fault 198.51.100.8 --\nrcode SERVFAIL", request, caa.FailedUnsigned, "own.plain.shop.example. example./DS shop.example./DS plain.shop.example./DS plain.shop.example. shop.example. example."},
		{"unsigned, the records above deny", "dead.strict.plain.example", "", request, caa.Denied, "dead.strict.plain.example. example./DS plain.example./DS strict.plain.example."},
		{"unsigned, once only", "own.plain.shop.example", "-- fault 198.51.100.8 --\nwhen type CAA first 2: rcode SERVFAIL", request, caa.Permitted, "own.plain.shop.example."},
		{"signed, its alias into an unsigned zone", "tobroken.shop.example", "-- fault 198.51.100.9 --\ndead", request, caa.FailedThere, "tobroken.shop.example. example./DS shop.example./DS tobroken.shop.example./DS"},
		{"unsigned, its alias into an unsigned zone", "tobroken.plain.example", "-- fault 198.51.100.9 --\ndead", request, caa.FailedUnsigned, "tobroken.plain.example. example./DS plain.example./DS example./DS broken.example./DS plain.example. example."},
		{"unsigned, its alias into a signed zone", "tosigned.plain.example", "-- fault 198.51.100.10 --\ndead", request, caa.FailedThere, "tosigned.plain.example. example./DS plain.example./DS example./DS signedbroken.example./DS"},
		{"unsigned, but the proof cannot be had", "x.dead.plain.example", "-- fault example. --\nwhen type DS: rcode SERVFAIL\nwhen below plain.example. first 100: remove authority *", request, caa.FailedThere, ""},
		{"bogus on the way up", "a.bad.shop.example", "-- fault shop.example. --\nwhen name bad.shop.example. type CAA: remove answer bad.shop.example. RRSIG", request, caa.FailedThere, "a.bad.shop.example. bad.shop.example."},
		{"bogus denial", "www.shop.example", "-- fault shop.example. --\nwhen type CAA: remove authority *", request, caa.FailedThere, "www.shop.example."},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(world, "")+"\n-- fault 198.51.100.7 --\ndead\n"+c.faults)
				v, err := caa.Check(t.Context(), in.Resolver(t), c.name, c.request)
				if err != nil {
					t.Fatal(err)
				}
				if v.Outcome != c.want || c.lookups != "" && lookedUp(v) != c.lookups {
					t.Errorf("got %v by\n%s, want %v by\n%s\n%+v", v, lookedUp(v), c.want, c.lookups, v.Lookups)
				}
				checkEvidence(t, in, v)
				checkLookups(t, v)
				switch c.want {
				case caa.FailedUnsigned, caa.Denied:
					if v.Err == nil || v.Lookups[0].Attempts != 2 || v.Status != dnssec.Insecure {
						t.Errorf("got %v, %+v, %v", v.Err, v.Lookups[0], v.Status)
					}
				case caa.FailedHere, caa.FailedThere:
					if v.Err == nil || v.Reason != caa.ReasonLookup || !v.IssueBefore.IsZero() {
						t.Errorf("got %v, %+v", v.Err, v)
					}
				case caa.Permitted:
					if v.Lookups[0].Attempts != 2 || v.Ended.Sub(v.Started) < caa.DefaultRetryWait {
						t.Errorf("got %+v", v.Lookups[0])
					}
				}
			})
		})
	}
}

// A failure that the resolver remembers from before is no attempt: the servers were not asked.
func TestRememberedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newWorld(t, "")
		in.Fault("198.51.100.8", resolvertest.Rcode(dns.RcodeServerFailure))
		r := in.Resolver(t)
		if _, err := r.Resolve(t.Context(), "own.plain.shop.example.", dns.TypeCAA); err == nil {
			t.Fatal("no failure to remember")
		}
		v := check(t, in, r, "own.plain.shop.example", caa.Request{Issuers: request.Issuers, RetryWait: time.Millisecond})
		if l := v.Lookups[0]; v.Outcome != caa.FailedThere || l.Attempts != 0 || !errors.Is(v.Err, resolver.ErrCached) {
			t.Errorf("got %v after %d attempts", v, l.Attempts)
		}
		time.Sleep(10 * time.Minute)
		if v := check(t, in, r, "own.plain.shop.example", request); v.Outcome != caa.FailedUnsigned || v.Lookups[0].Attempts != 2 {
			t.Errorf("later: got %v after %d attempts", v, v.Lookups[0].Attempts)
		}
	})
}

// Failures on our side, and answers that no chain of trust bears out, are never a permission.
func TestFailedHere(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		what   string
		ctx    context.Context
		option func(*resolver.Options)
		mend   func(*resolvertest.Internet, *resolver.Resolver)
		name   string
		cause  error
	}{
		{"no network", nil, nil, func(in *resolvertest.Internet, _ *resolver.Resolver) { in.Fault("*", resolvertest.Unreachable()) }, "own.plain.shop.example", resolver.ErrBlocked},
		{"a context that has ended", ended, nil, nil, "own.shop.example", context.Canceled},
		{"closed", nil, nil, func(_ *resolvertest.Internet, r *resolver.Resolver) { r.Close() }, "own.shop.example", resolver.ErrClosed},
		{"validation off", nil, func(o *resolver.Options) { o.Validation = resolver.ValidateOff }, nil, "own.shop.example", caa.ErrEvidence},
		{"a negative trust anchor", nil, func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "shop.example."}}
		}, nil, "own.shop.example", caa.ErrEvidence},
		{"a limit", nil, func(o *resolver.Options) { o.Limits.Sends = 1 }, nil, "own.plain.shop.example", nil},
		{"a hook", nil, func(o *resolver.Options) {
			o.Hooks.Before = func(_ context.Context, q dns.Question) (*resolver.Result, error) {
				return &resolver.Result{Question: q, Status: dnssec.Secure}, nil
			}
		}, nil, "other.shop.example", caa.ErrEvidence},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := newWorld(t, "")
				r := in.Resolver(t, func(o *resolver.Options) {
					if c.option != nil {
						c.option(o)
					}
				})
				if c.mend != nil {
					c.mend(in, r)
				}
				ctx := c.ctx
				if ctx == nil {
					ctx = t.Context()
				}
				v, err := caa.Check(ctx, r, c.name, request)
				if err != nil {
					t.Fatal(err)
				}
				if v.Outcome != caa.FailedHere || v.Err == nil || c.cause != nil && !errors.Is(v.Err, c.cause) || v.Reason != caa.ReasonLookup || len(v.Lookups) != 1 {
					t.Errorf("got %v, %+v", v, v.Lookups)
				}
			})
		})
	}
}

// Expired answers are no answers, even if the resolver returns them to others.
func TestStaleIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newWorld(t, "")
		r := in.Resolver(t, func(o *resolver.Options) { o.ServeStale = true })
		if v := check(t, in, r, "own.shop.example", request); v.Outcome != caa.Permitted {
			t.Fatal(v)
		}
		in.Fault("*", resolvertest.Rcode(dns.RcodeServerFailure))
		time.Sleep(10 * time.Minute) // the records have expired, the keys have not
		v, err := caa.Check(t.Context(), r, "own.shop.example", request)
		if err != nil || v.Outcome == caa.Permitted || v.Outcome == caa.FailedUnsigned || !errors.Is(v.Err, caa.ErrStale) {
			t.Errorf("got %v, %v", v, err)
		}
	})
}
