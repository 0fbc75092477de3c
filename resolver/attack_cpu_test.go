package resolver_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// slowSignatures is Ed25519 with a delay for each check, so that computing shows on the
// clock of the bubble. It counts its checks.
type slowSignatures struct {
	pause                  time.Duration
	parsed, begun, running atomic.Int64
}

// ParseKey takes nothing but the 32 bytes of RFC 8080 §3.
func (s *slowSignatures) ParseKey(public string) (dnssec.PublicKey, error) {
	s.parsed.Add(1)
	if len(public) != ed25519.PublicKeySize {
		return nil, dnssec.ErrMalformedKey
	}
	return slowKey{s, ed25519.PublicKey(public)}, nil
}

// use makes a resolver check Ed25519 with it.
func (s *slowSignatures) use(o *resolver.Options) {
	o.Algorithms = map[uint8]dnssec.Algorithm{dns.ED25519: s}
}

type slowKey struct {
	*slowSignatures
	public ed25519.PublicKey
}

func (k slowKey) Cost() int { return 1 }

func (k slowKey) Verify(message []byte, signature string) bool {
	k.begun.Add(1)
	k.running.Add(1)
	defer k.running.Add(-1)
	time.Sleep(k.pause)
	return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.public, message, []byte(signature))
}

// slowWorld has one zone signed with the algorithm that is slow. All servers are 20 ms away.
const slowWorld = `
-- zone . at 198.18.0.1 algorithm=13 --
-- zone example. at 198.18.0.2 algorithm=13 --
-- zone attacker.example. at 198.51.100.66 algorithm=15 --
*               A       192.0.2.66
-- zone shop.example. at 198.51.100.3 algorithm=13 --
www             A       192.0.2.80
*               A       192.0.2.81
-- zone plain.example. at 198.51.100.4 --
*               A       192.0.2.82
-- fault * --
latency 20ms
`

// TestAttackOthersGoOn: while the signature checks that a hostile zone makes 50 questions do
// go on, each for a tenth of a second, others are answered in the time that their packets
// take: out of the cache at once, from the network after one round trip, with a signed
// answer and an unsigned one, by Resolve and by Exchange (attacks.md 27).
func TestAttackOthersGoOn(t *testing.T) {
	slow := &slowSignatures{pause: 100 * time.Millisecond}
	inWorld(t, slowWorld, func(w *world) {
		w.in.Fault("attacker.example.", keyTrap(0, 8))
		for _, name := range []string{"www.shop.example.", "known.plain.example."} {
			w.ask(name, dns.TypeA)
		}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				_, err := w.r.Resolve(w.Context(), fmt.Sprintf("x%d.attacker.example.", i), dns.TypeA)
				var limit *resolver.LimitError
				if !errors.As(err, &limit) || limit.Limit != "SignaturesPerRRset" {
					t.Errorf("question %d of the attacker: got %v, want the limit SignaturesPerRRset", i, err)
				}
			})
		}
		time.Sleep(150 * time.Millisecond)
		for round := range 12 {
			for _, other := range []struct {
				name, records string
				took          time.Duration
			}{
				{"www.shop.example.", "www.shop.example. A 192.0.2.80", 0},
				{fmt.Sprintf("n%d.shop.example.", round), "n%d.shop.example. A 192.0.2.81", 20 * time.Millisecond},
				{fmt.Sprintf("n%d.plain.example.", round), "n%d.plain.example. A 192.0.2.82", 20 * time.Millisecond},
			} {
				w.wantBeside(other.name, strings.ReplaceAll(other.records, "%d", fmt.Sprint(round)), other.took)
			}
			if slow.running.Load() == 0 {
				t.Fatalf("round %d: no check is under way any more", round)
			}
		}
		all.Wait()
	}, ipv4Only, slow.use, func(o *resolver.Options) { o.DisablePrefetch = true })
}

// wantBeside asks for one address record, by Resolve and then, when it is known, as a message.
func (w *world) wantBeside(name, record string, most time.Duration) {
	w.Helper()
	o := w.ask(name, dns.TypeA).within(w, most)
	if o.err != nil || !slices.Equal(brief(answerRecords(o.Answer)), []string{record}) {
		w.Errorf("%s: got %v, want %s", name, o, record)
	}
	begin := time.Now()
	reply, err := w.r.Exchange(w.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA))
	if err != nil || !slices.Equal(brief(reply.Answer), []string{record}) || time.Since(begin) > 0 {
		w.Errorf("%s as a message: got %v, %v after %v, want %s at once", name, reply, err, time.Since(begin), record)
	}
}

// TestAttackCancelledChecks: when nobody waits for the question any more, or its time is
// over, the check that is under way is the last; while somebody waits, it goes on
// (attacks.md 24).
func TestAttackCancelledChecks(t *testing.T) {
	const pause = 100 * time.Millisecond
	for _, test := range []struct {
		about  string
		stays  bool // somebody else, who asks the same
		limit  time.Duration
		checks int64 // that have begun in the end
	}{
		// 20 ms for each of two steps, the second of which brings what is checked.
		{about: "its caller leaves", checks: 3},
		{about: "one of two callers leaves", stays: true, checks: 8},
		{about: "its time is over", limit: 300 * time.Millisecond, checks: 3},
	} {
		t.Run(test.about, func(t *testing.T) {
			slow := &slowSignatures{pause: pause}
			inWorld(t, slowWorld, func(w *world) {
				w.in.Fault("attacker.example.", keyTrap(0, 8))
				w.ask("none.example.", dns.TypeA)
				ctx, cancel := context.WithCancel(w.Context())
				defer cancel()
				var all sync.WaitGroup
				ask := func(ctx context.Context, want func(error) bool) {
					all.Go(func() {
						if _, err := w.r.Resolve(ctx, "x.attacker.example.", dns.TypeA); !want(err) {
							t.Errorf("got %v", err)
						}
					})
				}
				over := func(name string) func(error) bool {
					return func(err error) bool {
						var limit *resolver.LimitError
						return errors.As(err, &limit) && limit.Limit == name
					}
				}
				switch {
				case test.limit != 0:
					ask(w.Context(), over("Time"))
				case test.stays:
					ask(w.Context(), over("SignaturesPerRRset"))
					fallthrough
				default:
					ask(ctx, func(err error) bool { return errors.Is(err, context.Canceled) })
				}
				time.Sleep(50*time.Millisecond + 5*pause/2) // in the middle of the third
				if got := slow.begun.Load(); got != 3 || slow.running.Load() != 1 {
					t.Fatalf("%d checks have begun, %d are under way; want 3 and 1", got, slow.running.Load())
				}
				cancel()
				all.Wait()
				w.settle()
				if got := slow.begun.Load(); got != test.checks {
					t.Errorf("%d checks were begun in all, want %d", got, test.checks)
				}
				synctest.Wait()
				if s := w.r.Stats(); s.InFlight != 0 {
					t.Errorf("%d questions are still under way", s.InFlight)
				}
			}, ipv4Only, slow.use, func(o *resolver.Options) { o.Limits.Time = test.limit })
		})
	}
}

// TestAttackMalformedKeys: malformed keys, as many as an RRset may have, published and
// signed by the owner of the zone. Each is looked at once at most, whatever tag it has, and
// the question is answered, or fails by the limit on keys of one tag (attacks.md 30,
// CVE-2025-8677).
func TestAttackMalformedKeys(t *testing.T) {
	const keys = 200
	for _, test := range []struct {
		about  string
		make   func(z *evilZone, n int) *dns.DNSKEY
		signed func(sig *dns.RRSIG, z *evilZone) // what is done to the signature of the answer; may be nil
		limit  string                            // "": it is answered
		parsed int64
	}{
		{about: "each with a tag of its own", make: otherTag, parsed: 2},
		{about: "all with the tag of the good key", make: paddedKey, limit: "KeysPerTag", parsed: 2},
		{about: "all with the tag that the answer's signatures name", make: repeatedTag,
			signed: func(sig *dns.RRSIG, z *evilZone) { sig.KeyTag = repeatedTag(z, 1).KeyTag() }, limit: "KeysPerTag", parsed: 4},
	} {
		t.Run(test.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := new(slowSignatures)
				z := newEvilZone(t)
				for n := range keys {
					z.more = append(z.more, test.make(z, 1+n))
				}
				ds := z.key.ToDS(dns.SHA256)
				in := resolvertest.New(t, fmt.Sprintf(`
-- zone . at 198.18.0.1 algorithm=13 --
-- zone example. at 198.51.100.2 algorithm=13 --
evil            NS      ns.evil
ns.evil         A       %[1]s
evil            DS      %[2]d 15 2 %[3]s
`, attackerAt, ds.KeyTag, strings.ToUpper(ds.Digest)))
				serve := z.serve("www.evil.example.")
				in.Handle(attackerAt, dns.HandlerFunc(func(rw dns.ResponseWriter, query *dns.Msg) {
					serve(changedWriter{rw, func(m *dns.Msg) { z.manySignatures(m, test.signed) }}, query)
				}))
				w := &world{t, in, in.Resolver(t, ipv4Only, minimiseOff, slow.use)}
				o := w.ask("www.evil.example.", dns.TypeA).atMost(w, 12)
				var limit *resolver.LimitError
				switch {
				case test.limit == "" && (o.err != nil || o.Status != dnssec.Secure):
					t.Errorf("got %v, want a Secure answer", o)
				case test.limit != "" && (!errors.As(o.err, &limit) || limit.Limit != test.limit):
					t.Errorf("got %v, want the limit %s", o, test.limit)
				}
				if got := slow.parsed.Load(); got > test.parsed || slow.begun.Load() > 8 {
					t.Errorf("%d keys were read and %d signatures checked, want at most %d and 8", got, slow.begun.Load(), test.parsed)
				}
			})
		})
	}
}

// otherTag makes keys of three bytes.
func otherTag(z *evilZone, n int) *dns.DNSKEY { return z.keyOf([]byte{byte(n), byte(n >> 4), 1}) }

// repeatedTag makes keys with one tag: what the first bytes have more the next have less.
func repeatedTag(z *evilZone, n int) *dns.DNSKEY {
	return z.keyOf([]byte{0, byte(n), 0, byte(255 - n), 7})
}

// paddedKey makes keys with the tag of the good one: zeros at the end leave the sum as it
// is (RFC 4034 appendix B).
func paddedKey(z *evilZone, n int) *dns.DNSKEY {
	raw, err := base64.StdEncoding.DecodeString(z.key.PublicKey)
	if err != nil {
		z.t.Fatal(err)
	}
	return z.keyOf(append(raw, make([]byte, 2*n)...))
}

func (z *evilZone) keyOf(raw []byte) *dns.DNSKEY {
	key := *z.key
	key.PublicKey = base64.StdEncoding.EncodeToString(raw)
	return &key
}

// manySignatures puts, in the place of an address's signature, eight that are changed.
func (z *evilZone) manySignatures(m *dns.Msg, change func(*dns.RRSIG, *evilZone)) {
	if change == nil || m.Question[0].Qtype != dns.TypeA {
		return
	}
	var all []dns.RR
	for _, rr := range m.Answer {
		sig, ok := rr.(*dns.RRSIG)
		if !ok {
			all = append(all, rr)
			continue
		}
		change(sig, z)
		all = append(append(all, wrongSignatures(sig, 7)...), sig)
	}
	m.Answer = all
}

// changedWriter changes messages on their way out.
type changedWriter struct {
	dns.ResponseWriter
	change func(*dns.Msg)
}

// WriteMsg changes the message and sends it.
func (w changedWriter) WriteMsg(m *dns.Msg) error {
	w.change(m)
	return w.ResponseWriter.WriteMsg(m)
}
