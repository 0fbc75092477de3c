package resolver_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// spentBy asks a question and returns what it has cost.
func spentBy(ctx context.Context, r *resolver.Resolver, name string, qtype uint16) (resolver.DoneInfo, error) {
	var done resolver.DoneInfo
	_, err := r.Resolve(resolver.WithTrace(ctx, &resolver.Trace{Done: func(d resolver.DoneInfo) { done = d }}), name, qtype)
	return done, err
}

// latencies make round trips to the root, the top-level zone and the shop visible.
const latencies = `
-- fault 198.18.0.1 --
latency 20ms
-- fault 198.18.0.2 --
latency 30ms
-- fault 198.51.100.3 --
latency 40ms
-- fault 198.51.100.4 --
latency 50ms
`

// A validated answer that is asked for with an empty cache takes no more round trips
// than one that is not: keys are fetched beside the next step.
func TestValidationTakesNoRoundTrip(t *testing.T) {
	for _, test := range []struct {
		kind, name string
		qtype      uint16
		rcode      int
	}{
		{"answer", "www.shop.example.", dns.TypeA, 0},
		{"NXDOMAIN", "missing.shop.example.", dns.TypeA, dns.RcodeNameError},
		{"NODATA", "www.shop.example.", dns.TypeMX, 0},
		{"wildcard", "a.wild.shop.example.", dns.TypeA, 0},
		{"child on another server", "www.child.shop.example.", dns.TypeA, 0},
		{"child without DS", "www.island.shop.example.", dns.TypeA, 0},
		{"CNAME in the zone", "alias.shop.example.", dns.TypeA, 0},
		{"CNAME to another zone", "over.shop.example.", dns.TypeA, 0},
		{"CNAME to a child without DS", "out.shop.example.", dns.TypeA, 0},
		{"NXDOMAIN behind a CNAME", "lost.shop.example.", dns.TypeA, dns.RcodeNameError},
		{"servers named elsewhere", "www.away.example.", dns.TypeA, 0},
		{"servers named elsewhere, NXDOMAIN", "missing.away.example.", dns.TypeA, dns.RcodeNameError},
		{"zone without DS", "www.plain.example.", dns.TypeA, 0},
	} {
		for _, words := range []string{"algorithm=13", "algorithm=13 nsec3", "algorithm=13 nsec3 opt-out", "algorithm=13 compact"} {
			if strings.Contains(words, "compact") && test.kind == "wildcard" {
				continue
			}
			t.Run(test.kind+" "+words, func(t *testing.T) {
				world := `
-- zone . at 198.18.0.1 ` + words + ` --
-- zone example. at 198.18.0.2 ` + words + ` --
-- zone shop.example. at 198.51.100.3 ` + words + ` --
www             A       192.0.2.80
alias           CNAME   www
over            CNAME   www.other.example.
out             CNAME   www.island.shop.example.
lost            CNAME   missing.other.example.
` + wildcardUnless(words, "compact") + `
-- zone child.shop.example. at 198.51.100.4 ` + words + ` --
www             A       192.0.2.81
-- zone island.shop.example. at 198.51.100.4 --
www             A       192.0.2.82
-- zone other.example. at 198.51.100.5 ` + words + ` --
www             A       192.0.2.84
ns              A       198.51.100.6
-- zone away.example. at 198.51.100.6 ` + words + ` --
@               NS      ns.other.example.
www             A       192.0.2.85
-- zone plain.example. at 198.51.100.5 --
www             A       192.0.2.86
` + latencies + `
-- fault 198.51.100.5 198.51.100.6 --
latency 60ms
`
				took := func(change func(*resolver.Options)) (time.Duration, string) {
					var took time.Duration
					var log string
					synctest.Test(t, func(t *testing.T) {
						in := resolvertest.New(t, world)
						r := in.Resolver(t, change)
						begin := time.Now()
						result, err := r.Resolve(t.Context(), test.name, test.qtype)
						took, log = time.Since(begin), resolvertest.Table(in.Log())
						// Compact denial has no NXDOMAIN for resolvers that do not look at
						// the proof.
						if err != nil || result.Rcode != test.rcode && result.Status == dnssec.Secure {
							t.Errorf("got %v, %v", result, err)
						}
					})
					return took, log
				}
				plain, _ := took(func(o *resolver.Options) { o.Validation = resolver.ValidateOff })
				validated, log := took(func(*resolver.Options) {})
				if validated > plain {
					t.Errorf("validated: %v, not validated: %v\n%s", validated, plain, log)
				}
			})
		}
	}
}

func wildcardUnless(words, word string) string {
	if strings.Contains(words, word) {
		return ""
	}
	return "*.wild          A       192.0.2.83"
}

// A zone's denials answer for names that were never asked for (RFC 8198): 100,000
// random names below a zone of 1,000 names take at most one question for each gap, and
// a second pass none, with NSEC as with NSEC3.
func TestAggressiveDenial(t *testing.T) {
	const names = 1000
	questions := 100_000
	if testing.Short() || raceDetector { // one goroutine asks
		questions = 5_000
	}
	for _, words := range []string{"signed", "nsec3"} {
		t.Run(words, func(t *testing.T) {
			var zone strings.Builder
			fmt.Fprintf(&zone, "-- zone shop.example. at 198.51.100.3 %s --\n@ 3600 SOA ns1 hostmaster 1 3600 600 604800 3600\n", words)
			for i := range names {
				fmt.Fprintf(&zone, "n%d 3600 A 192.0.2.%d\n", i*7919%100_003, i%250)
			}
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, zone.String())
				r := in.Resolver(t)
				pass := func() int {
					in.ResetLog()
					random := uint32(1)
					for range questions {
						random = random*1664525 + 1013904223
						name := fmt.Sprintf("x%x.shop.example.", random>>4)
						result, err := r.Resolve(t.Context(), name, dns.TypeA)
						if err != nil || result.Rcode != dns.RcodeNameError || result.Status != dnssec.Secure {
							t.Fatalf("%s: got %v, %v", name, result, err)
						}
					}
					return in.Count()
				}
				if n := pass(); n > names+50 {
					t.Errorf("first pass: got %d queries, want at most %d", n, names+50)
				}
				if n := pass(); n != 0 {
					t.Errorf("second pass: got %d queries, want 0", n)
				}
			})
		})
	}
}

// keyTrap adds to the keys of a zone many more with the tag of the one that signs, and to
// each answer many signatures that name it (CVE-2023-50387).
func keyTrap(keys, signatures int) resolvertest.Fault {
	return resolvertest.Hook(func(_, reply *dns.Msg) {
		var more []dns.RR
		for _, rr := range reply.Answer {
			switch rr := rr.(type) {
			case *dns.DNSKEY:
				more = append(more, sameTag(rr, keys)...)
			case *dns.RRSIG:
				more = append(more, wrongSignatures(rr, signatures)...)
			}
		}
		reply.Answer = append(more, reply.Answer...)
	})
}

// sameTag makes keys that have the tag of a key. The tag is a sum of 16-bit words (RFC
// 4034 appendix B): two words that change by opposite amounts leave it.
func sameTag(key *dns.DNSKEY, n int) []dns.RR {
	raw, err := base64.StdEncoding.DecodeString(key.PublicKey)
	if err != nil {
		return nil
	}
	var made []dns.RR
	for i := 1; i < len(raw)/2-1 && len(made) < n; i++ {
		for j := i + 1; j < len(raw)/2 && len(made) < n; j++ {
			changed := []byte(string(raw))
			changed[2*i+1], changed[2*j+1] = changed[2*i+1]+1, changed[2*j+1]-1
			copied := dns.Copy(key).(*dns.DNSKEY)
			copied.PublicKey = base64.StdEncoding.EncodeToString(changed)
			if copied.KeyTag() == key.KeyTag() {
				made = append(made, copied)
			}
		}
	}
	return made
}

// wrongSignatures makes signatures that are all wrong, each another way.
func wrongSignatures(sig *dns.RRSIG, n int) []dns.RR {
	raw, err := base64.StdEncoding.DecodeString(sig.Signature)
	if err != nil {
		return nil
	}
	made := make([]dns.RR, 0, n)
	for i := range n {
		changed := []byte(string(raw))
		changed[i%len(changed)] ^= byte(1 + i/len(changed))
		copied := dns.Copy(sig).(*dns.RRSIG)
		copied.Signature = base64.StdEncoding.EncodeToString(changed)
		made = append(made, copied)
	}
	return made
}

// The worst replies cost no more than the counted operations, on all paths: answers,
// denials, referrals, keys; one question has one count.
func TestKeyTrap(t *testing.T) {
	const zone = `
-- zone shop.example. at 198.51.100.3 198.51.100.4 198.51.100.5 198.51.100.6 algorithm=%d %s --
www             A       192.0.2.80
alias           CNAME   www
*.wild          A       192.0.2.81
-- zone child.shop.example. at 198.51.100.7 signed --
www             A       192.0.2.82
`
	authority := resolvertest.Hook(func(_, reply *dns.Msg) {
		var more []dns.RR
		for _, rr := range reply.Ns {
			if sig, ok := rr.(*dns.RRSIG); ok {
				more = append(more, wrongSignatures(sig, 40)...)
			}
		}
		reply.Ns = append(more, reply.Ns...)
	})
	for _, test := range []struct {
		kind, name string
		fault      resolvertest.Fault
	}{
		{"many signatures", "www.shop.example.", keyTrap(0, 100)},
		{"many keys with one tag", "www.shop.example.", keyTrap(100, 0)},
		{"many keys and signatures", "www.shop.example.", keyTrap(30, 30)},
		{"behind an alias", "alias.shop.example.", keyTrap(10, 30)},
		{"of a denial", "missing.shop.example.", authority},
		{"of a wildcard's proof", "a.wild.shop.example.", authority},
		{"of a referral", "www.child.shop.example.", authority},
	} {
		for _, algorithm := range []int{8, 13, 14, 15} {
			for _, words := range []string{"", "nsec3"} {
				t.Run(fmt.Sprint(test.kind, " ", algorithm, " ", words), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						in := resolvertest.New(t, fmt.Sprintf(zone, algorithm, words))
						in.Fault("shop.example.", test.fault)
						// Whether there is an answer depends on how much of it is hostile; what
						// it costs must not.
						done, _ := spentBy(t.Context(), in.Resolver(t), test.name, dns.TypeA)
						spent := done.Validation
						// One failure more than allowed is what ends it.
						if spent.SignatureChecks > 64 || spent.FailedChecks > 17 || spent.CostUnits > 200 {
							t.Errorf("got %+v, want at most 64 checks, 16 of them failed, and 200 units", spent)
						}
						if done.Sends > 50 {
							t.Errorf("got %d queries, want at most 50", done.Sends)
						}
					})
				})
			}
		}
	}
}

// Many records of NSEC3, and names of many labels, hash no more than is allowed.
func TestNSEC3Exhaustion(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. at 198.51.100.3 198.51.100.4 nsec3 iterations=50 salt=" + strings.Repeat("ab", 255) + " --\n")
	for i := range 300 {
		fmt.Fprintf(&zone, "n%d A 192.0.2.1\n", i)
	}
	labels := strings.Repeat("a.", 110)
	for _, test := range []struct {
		kind, name string
		fault      resolvertest.Fault
		limited    bool
	}{
		{"many labels", labels + "shop.example.", resolvertest.Fault{}, false},
		{"many labels at once", labels + "shop.example.", resolvertest.Latency(0), false},
		{"salt of 255 bytes", "missing.shop.example.", resolvertest.Fault{}, false},
		{"many records", labels + "shop.example.", manyNSEC3(200), true},
		{"records with parameters of their own", labels + "shop.example.", otherParameters(), true},
	} {
		t.Run(test.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, zone.String())
				in.Fault("shop.example.", test.fault)
				r := in.Resolver(t, func(o *resolver.Options) {
					if strings.HasSuffix(test.kind, "at once") {
						o.Minimise = resolver.MinimiseOff
					}
				})
				done, err := spentBy(t.Context(), r, test.name, dns.TypeA)
				if spent := done.Validation; spent.NSEC3Hashes > 600 || spent.SignatureChecks > 64 || spent.FailedChecks > 17 {
					t.Errorf("got %+v, want at most 600 hashes, 64 checks and 16 failed ones", spent)
				}
				if (err != nil) != test.limited {
					t.Errorf("got %v, want an error: %t", err, test.limited)
				}
			})
		})
	}
}

// manyNSEC3 adds records that nobody has signed.
func manyNSEC3(n int) resolvertest.Fault {
	return resolvertest.Hook(func(_, reply *dns.Msg) {
		for _, rr := range reply.Ns {
			nsec3, ok := rr.(*dns.NSEC3)
			if !ok {
				continue
			}
			for i := range n {
				copied := dns.Copy(nsec3).(*dns.NSEC3)
				_, zone, _ := strings.Cut(nsec3.Hdr.Name, ".")
				copied.Hdr.Name = fmt.Sprintf("%032d.%s", i, zone)
				reply.Ns = append([]dns.RR{copied}, reply.Ns...)
			}
			return
		}
	})
}

// otherParameters returns each NSEC3 record another salt.
func otherParameters() resolvertest.Fault {
	return resolvertest.Hook(func(_, reply *dns.Msg) {
		for i, rr := range reply.Ns {
			if nsec3, ok := rr.(*dns.NSEC3); ok {
				nsec3.Salt = fmt.Sprintf("%04X", i) + nsec3.Salt[4:]
			}
		}
	})
}

// What went over a limit says which, and is remembered for a while.
func TestValidationLimitIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 algorithm=13 --\nwww A 192.0.2.80")
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.SignatureChecks = 3 })
		_, err := spentBy(t.Context(), r, "www.shop.example.", dns.TypeA)
		var limit *resolver.LimitError
		if !errors.As(err, &limit) || limit.Limit != "SignatureChecks" || limit.Value != 3 {
			t.Fatalf("got %v, want the limit SignatureChecks of 3", err)
		}
		before := in.Count()
		for range 5 {
			statusOrError(t, r, "www.shop.example.")
		}
		if n := in.Count() - before; n != 0 {
			t.Errorf("asked again: got %d queries, want 0", n)
		}
	})
}
