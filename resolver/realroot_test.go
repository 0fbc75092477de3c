package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// realQuestions is how many questions the tests over the real root have in flight. With the
// race detector on a busy machine, more of them take so long that servers seem to be silent.
func realQuestions() int {
	if raceDetector {
		return 3
	}
	return 16
}

// realWorld is the real root zone, served by NSD at the addresses of the root
// servers, with the catch-all at all other addresses.
type realWorld struct {
	root   *realserver.RootZone
	router *realserver.Router
	isRoot map[netip.Addr]bool
}

// newRealWorld starts the servers. delegations are zones that the catch-all
// delegates, with their glue.
func newRealWorld(t *testing.T, delegations string) *realWorld {
	t.Helper()
	realserver.Need(t, realserver.NSD)
	w := &realWorld{root: realserver.ReadRootZone(t), isRoot: make(map[netip.Addr]bool)}
	// The hints and the zone may differ: a root server moves once in some years.
	roots := slices.Clone(w.root.Servers)
	for _, server := range roothints.Default().Servers {
		roots = append(roots, server.Addrs...)
	}
	for _, addr := range roots {
		w.isRoot[addr] = true
	}
	nsd := realserver.Start(t, realserver.NSD, w.rootServerZones(t)...)
	catchAll := realserver.StartCatchAll(t, w.root, delegations)
	w.router = realserver.NewRouter(catchAll.Addr())
	w.router.Route(nsd.Addr(), roots...)
	return w
}

// rootServerZones are the zones that the root servers serve: the root and, as in reality,
// top-level domains without other servers (arpa.).
func (w *realWorld) rootServerZones(t *testing.T) []realserver.Zone {
	t.Helper()
	zones := []realserver.Zone{{Origin: ".", Text: w.root.Text}}
	for _, tld := range w.root.TLDs {
		if !slices.ContainsFunc(tld.Servers, func(a netip.Addr) bool { return !w.isRoot[a] }) {
			t.Logf("%s is served by the root servers", tld.Name)
			zones = append(zones, realserver.Zone{Origin: tld.Name, Text: zoneBesideRoot(w.root, tld)})
		}
	}
	return zones
}

// zoneBesideRoot is a zone file for a top-level domain with what the catch-all
// answers for others: the name that the test asks for, and its name servers.
func zoneBesideRoot(root *realserver.RootZone, tld *realserver.TLD) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 3600\n@ SOA ns hostmaster 1 7200 3600 86400 60\nprobe A %v\n",
		tld.Name, realserver.CatchAllAddr())
	for _, rr := range tld.NS {
		fmt.Fprintln(&b, rr)
		if ns, ok := rr.(*dns.NS); ok {
			for _, address := range root.Glue[strings.ToLower(ns.Ns)] {
				fmt.Fprintln(&b, address)
			}
		}
	}
	return b.String()
}

// newResolver returns a resolver with an empty cache in this world. allow is
// resolver.Options.AllowServer.
func (w *realWorld) newResolver(t *testing.T, allow func(netip.Addr) bool) *resolver.Resolver {
	t.Helper()
	return newRealResolver(t, resolver.Options{
		Dial:        w.router.Dial,
		Validation:  resolver.ValidateOff, // the catch-all does not sign
		AllowServer: allow,
	})
}

// newRealResolver makes a resolver and closes it when the test ends.
func newRealResolver(t *testing.T, o resolver.Options) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// realResolve asks a question and counts the queries that it sent.
func realResolve(ctx context.Context, r *resolver.Resolver, name string, qtype uint16) (*resolver.Result, int, error) {
	sends := 0
	ctx = resolver.WithTrace(ctx, &resolver.Trace{
		Done: func(d resolver.DoneInfo) { sends = d.Sends },
	})
	result, err := r.Resolve(resolver.WithChain(ctx), name, qtype)
	return result, sends, err
}

// realQuestion is a question and how its result is judged.
type realQuestion struct {
	kind  string // for the table of queries sent
	name  string
	qtype uint16
	check func(*resolver.Result) error
}

// The whole real root: the DS of every delegated top-level domain, its referral and
// glue, a name below each of them, and names that are not there.
func TestRealRoot(t *testing.T) {
	w := newRealWorld(t, "")
	r := w.newResolver(t, nil) // real glue passes the default filter
	counts := newTally()

	ds := w.dsQuestions()
	signed := 0
	for _, q := range ds {
		if q.kind == kindDS {
			signed++
		}
	}
	if got, want := [2]int{signed, len(ds) - signed}, [2]int{1346, 92}; got != want {
		t.Fatalf("delegations with and without DS: got %d, want %d", got, want)
	}
	for _, phase := range []struct {
		name      string
		questions []realQuestion
	}{
		{"DS", ds},
		{"NameBelow", w.nameQuestions("probe", kindName, checkProbe)},
		{"MissingBelow", w.nameQuestions("a."+realserver.MissingLabel, kindMissingName, checkNameError)},
		{"MissingTLD", w.missingTLDs()},
	} {
		t.Run(phase.name, func(t *testing.T) {
			askAll(t, r, phase.questions, counts.cold)
			askAll(t, r, phase.questions, func(kind string, sends int) {
				counts.warm(kind, sends)
				if sends > 0 {
					t.Errorf("%s, asked again: got %d queries, want 0", kind, sends)
				}
			})
		})
	}
	w.checkServers(t)
	t.Logf("upstream queries per question, %d in all:\n%s", len(w.router.Queries(0)), counts)
}

// realRootTime is when the signatures of the archived root zone are valid.
var realRootTime = time.Date(2026, time.January, 6, 12, 0, 0, 0, time.UTC)

// The whole real root, validated from the embedded anchors: every DS is Secure, and so is
// every denial of one; what lies below an unsigned top-level domain is Insecure; names in
// others, which nobody here can sign, are bogus; and names that are not there are Secure.
func TestRealRootValidated(t *testing.T) {
	w := newRealWorld(t, "")
	start := time.Now()
	r := newRealResolver(t, resolver.Options{
		Dial: w.router.Dial,
		Now:  func() time.Time { return realRootTime.Add(time.Since(start)) },
		// The root has names of special use that are answered locally otherwise.
		DisableLocalZones: true,
	})
	counts := newTally()
	for _, phase := range []struct {
		name      string
		questions []realQuestion
	}{
		{"DS", w.provenQuestions()},
		{"NameBelow", w.belowUnsigned()},
		{"MissingTLD", w.provenMissing()},
	} {
		t.Run(phase.name, func(t *testing.T) {
			askAll(t, r, phase.questions, counts.cold)
			askAll(t, r, phase.questions, func(kind string, sends int) {
				counts.warm(kind, sends)
				if sends > 0 {
					t.Errorf("%s, asked again: got %d queries, want 0", kind, sends)
				}
			})
		})
	}
	t.Run("BelowSigned", func(t *testing.T) {
		_, err := r.Resolve(t.Context(), "probe.com.", dns.TypeA)
		var failure *resolver.Error
		if !errors.As(err, &failure) || failure.Status != dnssec.Bogus {
			t.Errorf("got %v, want bogus: the zone is not what its DS says", err)
		}
	})
	t.Logf("upstream queries per question, %d in all:\n%s", len(w.router.Queries(0)), counts)
}

// keyCache expects a status and evidence that holds with the embedded anchors.
func keyCache(want dnssec.Status, also func(*resolver.Result) error) func(*resolver.Result) error {
	return func(result *resolver.Result) error {
		if result.Status != want {
			return fmt.Errorf("got %v, want %v", result.Status, want)
		}
		verdict, err := dnssec.VerifyChain(result.Chain, nil, realRootTime)
		if err != nil || verdict.Status != want {
			return fmt.Errorf("evidence judged again: got %v, %w, want %v", verdict, err, want)
		}
		return also(result)
	}
}

// provenQuestions asks for the DS of every top-level domain, or the proof of none.
func (w *realWorld) provenQuestions() []realQuestion {
	questions := w.dsQuestions()
	for i := range questions {
		questions[i].check = keyCache(dnssec.Secure, questions[i].check)
	}
	return questions
}

// belowUnsigned asks for a name below every top-level domain that is not signed.
func (w *realWorld) belowUnsigned() []realQuestion {
	var questions []realQuestion
	for i, q := range w.nameQuestions("probe", kindName, checkProbe) {
		if len(w.root.TLDs[i].DS) == 0 {
			q.check = keyCache(dnssec.Insecure, q.check)
			questions = append(questions, q)
		}
	}
	return questions
}

// provenMissing asks for names in top-level domains that the root does not delegate.
func (w *realWorld) provenMissing() []realQuestion {
	questions := w.missingTLDs()
	for i := range questions {
		questions[i].check = keyCache(dnssec.Secure, questions[i].check)
	}
	return questions
}

// The kinds of questions about the root and the top-level domains.
const (
	kindDS          = "DS of a signed TLD"
	kindNoDS        = "DS of an unsigned TLD (NODATA)"
	kindName        = "name below a TLD, by referral and glue"
	kindMissingName = "missing name below a known TLD (NXDOMAIN)"
	kindMissingTLD  = "missing TLD (NXDOMAIN)"
)

// dsQuestions asks for the DS of every top-level domain.
func (w *realWorld) dsQuestions() []realQuestion {
	var questions []realQuestion
	for _, tld := range w.root.TLDs {
		q := realQuestion{kind: kindDS, name: tld.Name, qtype: dns.TypeDS, check: func(result *resolver.Result) error {
			return sameRecords(result, dns.RcodeSuccess, tld.DS)
		}}
		if len(tld.DS) == 0 {
			q.kind, q.check = kindNoDS, func(result *resolver.Result) error {
				return negative(result, dns.RcodeSuccess, ".")
			}
		}
		questions = append(questions, q)
	}
	return questions
}

// nameQuestions asks for the address of a name below every top-level domain.
func (w *realWorld) nameQuestions(prefix, kind string, check func(*resolver.Result, *realserver.TLD) error) []realQuestion {
	var questions []realQuestion
	for _, tld := range w.root.TLDs {
		questions = append(questions, realQuestion{kind, prefix + "." + tld.Name, dns.TypeA, func(result *resolver.Result) error {
			return check(result, tld)
		}})
	}
	return questions
}

// missingTLDs asks for names in top-level domains that the root does not delegate.
func (w *realWorld) missingTLDs() []realQuestion {
	var questions []realQuestion
	for i := range 1000 {
		name := fmt.Sprintf("www.example.%c%c-missing-%d.", 'a'+i%26, 'a'+i/26%26, i)
		questions = append(questions, realQuestion{kindMissingTLD, name, dns.TypeA, func(result *resolver.Result) error {
			return negative(result, dns.RcodeNameError, ".")
		}})
	}
	return questions
}

// checkProbe expects the catch-all's address.
func checkProbe(result *resolver.Result, tld *realserver.TLD) error {
	want, err := records("probe." + tld.Name + " A " + realserver.CatchAllAddr().String())
	if err != nil {
		return err
	}
	return sameRecords(result, dns.RcodeSuccess, want)
}

func checkNameError(result *resolver.Result, tld *realserver.TLD) error {
	return negative(result, dns.RcodeNameError, tld.Name)
}

// checkServers checks which queries went where: DS only to the root, and everything about a
// top-level domain to the glue of its own referral, or to the root on the way there.
func (w *realWorld) checkServers(t *testing.T) {
	asked := make(map[string]bool)
	for _, q := range w.router.Queries(0) {
		if q.Type == dns.TypeDS && !w.isRoot[q.Server] {
			t.Errorf("DS asked at a server that is no root server: %v", q)
		}
		labels := dns.SplitDomainName(q.Name)
		switch {
		case len(labels) > 0 && w.serves(q.Server, labels[len(labels)-1]):
			asked[labels[len(labels)-1]] = true
		case !w.isRoot[q.Server]:
			t.Errorf("asked at an address that is no glue of the TLD: %v", q)
		}
	}
	if got, want := len(asked), len(w.root.TLDs); got != want {
		t.Errorf("TLDs of which a server was asked: got %d, want %d", got, want)
	}
}

// serves reports whether the top-level domain has a server with this address.
func (w *realWorld) serves(server netip.Addr, label string) bool {
	tld := w.root.TLD(dns.Fqdn(label))
	return tld != nil && slices.Contains(tld.Servers, server)
}

// askAll asks the questions, some at a time, and hands each one's kind and queries
// to count, one after the other.
func askAll(t *testing.T, r *resolver.Resolver, questions []realQuestion, count func(kind string, sends int)) {
	t.Helper()
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
	)
	next := make(chan realQuestion)
	for range realQuestions() {
		wait.Go(func() {
			for q := range next {
				result, sends, err := realResolve(t.Context(), r, q.name, q.qtype)
				if err == nil {
					err = q.check(result)
				}
				mu.Lock()
				if err != nil {
					t.Errorf("%s %s: %v", q.name, dns.Type(q.qtype), err)
				}
				count(q.kind, sends)
				mu.Unlock()
			}
		})
	}
	for _, q := range questions {
		next <- q
	}
	close(next)
	wait.Wait()
}

// sameRecords compares a result with the code and the records wanted, whose order
// and TTLs do not matter.
func sameRecords(result *resolver.Result, rcode int, want []dns.RR) error {
	got, wanted := recordText(result.Answer), recordText(want)
	if result.Rcode == rcode && got == wanted {
		return nil
	}
	return fmt.Errorf("got %s\n%swant %s\n%s", dns.RcodeToString[result.Rcode], got, dns.RcodeToString[rcode], wanted)
}

// negative expects no records but the SOA record of zone.
func negative(result *resolver.Result, rcode int, zone string) error {
	if err := sameRecords(result, rcode, nil); err != nil {
		return err
	}
	return hasSOA(result, zone)
}

// hasSOA expects the SOA record of zone among the authority records.
func hasSOA(result *resolver.Result, zone string) error {
	for _, rr := range result.Authority {
		if rr.Header().Rrtype == dns.TypeSOA && strings.EqualFold(rr.Header().Name, zone) {
			return nil
		}
	}
	return fmt.Errorf("got authority\n%swant the SOA record of %s", recordText(result.Authority), zone)
}

// records reads records from zone-file text.
func records(lines ...string) ([]dns.RR, error) {
	var rrs []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, err
		}
		rrs = append(rrs, rr)
	}
	return rrs, nil
}

// recordText returns records as sorted lines without TTLs and signatures, in lower
// case as names are compared.
func recordText(rrs []dns.RR) string {
	var lines []string
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			continue
		}
		c := dns.Copy(rr)
		c.Header().Ttl = 0
		lines = append(lines, strings.ToLower(c.String())+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// tally counts queries by kind of question.
type tally struct {
	kinds  []string // in the order of their first question
	counts map[string]*kindCounts
}

type kindCounts struct{ cold, warm []int }

func newTally() *tally { return &tally{counts: make(map[string]*kindCounts)} }

func (c *tally) of(kind string) *kindCounts {
	k := c.counts[kind]
	if k == nil {
		k = new(kindCounts)
		c.counts[kind] = k
		c.kinds = append(c.kinds, kind)
	}
	return k
}

// cold counts a question asked for the first time.
func (c *tally) cold(kind string, sends int) { k := c.of(kind); k.cold = append(k.cold, sends) }

// warm counts a question asked again.
func (c *tally) warm(kind string, sends int) { k := c.of(kind); k.warm = append(k.warm, sends) }

// String is a table: questions, then minimum, mean and maximum of the queries sent.
func (c *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-58s %9s  %-18s  %s\n", "kind of question", "questions", "cold min/mean/max", "warm min/mean/max")
	for _, kind := range c.kinds {
		k := c.counts[kind]
		fmt.Fprintf(&b, "%-58s %9d  %-18s  %s\n", kind, len(k.cold), spread(k.cold), spread(k.warm))
	}
	return b.String()
}

func spread(counts []int) string {
	if len(counts) == 0 {
		return "-"
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return fmt.Sprintf("%d / %.2f / %d", slices.Min(counts), float64(sum)/float64(len(counts)), slices.Max(counts))
}
