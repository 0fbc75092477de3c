package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// signedWorld is a tree of signed zones; %s are words for the header of the shop's.
const signedWorld = `
-- zone shop.example. at 198.51.100.3 signed %s --
www             A       192.0.2.80
www             AAAA    2001:db8::80
a.b.ent         A       192.0.2.81
alias           CNAME   www
twice           CNAME   alias
away            CNAME   www.plain.example.
dangling        CNAME   missing
over            CNAME   www.other.example.
old             DNAME   new
www.new         A       192.0.2.83
gone            DNAME   other.example.
insecure        NS      ns.insecure
ns.insecure     A       198.51.100.5
%s
-- zone insecure.shop.example. at 198.51.100.5 --
www             A       192.0.2.84
-- zone child.shop.example. at 198.51.100.4 signed --
www             A       192.0.2.85
-- zone same.shop.example. at 198.51.100.3 signed --
www             A       192.0.2.86
-- zone island.shop.example. at 198.51.100.6 no-ds --
www             A       192.0.2.87
-- zone below.island.shop.example. at 198.51.100.6 signed --
www             A       192.0.2.88
-- zone other.example. at 198.51.100.7 signed nsec3 --
www             A       192.0.2.89
-- zone plain.example. at 198.51.100.8 --
www             A       192.0.2.90
`

// wildcards are what a zone with compact denial cannot have.
const wildcards = `
*.wild          A       192.0.2.82
x.deep.wild     A       192.0.2.91
*.gate          CNAME   www
*.far           CNAME   www.other.example.
`

// signedQuestion is a question about signedWorld.
type signedQuestion struct {
	kind   string
	name   string
	qtype  uint16
	rcode  int
	status dnssec.Status
	answer string // of the last RRset: the data of its records
}

func signedQuestions(compact, optOut bool) []signedQuestion {
	const (
		secure   = dnssec.Secure
		insecure = dnssec.Insecure
		missing  = dns.RcodeNameError
	)
	// A name that may be an unsigned delegation in an opt-out range is Insecure (RFC 5155
	// §9.2).
	denied := secure
	if optOut {
		denied = insecure
	}
	questions := []signedQuestion{
		{"positive", "www.shop.example.", dns.TypeA, 0, secure, "192.0.2.80"},
		{"NODATA", "www.shop.example.", dns.TypeMX, 0, secure, ""},
		{"NODATA at the apex", "shop.example.", dns.TypeTXT, 0, secure, ""},
		{"NODATA, empty non-terminal", "b.ent.shop.example.", dns.TypeA, 0, secure, ""},
		{"positive below empty non-terminals", "a.b.ent.shop.example.", dns.TypeA, 0, secure, "192.0.2.81"},
		{"NXDOMAIN", "missing.shop.example.", dns.TypeA, missing, denied, ""},
		{"NXDOMAIN, two labels", "a.missing.shop.example.", dns.TypeA, missing, denied, ""},
		{"NXDOMAIN below a name", "missing.www.shop.example.", dns.TypeA, missing, denied, ""},
		{"NXDOMAIN below an empty non-terminal", "missing.ent.shop.example.", dns.TypeA, missing, denied, ""},
		{"CNAME", "alias.shop.example.", dns.TypeA, 0, secure, "192.0.2.80"},
		{"CNAME asked for", "alias.shop.example.", dns.TypeCNAME, 0, secure, "www.shop.example."},
		{"two CNAMEs", "twice.shop.example.", dns.TypeAAAA, 0, secure, "2001:db8::80"},
		{"CNAME to NODATA", "alias.shop.example.", dns.TypeMX, 0, secure, ""},
		{"CNAME to NXDOMAIN", "dangling.shop.example.", dns.TypeA, missing, denied, ""},
		{"CNAME into another signed zone", "over.shop.example.", dns.TypeA, 0, secure, "192.0.2.89"},
		{"CNAME into another signed zone, NODATA", "over.shop.example.", dns.TypeMX, 0, secure, ""},
		{"CNAME into an unsigned zone", "away.shop.example.", dns.TypeA, 0, insecure, "192.0.2.90"},
		{"DNAME", "www.old.shop.example.", dns.TypeA, 0, secure, "192.0.2.83"},
		{"DNAME, CNAME asked for", "www.old.shop.example.", dns.TypeCNAME, 0, secure, "www.new.shop.example."},
		{"DNAME asked for", "old.shop.example.", dns.TypeDNAME, 0, secure, "new.shop.example."},
		{"DNAME to NXDOMAIN", "a.old.shop.example.", dns.TypeA, missing, denied, ""},
		{"DNAME into another zone", "www.gone.shop.example.", dns.TypeA, 0, secure, "192.0.2.89"},
		{"insecure delegation", "www.insecure.shop.example.", dns.TypeA, 0, insecure, "192.0.2.84"},
		{"NXDOMAIN below an insecure delegation", "missing.insecure.shop.example.", dns.TypeA, missing, insecure, ""},
		{"DS of an insecure delegation", "insecure.shop.example.", dns.TypeDS, 0, denied, ""},
		{"signed delegation", "www.child.shop.example.", dns.TypeA, 0, secure, "192.0.2.85"},
		{"signed delegation on the same server", "www.same.shop.example.", dns.TypeA, 0, secure, "192.0.2.86"},
		{"island without DS", "www.island.shop.example.", dns.TypeA, 0, insecure, "192.0.2.87"},
		{"signed below an island", "www.below.island.shop.example.", dns.TypeA, 0, insecure, "192.0.2.88"},
		{"keys", "shop.example.", dns.TypeSOA, 0, secure, "ns1.shop.example. hostmaster.shop.example. 1 3600 600 604800 300"},
		{"TLD", "missing.example.", dns.TypeA, missing, secure, ""},
		{"root", "missing.", dns.TypeA, missing, secure, ""},
	}
	if !compact {
		questions = append(questions,
			signedQuestion{"wildcard", "a.wild.shop.example.", dns.TypeA, 0, denied, "192.0.2.82"},
			signedQuestion{"wildcard, two labels", "a.b.wild.shop.example.", dns.TypeA, 0, denied, "192.0.2.82"},
			signedQuestion{"wildcard asked for by its name", "*.wild.shop.example.", dns.TypeA, 0, secure, "192.0.2.82"},
			signedQuestion{"wildcard NODATA", "a.wild.shop.example.", dns.TypeMX, 0, denied, ""},
			signedQuestion{"no wildcard below an empty non-terminal", "a.deep.wild.shop.example.", dns.TypeA, missing, denied, ""},
			signedQuestion{"wildcard CNAME", "a.gate.shop.example.", dns.TypeA, 0, denied, "192.0.2.80"},
			signedQuestion{"wildcard CNAME into another zone", "a.far.shop.example.", dns.TypeA, 0, denied, "192.0.2.89"},
		)
	}
	return questions
}

// resolveWithChain asks for an answer and its evidence.
func resolveWithChain(ctx context.Context, r *resolver.Resolver, q signedQuestion) (*resolver.Result, error) {
	return r.Resolve(resolver.WithChain(ctx), q.name, q.qtype)
}

// check compares a result with what the question wants, and judges its evidence again.
func (q signedQuestion) check(in *resolvertest.Internet, result *resolver.Result) error {
	got := fmt.Sprint(dns.RcodeToString[result.Rcode], " ", result.Status, " ", lastData(result.Answer, q.qtype))
	want := fmt.Sprint(dns.RcodeToString[q.rcode], " ", q.status, " ", q.answer)
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return checkChain(in, result)
}

// checkChain judges the evidence of a result with nothing but the anchors.
func checkChain(in *resolvertest.Internet, result *resolver.Result) error {
	if len(result.Chain) == 0 {
		return fmt.Errorf("%s result without evidence", result.Status)
	}
	verdict, err := dnssec.VerifyChain(result.Chain, in.Anchors(), in.Now())
	switch {
	case err != nil:
		return fmt.Errorf("judged again: %w\n%s", err, chainText(result.Chain))
	case verdict.Status != result.Status:
		return fmt.Errorf("judged again: %v, %v, want %v\n%s", verdict.Status, verdict.Reason, result.Status, chainText(result.Chain))
	}
	return nil
}

func chainText(chain []dnssec.Link) string {
	var b strings.Builder
	for i := range chain {
		fmt.Fprintf(&b, "%v: %d and %d RRsets\n", &chain[i], len(chain[i].Answer), len(chain[i].Authority))
	}
	return b.String()
}

// lastData returns the data of the last RRset, if it is of the type.
func lastData(rrs []dns.RR, qtype uint16) string {
	var data []string
	for _, rr := range rrs {
		if rr.Header().Rrtype == qtype {
			data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(data)
	return strings.Join(data, ", ")
}

// Every kind of answer, from zones signed in every way: with an empty cache, again, and
// with a cache that other questions have filled.
func TestValidatedAnswers(t *testing.T) {
	ways := []string{
		"", "algorithm=14", "algorithm=8,13 zsk=1,2 ksk=1,2 ds=1,2 sign=1,2", "digest=4",
		"nsec3 iterations=50 salt=aabbccdd", "opt-out", "compact",
	}
	if !testing.Short() {
		ways = append(ways, "algorithm=5", "algorithm=7", "algorithm=8", "algorithm=8 bits=2048", "algorithm=10", "algorithm=13",
			"csk", "digest=1", "nsec3")
	}
	for _, words := range ways {
		t.Run(words, func(t *testing.T) {
			compact, optOut := strings.Contains(words, "compact"), strings.Contains(words, "opt-out")
			more := wildcards
			if compact {
				more = ""
			}
			world := fmt.Sprintf(signedWorld, words, more)
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, world)
				shared := in.Resolver(t)
				for _, q := range signedQuestions(compact, optOut) {
					askThreeTimes(t, in, shared, q)
				}
			})
		})
	}
}

func askThreeTimes(t *testing.T, in *resolvertest.Internet, shared *resolver.Resolver, q signedQuestion) {
	own := in.Resolver(t)
	for _, turn := range []struct {
		name string
		r    *resolver.Resolver
	}{{"cold", own}, {"again", own}, {"beside others", shared}} {
		in.ResetLog()
		result, err := resolveWithChain(t.Context(), turn.r, q)
		if err == nil {
			err = q.check(in, result)
		}
		if err == nil && turn.name == "again" && !result.FromCache {
			err = errors.New("not from the cache")
		}
		if err != nil {
			t.Errorf("%s, %s: %v\nqueries:\n%s", q.kind, turn.name, err, resolvertest.Table(in.Log()))
			return
		}
	}
}

// TestRootKeysWithoutAuthority: the keys of the root are validated by the trust anchor, so
// that a root server that sends them like a resolver does (AA clear, RA set) is no
// interception.
func TestRootKeysWithoutAuthority(t *testing.T) {
	inWorld(t, `
-- zone . at 198.18.0.1 signed --
-- zone shop.example. at 198.51.100.3 signed --
www             A       192.0.2.80
-- fault 198.18.0.1 --
when type DNSKEY: set ra
when type DNSKEY: clear aa
`, func(w *world) {
		if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || o.Status != dnssec.Secure {
			w.Errorf("got %v, want it secure", o)
		}
		w.wantError(".", dns.TypeDNSKEY, resolver.ErrIntercepted)
	}, ipv4Only)
}
