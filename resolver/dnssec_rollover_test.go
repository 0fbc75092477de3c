package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Through all stages of a rollover (RFC 6781 §4.1) every name is Secure at every time,
// though keys and DS are cached for an hour, and whether or not anything else is.
func TestRollovers(t *testing.T) {
	const zone = `
-- zone shop.example. at 198.51.100.3 %s --
*.wild          A       192.0.2.80
`
	for _, test := range []struct {
		kind   string
		stages []string
		wait   time.Duration // between stages
	}{
		{"ZSK, published first", []string{"signed", "zsk=1,2", "zsk=1,2 sign=2", "zsk=2 sign=2"}, 2 * time.Hour},
		{"ZSK, double signatures", []string{"signed", "zsk=1,2 sign=1,2", "zsk=2 sign=2"}, 2 * time.Hour},
		{"ZSK, in no time", []string{"signed", "zsk=2 sign=2", "zsk=3 sign=3"}, 10 * time.Minute},
		{"KSK, double DS", []string{"signed", "ds=1,2", "ds=1,2 ksk=2", "ds=2 ksk=2"}, 2 * time.Hour},
		{"KSK, double keys", []string{"signed", "ksk=1,2", "ksk=1,2 ds=2", "ksk=2 ds=2"}, 2 * time.Hour},
		{"KSK and DS, in no time", []string{"signed", "ksk=2 ds=2 zsk=2 sign=2"}, 10 * time.Minute},
		{"one key for all", []string{"csk", "csk ksk=1,2 ds=1,2 sign=1,2", "csk ksk=2 sign=2 ds=2"}, 2 * time.Hour},
		{"algorithm", []string{"algorithm=8", "algorithm=8,13 ksk=1,2 zsk=1,2 sign=1,2", "algorithm=8,13 ksk=1,2 zsk=1,2 sign=1,2 ds=2",
			"algorithm=8,13 ksk=2 zsk=2 sign=2 ds=2"}, 2 * time.Hour},
		{"NSEC to NSEC3 and back", []string{"signed", "nsec3", "iterations=5 salt=aabb", "signed"}, 10 * time.Minute},
		{"to another operator", []string{"signed", "zsk=1,2 ksk=1,2 ds=1,2", "zsk=1,2 ksk=1,2 ds=1,2 sign=2", "zsk=2 ksk=2 ds=2 sign=2"}, 2 * time.Hour},
		{"to unsigned and back", []string{"signed", "no-ds", "no-ds", "signed"}, 2 * time.Hour},
	} {
		t.Run(test.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(zone, test.stages[0]))
				r := in.Resolver(t)
				n := 0
				for i, stage := range test.stages {
					if i > 0 {
						if err := in.Update(fmt.Sprintf(zone, stage)); err != nil {
							t.Fatal(err)
						}
					}
					want := dnssec.Secure
					if stage == "no-ds" && i > 1 { // at first the DS may still be cached
						want = dnssec.Insecure
					}
					for begin := time.Now(); time.Since(begin) < test.wait; time.Sleep(test.wait / 5) {
						for _, name := range []string{fmt.Sprintf("n%d.wild.shop.example.", n), "same.wild.shop.example."} {
							in.ResetLog()
							if got := statusOf(t, r, name); got != want && stage != "no-ds" {
								t.Errorf("stage %q, after %v, %s: got %v, want %v\n%s", stage, time.Since(begin), name, got, want, resolvertest.Table(in.Log()))
							} else if stage == "no-ds" && got == dnssec.Bogus {
								t.Errorf("stage %q, after %v, %s: got bogus", stage, time.Since(begin), name)
							}
						}
						n++
					}
				}
			})
		})
	}
}

// Two operators sign one zone, each with keys of its own (RFC 8901): from whichever of them
// the answer and the keys come, the answer is Secure. First one of them fails, then the
// other, so that keys of one meet answers of the other.
func TestMultiSigner(t *testing.T) {
	for _, words := range []string{"", "nsec3", "algorithm=8,13"} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 198.51.100.4 operators=2 `+words+` --
*.wild          A       192.0.2.80
-- zone child.shop.example. at 198.51.100.5 signed --
www             A       192.0.2.81
`)
				r := in.Resolver(t)
				in.Fault("198.51.100.4", resolvertest.Drop())
				for i := range 40 {
					switch i {
					case 10:
						in.Fault("198.51.100.4", resolvertest.Mend())
					case 20:
						in.Fault("198.51.100.3", resolvertest.Drop())
					case 30:
						in.Fault("198.51.100.3", resolvertest.Mend())
					}
					for _, name := range []string{fmt.Sprintf("n%d.wild.shop.example.", i), fmt.Sprintf("n%d.shop.example.", i), "www.child.shop.example."} {
						if got := statusOf(t, r, name); got != dnssec.Secure {
							t.Errorf("%s: got %v, want secure", name, got)
						}
					}
					time.Sleep(5 * time.Minute)
				}
				for _, server := range []string{"198.51.100.3", "198.51.100.4"} {
					if in.Count(resolvertest.To(server)) == 0 {
						t.Errorf("%s was never asked", server)
					}
				}
			})
		})
	}
}

// Signatures by a key that is not published make us ask for the keys again, but not for
// each of them (RFC 8901 §3).
func TestUnknownKeyIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var zone strings.Builder
		zone.WriteString("-- zone shop.example. at 198.51.100.3 %s --\nfirst A 192.0.2.80\n")
		for i := range 50 {
			zone.WriteString(fmt.Sprintf("n%d A 192.0.2.80\n", i))
		}
		in := resolvertest.New(t, fmt.Sprintf(zone.String(), "signed"))
		r := in.Resolver(t)
		if got := statusOf(t, r, "first.shop.example."); got != dnssec.Secure {
			t.Fatalf("got %v, want secure", got)
		}
		if err := in.Update(fmt.Sprintf(zone.String(), "sign=2")); err != nil {
			t.Fatal(err)
		}
		in.ResetLog()
		for i := range 50 {
			if got := statusOf(t, r, fmt.Sprintf("n%d.shop.example.", i)); got != dnssec.Bogus {
				t.Errorf("got %v, want bogus", got)
			}
		}
		if n := in.Count(resolvertest.Type(dns.TypeDNSKEY), resolvertest.To("198.51.100.3")); n > 10 {
			t.Errorf("got %d questions for the keys within no time, want at most 10", n)
		}
		// Nor is every server asked again for each name.
		if n := in.Count(); n > 50+30 {
			t.Errorf("got %d questions for 50 names, want at most 80", n)
		}
	})
}
