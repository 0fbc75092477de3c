package resolver_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Whatever is asked for, by whichever client, under whichever options, is answered by the local root
// as by the root servers, and at no point by both with less.
func TestLocalRootAsTheServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		names := []string{
			".", "com.", "test.", "example.", "TEST.", "net.", "missing.", "*.", "www.*.", `\000.`, `a\.b.`, `\255\255.`, `te\000st.`, `\032.`,
			"www.test.", "www.example.", "ns.test.", "a.root-servers.net.", "x.y.missing.", strings.Repeat("a", 63) + ".",
			strings.Repeat("a.", 126), "tes.", "testt.", "_ta-4a5c.", "_.",
		}
		types := []uint16{
			dns.TypeA, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeRRSIG, dns.TypeANY,
			dns.TypeCNAME, dns.TypeDNAME, dns.TypeZONEMD, dns.TypeTXT, 65280,
		}
		corp := []resolver.NegativeTrustAnchor{{Zone: "test."}, {Zone: "example."}}
		for label, change := range map[string]func(*resolver.Options){
			"usual":         func(*resolver.Options) {},
			"ValidateOff":   func(o *resolver.Options) { o.Validation = resolver.ValidateOff },
			"NTA for a TLD": func(o *resolver.Options) { o.NegativeTrustAnchors = corp },
			"NTA for root":  func(o *resolver.Options) { o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "."}} },
			"whole names":   func(o *resolver.Options) { o.Minimise = resolver.MinimiseOff },
			"stale":         func(o *resolver.Options) { o.ServeStale, o.ServeStaleOverBogus = true, true },
		} {
			both := [2]*resolver.Resolver{}
			for i, root := range []*resolver.LocalRoot{nil, {Sources: []resolver.LocalRootSource{w.reader()}}} {
				o := w.options(root)
				change(&o)
				both[i] = newLocalRootResolver(t, o)
			}
			for _, name := range names {
				for _, qtype := range types {
					for _, client := range []string{"DO", "CD", "DO CD", "plain"} {
						query := new(dns.Msg).SetQuestion(name, qtype)
						query.Id = 1
						query.CheckingDisabled = strings.Contains(client, "CD")
						if client != "plain" {
							query.SetEdns0(4096, strings.Contains(client, "DO"))
						}
						var got [2]string
						for i, r := range both {
							r.Options().Cache.Clear()
							reply, err := r.Exchange(t.Context(), query)
							got[i] = fmt.Sprint(err)
							if reply != nil {
								got[i] = sortedReply(reply)
							}
						}
						if got[0] != got[1] {
							t.Errorf("%s: %s %s %s: servers:\n%s\nlocal root:\n%s", label, name, dns.Type(qtype), client, got[0], got[1])
						}
					}
				}
			}
		}
	})
}

// sortedReply is what matters of a reply.
func sortedReply(m *dns.Msg) string {
	lines := []string{}
	for i, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			lines = append(lines, fmt.Sprint(i, " ", rr))
		}
	}
	slices.Sort(lines)
	return fmt.Sprint(dns.RcodeToString[m.Rcode], " ad=", m.AuthenticatedData, " ra=", m.RecursionAvailable, "\n", strings.Join(lines, "\n"))
}

// A root zone that a source has changed is used in no part, unless it is verified.
func TestLocalRootForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		line := func(begin string) string {
			for l := range strings.Lines(w.text) {
				if strings.HasPrefix(strings.Join(strings.Fields(l), " "), begin) {
					return l
				}
			}
			t.Fatalf("no %q in\n%s", begin, w.text)
			return ""
		}
		ds, soa, md, sig := line("example. 3600 IN DS"), line(". 86400 IN SOA"), line(". 86400 IN ZONEMD"), line(". 86400 IN RRSIG ZONEMD")
		for label, text := range map[string]string{
			"no DS":              strings.Replace(w.text, ds, "", 1),
			"another DS":         strings.Replace(w.text, ds, "example. 3600 IN DS 1 15 2 "+strings.Repeat("ab", 32)+"\n", 1),
			"a wildcard":         w.text + "*. 60 IN A 192.0.2.66\n",
			"a DNAME":            w.text + "x. 60 IN DNAME test.\n",
			"another server":     strings.Replace(w.text, "198.18.0.4", "198.18.0.66", 1),
			"another TTL":        strings.Replace(w.text, ds, strings.Replace(ds, "3600", "3601", 1), 1),
			"ZONEMD twice":       w.text + strings.Replace(md, md[len(md)-5:], "0000\n", 1),
			"no ZONEMD":          strings.Replace(w.text, md, "", 1),
			"unsigned ZONEMD":    strings.Replace(w.text, sig, "", 1),
			"a short digest":     strings.Replace(w.text, md, md[:len(md)-3]+"\n", 1),
			"a long digest":      strings.Replace(w.text, md, md[:len(md)-1]+"00\n", 1),
			"another serial":     strings.Replace(w.text, soa, strings.Replace(soa, "2026010100", "2026010101", 1), 1),
			"nothing":            "",
			"the first half":     w.text[:len(w.text)/2],
			"another root":       rootsigner.Sign(t, localRootRecords, rootsigner.Options{Signed: time.Now(), Seed: 9}),
			"an unsigned one":    rootsigner.Sign(t, localRootRecords, rootsigner.Options{Unsigned: true}),
			"two SOAs":           w.text + strings.Replace(soa, "2026010100", "2026010101", 1),
			"class CH":           w.text + "x. 60 CH TXT x\n",
			"$INCLUDE":           w.text + "$INCLUDE /etc/hostname\n",
			"$GENERATE for ever": w.text + "$GENERATE 1-65535 a$ A 192.0.2.1\n$GENERATE 1-65535 b$ A 192.0.2.1\n$GENERATE 1-65535 c$ A 192.0.2.1\n$GENERATE 1-65535 d$ A 192.0.2.1\n",
		} {
			r, err := resolver.New(w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{resolver.LocalRootReader(label, strings.NewReader(text))}}))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.AwaitLocalRoot(t.Context()); err == nil || r.LocalRootState().InUse {
				t.Errorf("%s: it is in use", label)
			} else {
				t.Logf("%s: %v", label, err)
			}
			result, err := r.Resolve(t.Context(), "www.example.", dns.TypeA)
			if err != nil || result.Status != dnssec.Secure || len(result.Answer) == 0 {
				t.Errorf("%s: got %v, %v", label, result, err)
			}
			r.Close()
		}
	})
}

// A copy that expires, is replaced, or comes to an end while it is in use changes no answer.
func TestLocalRootEndsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{Expire: 3600})
		clock := time.Duration(0)
		o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
		o.Now = func() time.Time { return time.Now().Add(clock) }
		o.SignatureTime = time.Now
		r := newLocalRootResolver(t, o)
		const year = 365 * 24 * time.Hour
		for _, step := range []struct {
			clock time.Duration
			inUse bool
		}{{0, true}, {-20 * year, false}, {0, true}, {time.Hour, false}, {30 * 24 * time.Hour, false}, {10 * year, false}, {59 * time.Minute, true}} {
			clock = step.clock
			r.Options().Cache.Clear()
			result, err := r.Resolve(context.Background(), "www.example.", dns.TypeA)
			if err != nil || result.Status != dnssec.Secure {
				t.Errorf("%v: got %v, %v", clock, result, err)
			}
			if s := r.LocalRootState(); s.InUse != step.inUse {
				t.Errorf("%v: in use: %t, want %t", clock, s.InUse, step.inUse)
			}
		}
	})
}

// A copy of the root zone may be days old: whether a key was revoked is asked of the root servers, and
// of the copy only where none of them replies.
func TestLocalRootHidesNoRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		private := ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, ed25519.SeedSize)) // as rootsigner's
		public := base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
		old := rootKey{&dns.DNSKEY{
			Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: rootKeysTTL},
			Flags: 257, Protocol: 3, Algorithm: dns.ED25519, PublicKey: public,
		}, private}
		fresh := newRootKey(t, dns.ECDSAP256SHA256)
		o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
		o.AnchorStore, o.TrustAnchors = new(memoryStore), []dnssec.Anchor{old.anchor(t), fresh.anchor(t)}
		w.Fault(localRootAddr, resolvertest.Drop())
		r := newLocalRootResolver(t, o)
		time.Sleep(day)
		if c := r.Stats().Anchors; c.Refreshed == 0 || stateOf(r, old) != "Valid" {
			t.Errorf("no root server replies: got %+v, %q", c, stateOf(r, old))
		}
		w.Fault(localRootAddr, resolvertest.Mend())
		w.Fault(localRootAddr, resolvertest.Hook(func(_, reply *dns.Msg) {
			gone := old.revoked()
			set := []dns.RR{dns.Copy(gone.record), dns.Copy(fresh.record)}
			reply.Answer = append(set, gone.sign(t, time.Now(), set), fresh.sign(t, time.Now(), set))
		}).When(resolvertest.Name("."), resolvertest.Type(dns.TypeDNSKEY)))
		time.Sleep(2 * day)
		if got := stateOf(r, old); got != "Revoked" || !r.LocalRootState().InUse {
			t.Errorf("got the old key %q, the copy %v", got, r.LocalRootState())
		}
	})
}
