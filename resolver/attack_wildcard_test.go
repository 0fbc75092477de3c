package resolver_test

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// wildcardWorld has wildcards beside names that they do not match, in a zone and in the
// zone above it; %s are words for the headers of both.
const wildcardWorld = `
-- zone example. at 198.51.100.2 signed %[1]s --
*               A       192.0.2.70
*.par           A       192.0.2.71
-- zone shop.example. at 198.51.100.3 signed %[1]s --
www             A       192.0.2.80
*.wild          A       192.0.2.82
e.wild          A       192.0.2.83
x.deep.wild     A       192.0.2.84
*.gate          A       192.0.2.85
*.gate          TXT     "gate"
*.text          TXT     "no address"
`

// wildcardGame is a reply made of genuine ones, which somebody without the keys of the zone
// can send: a secondary gone bad, or an attacker on the path.
type wildcardGame struct {
	about string
	name  string // asked for; an A record
	from  string // the server asked for the answer that is replayed
	shown string // of which name it is
	proof string // the name whose reply has the proof; "": as it came
	rcode int
	// change is applied to the signatures of the answer.
	change func(*dns.RRSIG)
}

const (
	ofShop   = "198.51.100.3"
	ofParent = "198.51.100.2"
)

var wildcardGames = []wildcardGame{
	{about: "expanded for a name that is there", name: "e.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example."},
	{about: "the same with the proof of a name further on", name: "e.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example.", proof: "z.wild.shop.example."},
	{about: "expanded below a name that is there", name: "b.e.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example."},
	{about: "expanded below an empty non-terminal", name: "a.deep.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example."},
	{about: "expanded beside the wildcard", name: "a.shop.example.", from: ofShop, shown: "a.wild.shop.example."},
	{about: "another wildcard's data", name: "a.wild.shop.example.", from: ofShop, shown: "a.gate.shop.example."},
	{about: "labels: those of the name", name: "a.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example.", change: func(s *dns.RRSIG) { s.Labels = 4 }},
	{about: "labels: those of the apex", name: "a.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example.", change: func(s *dns.RRSIG) { s.Labels = 2 }},
	{about: "labels: fewer than the signer's", name: "a.wild.shop.example.", from: ofShop, shown: "a.wild.shop.example.", change: func(s *dns.RRSIG) { s.Labels = 1 }},
	{about: "wildcard of the zone above", name: "a.shop.example.", from: ofParent, shown: "a.example."},
	{about: "the same for a name that is there", name: "www.shop.example.", from: ofParent, shown: "a.example."},
	{about: "wildcard of the zone above, with the proof of the zone", name: "a.shop.example.", from: ofParent, shown: "a.example.", proof: "b.shop.example."},
	{about: "wildcard of the zone above, signer renamed", name: "a.shop.example.", from: ofParent, shown: "a.example.", change: func(s *dns.RRSIG) { s.SignerName = "shop.example." }},
	{about: "NODATA of a sibling wildcard", name: "a.wild.shop.example.", from: ofShop, shown: "a.text.shop.example."},
	{about: "name error of a sibling", name: "a.wild.shop.example.", from: ofShop, shown: "a.shop.example.", rcode: dns.RcodeNameError},
	{about: "name error of the zone above", name: "a.wild.shop.example.", from: ofParent, shown: "a.b.par.example.", rcode: dns.RcodeNameError},
}

// honestWildcards are the twins: the answers of true wildcards, with proof.
var honestWildcards = [][2]string{
	{"a.wild.shop.example.", "192.0.2.82"}, {"a.b.c.wild.shop.example.", "192.0.2.82"}, {"e.wild.shop.example.", "192.0.2.83"},
	{"x.deep.wild.shop.example.", "192.0.2.84"}, {"a.gate.shop.example.", "192.0.2.85"}, {"a.example.", "192.0.2.70"},
	{"www.shop.example.", "192.0.2.80"},
}

// TestAttackWildcards: an answer of a wildcard is not accepted for a name that it does not
// match, whatever the labels of its signature, the owner of the proof beside it and the
// zone it is of; nothing of it is in the cache afterwards, nor anything synthesised from
// it; and the answers of true wildcards are Secure, to the same resolver at once
// (attacks.md 12 and 13).
func TestAttackWildcards(t *testing.T) {
	t.Logf("%-62s %5s  %s", "wildcard", "sends", "end")
	for _, words := range []string{"", "nsec3"} {
		text := fmt.Sprintf(wildcardWorld, words)
		for _, g := range wildcardGames {
			t.Run(strings.TrimSpace(g.about+" "+words), func(t *testing.T) {
				inWorld(t, text, func(w *world) {
					reply := g.reply(w)
					w.in.Fault("shop.example.", resolvertest.Hook(func(query, genuine *dns.Msg) {
						if q := query.Question[0]; strings.EqualFold(q.Name, g.name) && q.Qtype == dns.TypeA {
							genuine.Rcode, genuine.Answer, genuine.Ns = reply.Rcode, reply.Answer, reply.Ns
						}
					}))
					w.wantForged(strings.TrimSpace(g.about+" "+words), g.name)
					w.in.Fault("shop.example.", resolvertest.Mend())
					w.wantWildcards(g.name)
					time.Sleep(afterRefusal)
					w.wantWildcards("")
				}, ipv4Only, minimiseOff)
			})
		}
		inWorld(t, text, func(w *world) { w.wantWildcards("") }, ipv4Only)
	}
}

// reply makes the lie.
func (g *wildcardGame) reply(w *world) *dns.Msg {
	w.Helper()
	shown := serverSays(w.T, w.in, g.from, g.shown, dns.TypeA)
	if g.proof != "" {
		shown.Ns = serverSays(w.T, w.in, ofShop, g.proof, dns.TypeA).Ns
	}
	shown.Rcode = g.rcode
	if len(shown.Answer)+len(shown.Ns) < 2 {
		w.Fatalf("%s: nothing to replay:\n%v", g.shown, shown)
	}
	for _, rr := range shown.Answer {
		rr.Header().Name = g.name
		if sig, ok := rr.(*dns.RRSIG); ok && g.change != nil {
			g.change(sig)
		}
	}
	return shown
}

// wantForged asks, wants the answer to be bogus at a bounded price, and nothing to be kept.
func (w *world) wantForged(about, name string) {
	w.Helper()
	w.in.ResetLog()
	got := exchangeResult(w.r.Resolve(w.Context(), name, dns.TypeA))
	w.settle()
	sends := w.in.Count(notPriming)
	w.Logf("%-62s %5d  %s", about, sends, got)
	const most = 16
	if sends > most || got != "bogus" {
		w.Errorf("%s: got %s after %d sends, want bogus after %d at most:\n%s", about, got, sends, most, resolvertest.Table(w.in.Log()))
	}
	w.wantNotCached(name, dns.TypeA)
}

// wantWildcards asks for all that is true, but for the one name that has failed just now.
func (w *world) wantWildcards(failed string) {
	w.Helper()
	for range 2 { // from the servers, and out of the cache
		for _, honest := range honestWildcards {
			if honest[0] == failed {
				continue
			}
			got, want := exchangeResult(w.r.Resolve(w.Context(), honest[0], dns.TypeA)), "NOERROR secure "+honest[1]
			if got != want {
				w.Errorf("%s: got %s, want %s", honest[0], got, want)
			}
		}
	}
}

// evilZone is a zone whose owner has its keys and signs anything: evil.example., behind a
// handler.
type evilZone struct {
	t       *testing.T
	key     *dns.DNSKEY
	private crypto.Signer
	denials []dns.RR
	more    []dns.RR // keys that it publishes besides, before its own
}

func newEvilZone(t *testing.T) *evilZone {
	t.Helper()
	const secureEntryPoint = 257
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "evil.example.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: secureEntryPoint, Protocol: 3, Algorithm: dns.ED25519,
	}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	return &evilZone{t: t, key: key, private: private.(crypto.Signer)}
}

// sign returns records with a signature over them as if their owner were another name: of a
// wildcard, it has that one's labels.
func (z *evilZone) sign(as string, rrs ...dns.RR) []dns.RR {
	owner := rrs[0].Header().Name
	signed := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		signed[i] = dns.Copy(rr)
		signed[i].Header().Name = as
	}
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: owner, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 300},
		Algorithm: z.key.Algorithm, KeyTag: z.key.KeyTag(), SignerName: z.key.Hdr.Name,
		Inception: uint32(time.Now().Add(-time.Hour).Unix()), Expiration: uint32(time.Now().Add(time.Hour).Unix()),
	}
	if err := sig.Sign(z.private, signed); err != nil {
		z.t.Error(err)
	}
	sig.Hdr.Name = owner
	return append(slices.Clone(rrs), sig)
}

// serve answers any question for an address with the same address, signed as a name.
func (z *evilZone) serve(as string) dns.HandlerFunc {
	return func(rw dns.ResponseWriter, query *dns.Msg) {
		q := query.Question[0]
		m := new(dns.Msg).SetReply(query)
		m.Authoritative = true
		m.SetEdns0(1232, true)
		soa := z.record("evil.example. 300 IN SOA ns.evil.example. h.evil.example. 1 1 1 1 300")
		switch {
		case q.Qtype == dns.TypeDNSKEY:
			m.Answer = z.sign("evil.example.", append(slices.Clone(z.more), z.key)...)
		case q.Qtype == dns.TypeA && !strings.EqualFold(q.Name, "evil.example."):
			m.Answer = z.sign(as, z.record(q.Name+" 300 IN A 203.0.113.66"))
			m.Ns = z.denials
		default:
			m.Ns = append(z.sign("evil.example.", soa), z.sign("evil.example.", z.record("evil.example. 300 IN NSEC *.evil.example. NS SOA RRSIG NSEC DNSKEY"))...)
		}
		if err := rw.WriteMsg(m); err != nil {
			z.t.Error(err)
		}
	}
}

func (z *evilZone) record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		z.t.Error(err)
	}
	return rr
}

// hashedAround is an NSEC3 record of the zone's that denies its own apex.
func hashedAround(zone string) string {
	hash := dns.HashName(zone, dns.SHA1, 0, "")
	last := len(hash) - 1
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV" // base32hex
	digit := strings.IndexByte(digits, hash[last])
	before, after := hash[:last]+string(digits[max(digit-1, 0)]), hash[:last]+string(digits[min(digit+1, len(digits)-1)])
	return fmt.Sprintf("%s.%s 300 IN NSEC3 1 0 0 - %s A RRSIG", before, zone, after)
}

// TestAttackWildcardSigners: by changing label counts a zone cannot speak for names above
// it or beside it with its own keys; its true wildcards are Secure.
func TestAttackWildcardSigners(t *testing.T) {
	for _, test := range []struct {
		about, as string
		denial    string // an NSEC record of the zone's, "": none
		ask, want string
	}{
		{"true wildcard at the apex", "*.evil.example.", "*.evil.example. 300 IN NSEC evil.example. A RRSIG NSEC", "www.evil.example.", "NOERROR secure 203.0.113.66"},
		{"true wildcard, further down", "*.w.evil.example.", "*.w.evil.example. 300 IN NSEC evil.example. A RRSIG NSEC", "www.w.evil.example.", "NOERROR secure 203.0.113.66"},
		{"no wildcard", "www.evil.example.", "", "www.evil.example.", "NOERROR secure 203.0.113.66"},
		{"without proof", "*.evil.example.", "", "www.evil.example.", "bogus"},
		{"proof by a record of the zone above", "*.evil.example.", "*.example. 300 IN NSEC example. A RRSIG NSEC", "www.evil.example.", "bogus"},
		{"next name in the zone above", "*.evil.example.", "*.evil.example. 300 IN NSEC x.example. A RRSIG NSEC", "www.evil.example.", "bogus"},
		{"labels of the zone above", "*.example.", "*.evil.example. 300 IN NSEC evil.example. A RRSIG NSEC", "www.evil.example.", "bogus"},
		{"labels of the zone above, the apex denied", "*.example.", hashedAround("evil.example."), "www.evil.example.", "bogus"},
		{"a name of the sibling's", "*.sibling.example.", "*.evil.example. 300 IN NSEC evil.example. A RRSIG NSEC", "www.sibling.example.", "bogus"},
		{"a name of the sibling's, by the wildcard above", "*.example.", "*.evil.example. 300 IN NSEC evil.example. A RRSIG NSEC", "www.sibling.example.", "bogus"},
	} {
		t.Run(test.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newEvilZone(t)
				ds := z.key.ToDS(dns.SHA256)
				if test.denial != "" {
					rr := z.record(test.denial)
					z.denials = z.sign(rr.Header().Name, rr)
				}
				in := resolvertest.New(t, fmt.Sprintf(`
-- zone example. at 198.51.100.2 signed --
evil            NS      ns.evil
ns.evil         A       %[1]s
evil            DS      %[2]d 15 2 %[3]s
-- zone sibling.example. at 198.51.100.4 signed --
www             A       192.0.2.90
`, attackerAt, ds.KeyTag, strings.ToUpper(ds.Digest)))
				in.Handle(attackerAt, z.serve(test.as))
				w := &world{t, in, in.Resolver(t, ipv4Only, minimiseOff)}
				if strings.HasSuffix(test.ask, ".sibling.example.") {
					// The sibling's servers are the attacker's for this one question.
					lie := serverSays(t, in, attackerAt, test.ask, dns.TypeA)
					in.Fault("198.51.100.4", resolvertest.Hook(func(query, reply *dns.Msg) {
						if query.Question[0].Qtype == dns.TypeA {
							reply.Rcode, reply.Answer, reply.Ns = lie.Rcode, lie.Answer, lie.Ns
						}
					}))
				}
				if test.want == "bogus" {
					w.wantForged(test.about, test.ask)
				} else if got := exchangeResult(w.r.Resolve(t.Context(), test.ask, dns.TypeA)); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				in.Fault("198.51.100.4", resolvertest.Mend())
				if test.ask == "www.sibling.example." {
					time.Sleep(afterRefusal)
				}
				if got, want := exchangeResult(w.r.Resolve(t.Context(), "www.sibling.example.", dns.TypeA)), "NOERROR secure 192.0.2.90"; got != want {
					t.Errorf("the sibling afterwards: got %s, want %s", got, want)
				}
			})
		})
	}
}
