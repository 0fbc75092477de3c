package realsigned

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/resolver"
)

// verdict is what a validating resolver answers a client.
type verdict struct {
	rcode int
	ad    bool
}

func (v verdict) String() string {
	if v.ad {
		return dns.RcodeToString[v.rcode] + " AD"
	}
	return dns.RcodeToString[v.rcode]
}

func verdictQuery(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, true)
}

// Options says what is tried, and what is expected of it.
type Options struct {
	// Algorithms are the numbers of those that zones are signed with; nil: all that the
	// products have.
	Algorithms []uint8
	// Added are algorithms that the resolver is given beside its own.
	Added map[uint8]dnssec.Algorithm
	// Differences is the text that explains where other resolvers differ; see
	// differences.
	Differences string
}

// supports says which algorithms we can check: all that are in use but Ed448, which Go
// does not have.
func (o *Options) supports(algorithm uint8) bool {
	return algorithm != dns.ED448 || o.Added[algorithm] != nil
}

// Test signs zones, serves them, and compares our verdicts with what they have to be, and
// with those of Unbound and Knot Resolver.
func Test(t *testing.T, o Options) {
	w := newWorld(t, o)
	r := w.ours(t)
	for _, z := range w.zones {
		for _, q := range z.questions() {
			want := verdict{q.rcode, q.ad}
			if !o.supports(z.algorithm) {
				want.ad = false
				if q.kind == "changed" {
					want.rcode = dns.RcodeSuccess
				}
			}
			for _, turn := range []string{"cold", "again"} {
				reply := exchange(t, r, verdictQuery(in(q.name, z.origin), q.qtype))
				if got := (verdict{reply.Rcode, reply.AuthenticatedData}); got != want {
					t.Errorf("%s %s by %v, %s: got %v, want %v; extended errors %d", z.origin, q.kind, z.product, turn, got, want, extendedCodes(reply))
				}
				// An answer out of the cache does not say again why it is Insecure.
				const unsupported = dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm
				if codes := extendedCodes(reply); turn == "cold" && q.kind == "positive" && slices.Contains(codes, unsupported) == o.supports(z.algorithm) {
					t.Errorf("%s %s by %v: extended errors %d; the algorithm is supported: %t", z.origin, q.kind, z.product, codes, o.supports(z.algorithm))
				}
			}
		}
	}
	for _, p := range []realresolver.Product{realresolver.Unbound, realresolver.KnotResolver} {
		t.Run(p.String(), func(t *testing.T) { w.compare(t, r, p) })
	}
}

func exchange(t *testing.T, r *resolver.Resolver, query *dns.Msg) *dns.Msg {
	t.Helper()
	reply, err := r.Exchange(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// extendedCodes lists the extended DNS errors of a reply.
func extendedCodes(m *dns.Msg) []uint16 {
	var codes []uint16
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				codes = append(codes, ede.InfoCode)
			}
		}
	}
	return codes
}

func in(name, zone string) string { return strings.Replace(name, "$", zone, 1) }

// compare asks a peer what we were asked, and looks every difference up.
func (w *world) compare(t *testing.T, r *resolver.Resolver, p realresolver.Product) {
	addr := w.start(t, p)
	known := parseDifferences(t, w.options.Differences)
	client := dns.Client{Timeout: 5 * time.Second}
	questions, differ := 0, 0
	for _, z := range w.zones {
		for _, q := range z.questions() {
			query := verdictQuery(in(q.name, z.origin), q.qtype)
			reply, _, err := client.Exchange(query, addr.String())
			if err == nil && reply.Truncated {
				over := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
				reply, _, err = over.Exchange(query, addr.String())
			}
			if err != nil {
				t.Errorf("%s %s: %v", z.origin, q.kind, err)
				continue
			}
			questions++
			mine := exchange(t, r, query)
			ours, theirs := verdict{mine.Rcode, mine.AuthenticatedData}, verdict{reply.Rcode, reply.AuthenticatedData}
			if ours == theirs {
				continue
			}
			differ++
			if !known.explain(p.String(), z, q.kind, ours, theirs) {
				t.Errorf("%s, %s (%s): we say %v, %s says %v", z.origin, q.kind, z.product, ours, p, theirs)
			}
		}
	}
	known.checkUsed(t, p.String())
	t.Logf("%d questions, %d explained differences", questions, differ)
}

// difference is an explained difference: of a peer, zones, and a kind of question, both
// patterns of path.Match.
type difference struct {
	peer, zones, kind, ours, theirs string
	used                            bool
}

// differences are where our verdict differs from that of another resolver, each with the
// sentence of an RFC that it rests on as a comment above. Five fields: resolver | zones |
// kind of question | we say | it says. The second and third are patterns. A difference
// that is not there fails the test, and so does a line that explains nothing.
type differences []*difference

func parseDifferences(t *testing.T, text string) differences {
	t.Helper()
	var all differences
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 5 {
			t.Fatalf("differences: %q: want five fields", line)
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		all = append(all, &difference{peer: fields[0], zones: fields[1], kind: fields[2], ours: fields[3], theirs: fields[4]})
	}
	return all
}

func (all differences) explain(peer string, z *zone, kind string, ours, theirs verdict) bool {
	for _, d := range all {
		zoneFits, _ := filepath.Match(d.zones, z.origin)
		kindFits, _ := filepath.Match(d.kind, kind)
		if d.peer == peer && zoneFits && kindFits && d.ours == ours.String() && d.theirs == theirs.String() {
			d.used = true
			return true
		}
	}
	return false
}

// checkUsed fails for what is explained and does not happen.
func (all differences) checkUsed(t *testing.T, peer string) {
	t.Helper()
	for _, d := range all {
		if d.peer == peer && !d.used {
			t.Errorf("explained but not seen: %s | %s | %s | %s", d.zones, d.kind, d.ours, d.theirs)
		}
	}
}
