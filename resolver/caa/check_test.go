package caa_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/caa"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// world has a signed zone, %s saying how, an unsigned one, and one that an alias leads to.
const world = `
-- zone shop.example. at 198.51.100.3 signed %s --
@                A     192.0.2.80
www              A     192.0.2.80
own              CAA   0 issue "ca.example"
other            CAA   0 issue "other.example"
leaf.other       A     192.0.2.80
empty            A     192.0.2.80
hop              CNAME own
away             CNAME caa.elsewhere.example.
under            CNAME below.caa.elsewhere.example.
x.other          CNAME www.elsewhere.example.
toplain          CNAME caa.plain.example.
tobroken         CNAME www.broken.example.
moved            DNAME elsewhere.example.
bad              CAA   0 issue "ca.example"
plain            NS    ns.plain
ns.plain         A     198.51.100.8

-- zone plain.shop.example. at 198.51.100.8 --
@                A     192.0.2.81
own              CAA   0 issue "ca.example"

-- zone elsewhere.example. at 198.51.100.5 signed --
@                CAA   0 issue "nobody.example"
caa              CAA   0 issue "ca.example"
below.caa        A     192.0.2.82
www              A     192.0.2.82

-- zone plain.example. at 198.51.100.6 --
@                A     192.0.2.83
caa              CAA   0 issue "ca.example"
strict           CAA   0 issue ";"
dead             NS    ns.dead
ns.dead          A     198.51.100.7
dead.strict      NS    ns.dead
tosecure         CNAME www.shop.example.
tobroken         CNAME www.broken.example.
tosigned         CNAME x.signedbroken.example.

-- zone broken.example. at 198.51.100.9 --
www              A     192.0.2.84

-- zone signedbroken.example. at 198.51.100.10 signed --
x                A     192.0.2.85
`

func newWorld(t testing.TB, how string) *resolvertest.Internet {
	t.Helper()
	return resolvertest.New(t, fmt.Sprintf(world, how))
}

var request = caa.Request{Issuers: []string{"ca.example"}}

// check is Check, with the evidence verified.
func check(t testing.TB, in *resolvertest.Internet, r *resolver.Resolver, name string, q caa.Request) *caa.Verdict {
	t.Helper()
	v, err := caa.Check(t.Context(), r, name, q)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	checkEvidence(t, in, v)
	return v
}

// checkEvidence has the file of a verdict read and verified, long after.
func checkEvidence(t testing.TB, in *resolvertest.Internet, v *caa.Verdict) {
	t.Helper()
	file, err := v.AppendEvidence(nil)
	if err != nil {
		t.Errorf("%v: %v", v, err)
		return
	}
	chains, err := dnssec.ReadStoredChains(bytes.NewReader(file))
	if err != nil || len(chains) != len(v.Lookups) ||
		!strings.HasPrefix(v.String(), chains[0].Note) || len(chains[0].Note) < min(len(v.String()), dnssec.MaxStoredText-3) {
		t.Errorf("%v: read %d chains, %v", v, len(chains), err)
		return
	}
	for i := range chains {
		l := &v.Lookups[i]
		verdict, err := chains[i].Verify(in.Anchors(), time.Time{})
		if l.Err == nil && (err != nil || verdict.Status != l.Status) {
			t.Errorf("%v: %v: got %v, %v", v, l, verdict, err)
		}
		if l.Err != nil && (err == nil && !errors.Is(l.Err, caa.ErrRcode) || chains[i].Failure == "") {
			t.Errorf("%v: %v: got %v, want an error", v, l, verdict.Status)
		}
	}
}

// lookedUp lists the names whose records were asked for.
func lookedUp(v *caa.Verdict) string {
	var names []string
	for i := range v.Lookups {
		name := v.Lookups[i].Name.String()
		if v.Lookups[i].Type != dns.TypeCAA {
			name += "/" + dns.TypeToString[v.Lookups[i].Type]
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// RFC 8659 §3: the climb, with aliases, wildcards, and denials of all kinds; each look-up with a
// chain of trust that others can verify.
func TestClimb(t *testing.T) {
	for _, how := range []string{"", "nsec3", "opt-out", "compact"} {
		for _, c := range []struct {
			name, want string
			lookups    string
			status     dnssec.Status
		}{
			{"own.shop.example", "permitted: the issuer is authorized: own.shop.example. CAA 0 issue \"ca.example\"", "own.shop.example.", dnssec.Secure},
			{"a.b.own.shop.example", "permitted: the issuer is authorized: own.shop.example. CAA 0 issue \"ca.example\"", "a.b.own.shop.example. b.own.shop.example. own.shop.example.", dnssec.Secure},
			{"OTHER.shop.example.", "denied: the issuer is not among those authorized: other.shop.example. CAA 0 issue \"other.example\"", "other.shop.example.", dnssec.Secure},
			{"leaf.other.shop.example", "denied: the issuer is not among those authorized: other.shop.example. CAA 0 issue \"other.example\"", "leaf.other.shop.example. other.shop.example.", dnssec.Secure},
			// Nothing anywhere: up to the top-level domain, not the root.
			{"www.shop.example", "permitted: no CAA records", "www.shop.example. shop.example. example.", dnssec.Secure},
			{"missing.shop.example", "permitted: no CAA records", "missing.shop.example. shop.example. example.", dnssec.Secure},
			{"example", "permitted: no CAA records", "example.", dnssec.Secure},
			// Aliases are followed for the question.
			{"hop.shop.example", "permitted: the issuer is authorized: hop.shop.example. CAA 0 issue \"ca.example\"", "hop.shop.example.", dnssec.Secure},
			{"away.shop.example", "permitted: the issuer is authorized: away.shop.example. CAA 0 issue \"ca.example\"", "away.shop.example.", dnssec.Secure},
			{"caa.moved.shop.example", "permitted: the issuer is authorized: caa.moved.shop.example. CAA 0 issue \"ca.example\"", "caa.moved.shop.example.", dnssec.Secure},
			{"toplain.shop.example", "permitted: the issuer is authorized: toplain.shop.example. CAA 0 issue \"ca.example\"", "toplain.shop.example.", dnssec.Insecure},
			// The climb goes on from the name, not from the target, whose parents have records too.
			{"under.shop.example", "permitted: no CAA records", "under.shop.example. shop.example. example.", dnssec.Secure},
			{"x.other.shop.example", "denied: the issuer is not among those authorized: other.shop.example. CAA 0 issue \"other.example\"", "x.other.shop.example. other.shop.example.", dnssec.Secure},
			// Unsigned zones, proven to be so.
			{"own.plain.shop.example", "permitted: the issuer is authorized: own.plain.shop.example. CAA 0 issue \"ca.example\"", "own.plain.shop.example.", dnssec.Insecure},
			{"missing.plain.shop.example", "permitted: no CAA records", "missing.plain.shop.example. plain.shop.example. shop.example. example.", dnssec.Insecure},
			{"tosecure.plain.example", "permitted: no CAA records", "tosecure.plain.example. plain.example. example.", dnssec.Insecure},
		} {
			t.Run(how+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					in := newWorld(t, how)
					v := check(t, in, in.Resolver(t), c.name, request)
					name := strings.ToLower(strings.TrimSuffix(c.name, ".")) + "."
					want := "CAA of " + name + ": " + c.want
					status := c.status
					if how == "opt-out" && strings.HasPrefix(c.name, "missing.shop") || how == "opt-out" && strings.HasPrefix(c.name, "a.b.") {
						status = dnssec.Insecure // the name might be an unsigned delegation (RFC 5155 §9.2)
					}
					if v.String() != want || lookedUp(v) != c.lookups || v.Status != status || v.Err != nil {
						t.Errorf("got  %v, of %s, %v, %v\nwant %s, of %s, %v", v, lookedUp(v), v.Status, v.Err, want, c.lookups, status)
					}
					checkLookups(t, v)
					for i := range v.Lookups {
						l := &v.Lookups[i]
						if l.Attempts != 1 || len(l.Chain) == 0 || l.Status != dnssec.Secure && l.Status != dnssec.Insecure || !l.FromCache && len(l.Servers) == 0 {
							t.Errorf("%+v", l)
						}
					}
					if wants := v.Outcome == caa.Permitted; wants == v.IssueBefore.IsZero() {
						t.Errorf("%v until %v", v.Outcome, v.IssueBefore)
					}
				})
			})
		}
	}
}

// checkLookups checks what all look-ups have.
func checkLookups(t testing.TB, v *caa.Verdict) {
	t.Helper()
	at := v.Started
	for i := range v.Lookups {
		l := &v.Lookups[i]
		if l.Started.Before(at) || l.Ended.Before(l.Started) {
			t.Errorf("%v began at %v and ended at %v, and the one before at %v", l, l.Started, l.Ended, at)
		}
		at = l.Ended
		if l.String() == "" || strings.ContainsAny(l.String(), "\n\x1b") {
			t.Errorf("%q", l)
		}
	}
	if v.Ended.Before(at) {
		t.Errorf("ended at %v, the last look-up at %v", v.Ended, at)
	}
}

// A request for a wildcard looks at the name behind the asterisk, and at issuewild.
func TestWildcardRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. signed --\nwild CAA 0 issue \"ca.example\"\nwild CAA 0 issuewild \"other.example\"\n*.made CAA 0 issue \"ca.example\"\n")
		r := in.Resolver(t)
		for _, c := range []struct{ name, issuer, want string }{
			{"*.wild.shop.example", "ca.example", "denied"}, {"*.wild.shop.example", "other.example", "permitted"},
			{"wild.shop.example", "ca.example", "permitted"}, {"*.sub.wild.shop.example", "ca.example", "denied"},
			// Records that a wildcard of the zone makes.
			{"host.made.shop.example", "ca.example", "permitted"}, {"host.made.shop.example", "other.example", "denied"},
			{"*.made.shop.example", "other.example", "permitted"}, // made.shop.example. has none
		} {
			v := check(t, in, r, c.name, caa.Request{Issuers: []string{c.issuer}})
			if v.Outcome.String() != c.want || v.Wildcard != strings.HasPrefix(c.name, "*.") || strings.HasPrefix(v.Name, "*") || v.Status != dnssec.Secure {
				t.Errorf("%s for %s: got %v, %+v", c.issuer, c.name, v, v.Lookups)
			}
		}
	})
}

// longLived has a zone whose delegation is kept as long as its records.
const longLived = `
-- zone . at 198.41.0.4 signed --
example     86400 NS  ns1.example.
ns1.example 86400 A   198.51.100.3
-- zone example. at 198.51.100.3 signed --
@           86400 NS  ns1
ns1         86400 A   198.51.100.3
brief       300   CAA 0 issue "ca.example"
long        43200 CAA 0 issue "ca.example"
none        86400 A   192.0.2.1
`

// The baseline requirements: a decision holds for its TTL or 8 hours, whichever is greater.
func TestIssueBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, longLived)
		r := in.Resolver(t)
		for name, want := range map[string]time.Duration{"brief": 8 * time.Hour, "long": 12 * time.Hour, "none": 8 * time.Hour} {
			v := check(t, in, r, name+".example", request)
			if got := v.IssueBefore.Sub(v.Ended); v.Outcome != caa.Permitted || got != want {
				t.Errorf("%s: got %v for %v, want %v", name, v.Outcome, got, want)
			}
		}
		time.Sleep(30 * time.Minute)
		v := check(t, in, r, "long.example", request)
		if got := v.IssueBefore.Sub(v.Ended); got != 11*time.Hour+30*time.Minute || !v.Lookups[0].FromCache || len(v.Lookups[0].Servers) > 0 {
			t.Errorf("out of the cache: got %v, %+v", got, v.Lookups)
		}
		if denied := check(t, in, r, "brief.example", caa.Request{Issuers: []string{"other.example"}}); denied.Outcome != caa.Denied || !denied.IssueBefore.IsZero() {
			t.Errorf("denied: got %v until %v", denied, denied.IssueBefore)
		}
	})
}

// The trace of the caller sees all, and the log what an auditor needs.
func TestTraceAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newWorld(t, "")
		queries, done := 0, 0
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{
			Query: func(resolver.QueryInfo) { queries++ },
			Done:  func(resolver.DoneInfo) { done++ },
		})
		v, err := caa.Check(ctx, in.Resolver(t), "leaf.other.shop.example", request)
		if err != nil || queries == 0 || queries > in.Count() || done != len(v.Lookups) {
			t.Errorf("%v: %d queries and %d look-ups seen, of %d and %d", err, queries, done, in.Count(), len(v.Lookups))
		}
		text := v.LogValue().String()
		for _, part := range []string{"outcome=denied", "other.shop.example.", "0 issue", "198.51.100.3:53", "status=secure"} {
			if !strings.Contains(text, part) {
				t.Errorf("the log has no %s: %s", part, text)
			}
		}
		if servers := v.Lookups[0].Servers; !slices.ContainsFunc(servers, func(a netip.AddrPort) bool { return a.String() == "198.51.100.3:53" }) || len(slices.Compact(slices.Clone(servers))) != len(servers) {
			t.Errorf("servers %v", servers)
		}
	})
}

// Names that cannot be checked cost no query.
func TestCheckRefuses(t *testing.T) {
	in := newWorld(t, "")
	r := in.Resolver(t)
	for _, name := range []string{"192.0.2.1", "a.onion", "bücher.example", ".", "localhost", "1.0.168.192.in-addr.arpa"} {
		var told *caa.NameError
		if v, err := caa.Check(t.Context(), r, name, request); !errors.As(err, &told) || v != nil || told.Error() == "" {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
	}
	if v, err := caa.Check(t.Context(), r, "own.shop.example", caa.Request{}); !errors.Is(err, caa.ErrRequest) || v != nil {
		t.Errorf("without an issuer: got %v, %v", v, err)
	}
	if in.Count() != 0 {
		t.Error(resolvertest.Table(in.Log()))
	}
}
