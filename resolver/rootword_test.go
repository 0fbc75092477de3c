package resolver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// signedRoot is rootWorld with signatures, so that answers of the root have to be proven.
var signedRoot = strings.Replace(rootWorld, "-- zone . --", "-- zone . signed --", 1)

// TestInterceptedRoot: a resolver that answers in place of the root servers is also
// detected by what it says about the root itself: root servers answer for their zone with
// authority, and offer no recursion.
func TestInterceptedRoot(t *testing.T) {
	for _, text := range []string{rootWorld, signedRoot} {
		for _, fault := range []string{
			"", "replace NXDOMAIN\nset ra\nclear aa", "replace NOERROR\nset ra\nclear aa", "rcode REFUSED\nset ra\nclear aa", "rcode SERVFAIL\nset ra\nclear aa",
		} {
			for _, qtype := range []uint16{dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY, dns.TypeA} {
				inWorld(t, text+"-- intercept --\n"+fault+"\n", func(w *world) {
					o := w.wantError(".", qtype, resolver.ErrIntercepted).within(w, 5*time.Second)
					w.checkCode(o, dns.ExtendedErrorCodeNetworkError)
				})
			}
		}
	}
}

// TestRootFailsWithoutInterception: failures of root servers are no interception.
func TestRootFailsWithoutInterception(t *testing.T) {
	for _, fault := range []string{"rcode SERVFAIL", "rcode REFUSED", "lame refused"} {
		inWorld(t, rootWorld+"-- fault * --\n"+fault+"\n", func(w *world) {
			if o := w.wantError(".", dns.TypeSOA, resolver.ErrNoReachableServer); strings.Contains(o.String(), resolver.ErrIntercepted.Error()) {
				w.Errorf("got %v", o.err)
			}
		})
	}
}

// TestNotBlockedAMomentAgo: silence of all root servers is no sign of a blocked port where a
// server has answered a moment before, and is one again when that is long ago.
func TestNotBlockedAMomentAgo(t *testing.T) {
	inWorld(t, rootWorld, func(w *world) {
		w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80")
		w.settle()
		w.in.Fault("*", resolvertest.Drop())
		o := w.wantError("none.", dns.TypeA, resolver.ErrNoReachableServer)
		if strings.Contains(o.String(), resolver.ErrBlocked.Error()) {
			w.Errorf("got %v", o.err)
		}
		w.checkCode(o, dns.ExtendedErrorCodeNoReachableAuthority)
		time.Sleep(2 * time.Minute)
		w.wantError("other.", dns.TypeA, resolver.ErrBlocked)
	}, ipv4Only)
}

// TestFailureWords: no error text lacks its cause, and RCODE 16 is that of EDNS.
func TestFailureWords(t *testing.T) {
	// When more than two servers refuse EDNS, the others are not asked without.
	inWorld(t, rootWorld+"-- fault * --\nrcode BADVERS\n", func(w *world) {
		seen := ""
		trace := &resolver.Trace{Response: func(i resolver.ResponseInfo) {
			if i.Err != nil {
				seen += i.Err.Error() + "; "
			}
		}}
		w.askWith(resolver.WithTrace(w.Context(), trace), "www.example.", dns.TypeA)
		if !strings.Contains(seen, "BADVERS") || strings.Contains(seen, "BADSIG") {
			w.Errorf("got %q, want BADVERS in it", seen)
		}
	}, ipv4Only)
	for fault, want := range map[string]string{
		"rcode BADVERS":                     "SERVFAIL", // what they answer without EDNS, which is tried then
		"rcode SERVFAIL":                    "SERVFAIL",
		"replace NOERROR\nset ra\nclear aa": "no reachable server",
		"drop":                              "no reachable server",
		"no-question":                       "no reachable server",
		"rcode REFUSED\nset ra\nclear aa":   "REFUSED",
	} {
		for _, at := range []string{"*", "198.51.100.4"} {
			inWorld(t, rootWorld+"-- fault "+at+" --\n"+fault+"\n", func(w *world) {
				o := w.wantError("www.example.", dns.TypeA, resolver.ErrNoReachableServer)
				if text := o.String(); strings.Contains(text, "%!") || strings.Contains(text, "BADSIG") || !strings.Contains(text, want) {
					w.Errorf("%s at %s: got %q, want %q in it", fault, at, text, want)
				}
			})
		}
	}
}

// TestInterceptionWords: the text about servers that were all replaced by somebody lacks
// nothing.
func TestInterceptionWords(t *testing.T) {
	inWorld(t, rootWorld+"-- intercept --\n", func(w *world) {
		if o := w.wantError("www.example.", dns.TypeA, resolver.ErrIntercepted); strings.Contains(o.String(), "%!") {
			w.Errorf("got %v", o.err)
		}
	})
}

// TestTruncatedOverTCP: a reply over TCP with TC set cannot be used (RFC 2181 §9), as there
// is no larger transport. Another server is asked, and the one that fails counts as having
// answered.
func TestTruncatedOverTCP(t *testing.T) {
	const zone = `
-- zone . --
example. NS ns.example.
ns.example. A 198.51.100.4
ns.example. A 198.51.100.5
-- zone example. at 198.51.100.4 198.51.100.5 --
www A 192.0.2.80
`
	const cutOff = "when udp: truncate\nwhen tcp: set tc\n"
	inWorld(t, zone+"-- fault 198.51.100.4 --\n"+cutOff, func(w *world) {
		w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80")
	}, ipv4Only)
	inWorld(t, zone+"-- fault 198.51.100.4 --\n"+cutOff+"-- fault 198.51.100.5 --\n"+cutOff, func(w *world) {
		o := w.wantError("www.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, time.Second)
		if !strings.Contains(o.String(), "truncated") {
			w.Errorf("got %v", o)
		}
		w.in.Fault("*", resolvertest.Mend())
		w.settle() // no server was marked down: all have answered
		w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80").within(w, 100*time.Millisecond)
	}, ipv4Only)
}
