package resolver_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
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
			"a-b.", "-.", "te-st.", "xn--a.", `\001\002.`, "_tcp.test.", `www.\255test.`,
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
		var clock atomic.Int64
		o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
		o.Now = func() time.Time { return time.Now().Add(time.Duration(clock.Load())) }
		o.SignatureTime = time.Now
		r := newLocalRootResolver(t, o)
		const year = 365 * 24 * time.Hour
		for _, step := range []struct {
			clock time.Duration
			inUse bool
		}{{0, true}, {-20 * year, false}, {0, true}, {time.Hour, false}, {30 * 24 * time.Hour, false}, {10 * year, false}, {59 * time.Minute, true}} {
			clock.Store(int64(step.clock))
			r.Options().Cache.Clear()
			result, err := r.Resolve(context.Background(), "www.example.", dns.TypeA)
			if err != nil || result.Status != dnssec.Secure {
				t.Errorf("%v: got %v, %v", step.clock, result, err)
			}
			if s := r.LocalRootState(); s.InUse != step.inUse {
				t.Errorf("%v: in use: %t, want %t", step.clock, s.InUse, step.inUse)
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

// answering answers any A question with an address.
func answering(address string) dns.Handler {
	return dns.HandlerFunc(func(to dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.Authoritative = true
		if q := query.Question[0]; q.Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.ParseIP(address)}}
		}
		to.WriteMsg(reply)
	})
}

// When a copy is replaced, what older ones have said is used for its TTL and no longer: in memory, out of
// a snapshot and from a second level, with prefetching and stale answers, and though the root servers have
// not changed. A missing name is not missing for longer either.
func TestLocalRootNewerThanTheCaches(t *testing.T) {
	const delegation, denial = 48 * time.Hour, 24 * time.Hour // the TTLs in the root zone
	const step, moved = 10 * time.Minute, "192.0.2.55"
	for _, mode := range []string{"memory", "snapshot", "second level"} {
		synctest.Test(t, func(t *testing.T) {
			w := newLocalRootWorld(t, rootsigner.Options{})
			w.Handle("198.18.0.5", answering(moved))
			source, store := new(sourceOf), newStore()
			source.set(w.text)
			start := func(change func(*resolver.Options)) *resolver.Resolver {
				o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{source.source()}})
				o.ServeStale = true
				if mode == "second level" {
					o.SecondLevel, o.ViewName = store, "test"
				}
				if change != nil {
					change(&o)
				}
				return newLocalRootResolver(t, o)
			}
			ask := func(r *resolver.Resolver, name string) string {
				result, err := r.Resolve(context.Background(), name, dns.TypeA)
				switch {
				case err != nil:
					t.Errorf("%s: %s: %v", mode, name, err)
					return err.Error()
				case len(result.Answer) == 1:
					return result.Answer[0].(*dns.A).A.String()
				}
				return dns.RcodeToString[result.Rcode]
			}
			r := start(nil)
			if a, b := ask(r, "www.test."), ask(r, "www.new."); a != "192.0.2.1" || b != "NXDOMAIN" {
				t.Fatalf("%s: got %s, %s", mode, a, b)
			}
			records := strings.Replace(localRootRecords, "ns.test. A 198.18.0.3", "ns.test. A 198.18.0.5", 1) + "new. NS ns.new.\nns.new. A 198.18.0.5\n"
			source.set(rootsigner.Sign(t, records+exampleDS(t), rootsigner.Options{Signed: time.Now(), Serial: 2026010101}))
			begun := time.Now()
			if mode != "memory" {
				synctest.Wait()
				var kept bytes.Buffer
				if _, err := r.Options().Cache.WriteTo(&kept); err != nil {
					t.Fatal(err)
				}
				restored := cache.New(cache.Options{KeepStale: day})
				if mode == "snapshot" {
					if _, err := restored.ReadFrom(&kept); err != nil {
						t.Fatal(err)
					}
				}
				r.Close()
				r = start(func(o *resolver.Options) { o.Cache = restored })
			} else {
				time.Sleep(30 * time.Minute)
			}
			if s := r.LocalRootState(); s.Serial != 2026010101 {
				t.Fatalf("%s: got %+v", mode, s)
			}
			var testMoved, newFound time.Duration
			for time.Since(begun) < delegation+2*time.Hour {
				a, b := ask(r, "www.test."), ask(r, "www.new.")
				if testMoved == 0 && a == moved {
					testMoved = time.Since(begun)
				} else if testMoved > 0 && a != moved {
					t.Errorf("%s: back to %s after %v", mode, a, time.Since(begun))
				}
				if newFound == 0 && b == moved {
					newFound = time.Since(begun)
				} else if newFound > 0 && b != moved {
					t.Errorf("%s: back to %s after %v", mode, b, time.Since(begun))
				}
				time.Sleep(step)
			}
			t.Logf("%s: the new server is asked after %v, the new name found after %v", mode, testMoved, newFound)
			if testMoved == 0 || testMoved > delegation+step || newFound == 0 || newFound > denial+step {
				t.Errorf("%s: the new server is asked after %v, the new name found after %v", mode, testMoved, newFound)
			}
			if root, _ := w.rootQueries(0); len(root) > 0 {
				t.Errorf("%s: root servers are asked for %v", mode, root)
			}
		})
	}
}

// A thousand questions at once get the same answers while copies are replaced, expire and come back.
func TestLocalRootThousandQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		source := new(sourceOf)
		sign := func(serial uint32) {
			source.set(rootsigner.Sign(t, localRootRecords+exampleDS(t), rootsigner.Options{Signed: time.Now(), Serial: serial, Expire: 3600}))
		}
		sign(2026010100)
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{source.source()}}))
		var asking sync.WaitGroup
		var with, without atomic.Int32
		for i := range 1000 {
			asking.Go(func() {
				for n := range 8 {
					time.Sleep(31*time.Minute + time.Duration(i)*time.Millisecond)
					name, qtype, rcode := fmt.Sprintf("a%d.missing-%d.", n, i), dns.TypeA, dns.RcodeNameError
					switch i % 3 {
					case 1:
						name, rcode = fmt.Sprintf("www%d-%d.example.", n, i), dns.RcodeNameError
					case 2:
						name, qtype, rcode = "example.", dns.TypeDS, dns.RcodeSuccess
					}
					result, err := r.Resolve(context.Background(), name, qtype)
					if err != nil || result.Rcode != rcode || result.Status != dnssec.Secure {
						t.Errorf("%s: got %v, %v", name, result, err)
					}
					if r.LocalRootState().InUse {
						with.Add(1)
					} else {
						without.Add(1)
					}
					if i == 0 {
						r.Options().Cache.Clear()
					}
				}
			})
		}
		for n := range uint32(3) {
			time.Sleep(29 * time.Minute)
			sign(2026010101 + n)
		}
		source.set("") // until it expires
		time.Sleep(90 * time.Minute)
		sign(2026010110)
		asking.Wait()
		if with.Load() == 0 || without.Load() == 0 || r.LocalRootState().Serial != 2026010110 {
			t.Errorf("got %d with a copy, %d without, %+v", with.Load(), without.Load(), r.LocalRootState())
		}
	})
}
