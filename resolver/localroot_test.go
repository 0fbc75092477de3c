package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
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
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// localRootWorld is an Internet whose root zone is signed by rootsigner, with the text of it.
type localRootWorld struct {
	*resolvertest.Internet
	text   string
	anchor dnssec.Anchor
}

const localRootAddr = "198.18.0.1"

const localRootRecords = `
. 518400 NS a.root-servers.net.
net. NS ns.net.
ns.net. A 198.18.0.2
test. NS ns.test.
ns.test. A 198.18.0.3
example. NS ns.example.
ns.example. A 198.18.0.4
`

const localRootZones = `
-- zone net. at 198.18.0.2 --
a.root-servers A 198.18.0.1
ns A 198.18.0.2
-- zone test. at 198.18.0.3 --
ns A 198.18.0.3
www A 192.0.2.1
-- zone example. at 198.18.0.4 signed no-ds --
ns A 198.18.0.4
www A 192.0.2.2
`

// newLocalRootWorld makes the Internet. It must be called in a bubble, so that time is virtual.
func newLocalRootWorld(t *testing.T, o rootsigner.Options) *localRootWorld {
	t.Helper()
	w := new(localRootWorld)
	if o.Signed.IsZero() {
		o.Signed = time.Now()
	}
	w.text = rootsigner.Sign(t, localRootRecords+exampleDS(t), o)
	w.Internet = resolvertest.New(t, "-- zone . at "+localRootAddr+" --\n"+w.text+localRootZones)
	var err error
	if w.anchor, err = dnssec.NewAnchor(rootsigner.Key(o.Seed)); err != nil {
		t.Fatal(err)
	}
	return w
}

// exampleDS is the DS of example., whose keys depend on its name only.
func exampleDS(t *testing.T) string {
	t.Helper()
	before := resolvertest.New(t, "-- zone example. signed --\nwww A 192.0.2.2\n")
	result, err := before.Resolver(t).Resolve(t.Context(), "example.", dns.TypeDNSKEY)
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range result.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 {
			return fmt.Sprintln(key.ToDS(dns.SHA256))
		}
	}
	t.Fatal("no key")
	return ""
}

// options are those of a resolver in this world that has the local root.
func (w *localRootWorld) options(root *resolver.LocalRoot) resolver.Options {
	o := w.Options()
	o.Validation, o.TrustAnchors = resolver.Validate, []dnssec.Anchor{w.anchor}
	o.LocalRoot = root
	return o
}

func (w *localRootWorld) reader() resolver.LocalRootSource {
	return resolver.LocalRootReader("text", strings.NewReader(w.text))
}

// newLocalRootResolver makes a resolver and waits for its local root.
func newLocalRootResolver(t *testing.T, o resolver.Options) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if o.LocalRoot == nil {
		return r
	}
	if err := r.AwaitLocalRoot(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// rootQueries returns the queries to the root servers from the given number on, and how many there
// were in all.
func (w *localRootWorld) rootQueries(from int) (root []string, all int) {
	queries := w.Log()[from:]
	for _, q := range queries {
		if q.Server.String() == localRootAddr {
			root = append(root, q.String())
		}
	}
	return root, len(queries)
}

// A cold name costs a query less at least, a name without top-level domain none, and what is
// returned is the same.
func TestLocalRootCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		for _, q := range []struct {
			name   string
			qtype  uint16
			status dnssec.Status
			saved  bool // all queries
		}{
			{"www.test.", dns.TypeA, dnssec.Insecure, false},
			{"www.example.", dns.TypeA, dnssec.Secure, false},
			{"www.missing.", dns.TypeA, dnssec.Secure, true},
			{"a.b.c.missing.", dns.TypeMX, dnssec.Secure, true},
			{".", dns.TypeNS, dnssec.Secure, true},
			{".", dns.TypeSOA, dnssec.Secure, true},
			{".", dns.TypeDNSKEY, dnssec.Secure, true},
			{".", dns.TypeZONEMD, dnssec.Secure, true},
			{".", dns.TypeDS, dnssec.Secure, true},
			{".", dns.TypeMX, dnssec.Secure, true},
			{"example.", dns.TypeDS, dnssec.Secure, true},
			{"test.", dns.TypeDS, dnssec.Secure, true},
			{"test.", dns.TypeNS, dnssec.Insecure, false},
			{"missing.", dns.TypeDS, dnssec.Secure, true},
		} {
			asked := fmt.Sprint(q.name, " ", dns.Type(q.qtype))
			ask := func(root *resolver.LocalRoot) (*resolver.Result, []string, int) {
				r := newLocalRootResolver(t, w.options(root))
				from := len(w.Log())
				result, err := r.Resolve(t.Context(), q.name, q.qtype)
				if err != nil {
					t.Fatalf("%s: %v", asked, err)
				}
				synctest.Wait() // for priming
				toRoot, all := w.rootQueries(from)
				return result, toRoot, all
			}
			with, toRoot, cost := ask(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
			without, _, costWithout := ask(nil)
			if len(toRoot) > 0 {
				t.Errorf("%s: root servers are asked for %v", asked, toRoot)
			}
			if q.saved && cost > 0 || cost >= costWithout {
				t.Errorf("%s: got %d queries, %d without local root", asked, cost, costWithout)
			}
			t.Logf("%s: %d queries, %d without local root", asked, cost, costWithout)
			if with.Status != q.status || without.Status != q.status || with.Rcode != without.Rcode {
				t.Errorf("%s: got %v, without %v, want %v", asked, with.Status, without.Status, q.status)
			}
			if a, b := recordsOf(with), recordsOf(without); a != b {
				t.Errorf("%s: got\n%swithout\n%s", asked, a, b)
			}
		}
	})
}

// recordsOf are the records of a result, sorted.
func recordsOf(r *resolver.Result) string {
	var lines []string
	for _, rr := range slices.Concat(r.Answer, r.Authority) {
		lines = append(lines, rr.String()+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Clients with DO get the proofs of the root as if it had answered.
func TestLocalRootReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		query := new(dns.Msg).SetQuestion("www.missing.", dns.TypeA).SetEdns0(1232, true)
		var replies []*dns.Msg
		for _, root := range []*resolver.LocalRoot{nil, {Sources: []resolver.LocalRootSource{w.reader()}}} {
			r := newLocalRootResolver(t, w.options(root))
			reply, err := r.Exchange(context.Background(), query.Copy())
			if err != nil {
				t.Fatal(err)
			}
			if !reply.AuthenticatedData || reply.Rcode != dns.RcodeNameError || len(reply.Ns) < 4 {
				t.Errorf("got %v", reply)
			}
			replies = append(replies, reply)
		}
		if a, b := replies[0].String(), replies[1].String(); a != b {
			t.Errorf("without:\n%swith:\n%s", a, b)
		}
	})
}

// sourceOf is a source with a text that can change, or fail for "".
type sourceOf struct {
	mu   sync.Mutex
	text string
}

func (s *sourceOf) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = text
}

func (s *sourceOf) source() resolver.LocalRootSource {
	return resolver.LocalRootFunc("changing", func(context.Context, uint32) (io.ReadCloser, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.text == "" {
			return nil, errors.New("out of order")
		}
		return io.NopCloser(strings.NewReader(s.text)), nil
	})
}

// As long as there is no copy, and when it has expired, the root servers are asked.
func TestLocalRootOrTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{Expire: 3600})
		source := new(sourceOf)
		var mu sync.Mutex
		var changes []error // guarded by mu
		o := w.options(&resolver.LocalRoot{
			Sources: []resolver.LocalRootSource{source.source()},
			Changed: func(c resolver.LocalRootChange) {
				mu.Lock()
				defer mu.Unlock()
				changes = append(changes, c.Err)
			},
		})
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		ask := func(name string, wantRoot bool) {
			t.Helper()
			from := len(w.Log())
			result, err := r.Resolve(t.Context(), name, dns.TypeA)
			if err != nil || result.Status != dnssec.Secure || result.Rcode != dns.RcodeNameError {
				t.Errorf("%s: got %v, %v", name, result, err)
			}
			synctest.Wait()
			if root, _ := w.rootQueries(from); len(root) > 0 != wantRoot {
				t.Errorf("%s: got %v to the root servers, want some: %t", name, root, wantRoot)
			}
			r.Options().Cache.Clear()
		}
		var failed *resolver.LocalRootError
		if err := r.AwaitLocalRoot(t.Context()); !errors.As(err, &failed) || failed.Fault != resolver.LocalRootSourceFailed {
			t.Errorf("got %v", err)
		}
		ask("a.missing.", true)
		source.set(w.text)
		time.Sleep(time.Minute)
		if s := r.LocalRootState(); !s.InUse || !s.Secure || s.Serial != 2026010100 || s.Source != "changing" || s.Err != nil {
			t.Fatalf("got %+v", s)
		}
		ask("b.missing.", false)
		source.set("")
		time.Sleep(time.Hour)
		ask("c.missing.", true)
		if s := r.LocalRootState(); s.InUse || s.Serial != 2026010100 || !errors.As(s.Err, &failed) {
			t.Errorf("got %+v", s)
		}
		stats := r.Stats().LocalRoot
		if stats.Loaded != 1 || stats.Replies == 0 || stats.InUse != 0 || stats.Failures[resolver.LocalRootSourceFailed] < 2 {
			t.Errorf("got %+v", stats)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(changes) < 3 || changes[0] == nil || changes[1] != nil {
			t.Errorf("got %v", changes)
		}
	})
}

// A copy that has been overtaken by a change of keys makes no name unreachable: what turns out bogus
// is asked for at the root servers.
func TestLocalRootOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		old := rootsigner.Sign(t, localRootRecords+"example. DS 1 15 2 "+strings.Repeat("ab", 32), rootsigner.Options{Signed: time.Now(), Serial: 2025123100})
		source := new(sourceOf)
		source.set(old)
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{source.source()}}))
		from := len(w.Log())
		result, err := r.Resolve(t.Context(), "www.example.", dns.TypeA)
		if err != nil || result.Status != dnssec.Secure {
			t.Fatalf("got %v, %v", result, err)
		}
		if root, all := w.rootQueries(from); len(root) == 0 || all > 10 {
			t.Errorf("got %v of %d queries", root, all)
		}
	})
}

// What a copy says of a server's address is glue: it is asked, and never an answer.
func TestLocalRootGlueIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}}))
		from := len(w.Log())
		result, err := r.Resolve(t.Context(), "ns.test.", dns.TypeA)
		if err != nil || len(result.Answer) != 1 {
			t.Fatalf("got %v, %v", result, err)
		}
		if _, all := w.rootQueries(from); all != 1 {
			t.Errorf("got %d queries, want one to the zone's own server", all)
		}
	})
}

// A copy is verified by the anchors of the resolver, whatever root these are for.
func TestLocalRootAnchors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{Seed: 5})
		unsigned := rootsigner.Sign(t, localRootRecords, rootsigner.Options{Unsigned: true})
		other, err := dnssec.ParseAnchors(strings.NewReader("corp. IN DS 1 15 2 " + strings.Repeat("ab", 32)))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name       string
			text       string
			anchors    []dnssec.Anchor
			validation resolver.Validation
			fault      resolver.LocalRootFault // "": it is used
			secure     bool
		}{
			{"its own", w.text, []dnssec.Anchor{w.anchor}, resolver.Validate, "", true},
			{"IANA's", w.text, nil, resolver.Validate, resolver.LocalRootSignature, false},
			{"IANA's, not validating", w.text, nil, resolver.ValidateOff, resolver.LocalRootSignature, false},
			{"its own, not validating", w.text, []dnssec.Anchor{w.anchor}, resolver.ValidateOff, "", true},
			{"none", w.text, []dnssec.Anchor{}, resolver.ValidateOff, "", false},
			{"none, unsigned", unsigned, []dnssec.Anchor{}, resolver.ValidateOff, "", false},
			{"of another zone", unsigned, other, resolver.Validate, "", false},
			{"its own, unsigned", unsigned, []dnssec.Anchor{w.anchor}, resolver.Validate, resolver.LocalRootSignature, false},
		} {
			o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{resolver.LocalRootReader("text", strings.NewReader(c.text))}})
			o.TrustAnchors, o.Validation = c.anchors, c.validation
			r, err := resolver.New(o)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			err = r.AwaitLocalRoot(t.Context())
			var failed *resolver.LocalRootError
			if c.fault == "" && err != nil || c.fault != "" && (!errors.As(err, &failed) || failed.Fault != c.fault) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.fault)
			}
			if s := r.LocalRootState(); s.InUse != (c.fault == "") || s.Secure != c.secure {
				t.Errorf("%s: got %+v", c.name, s)
			}
			from := len(w.Log())
			result, err := r.Resolve(t.Context(), "www.missing.", dns.TypeA)
			if c.fault == "" && (err != nil || result.Rcode != dns.RcodeNameError) {
				t.Errorf("%s: got %v, %v", c.name, result, err)
			}
			if root, _ := w.rootQueries(from); len(root) > 0 != (c.fault != "") {
				t.Errorf("%s: got %v to the root servers", c.name, root)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Names of routes are asked of the servers of the route, and other names of the copy.
func TestLocalRootAndRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		for _, c := range []struct {
			route, name string
			local       bool
		}{
			{"other.=198.18.0.3", "www.missing.", true},
			{"missing.=198.18.0.3", "www.missing.", false},
			{".=198.18.0.3", "www.missing.", false},
		} {
			route, err := resolver.ParseRoute(c.route)
			if err != nil {
				t.Fatal(err)
			}
			o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
			o.Routes = []resolver.Route{route}
			r := newLocalRootResolver(t, o)
			from, local := len(w.Log()), false
			ctx := resolver.WithTrace(t.Context(), &resolver.Trace{LocalRoot: func(i resolver.LocalRootInfo) {
				local = local || i.Asked.Name == "missing." || c.route[0] == '.' // the root's keys may come from it
			}})
			r.Resolve(ctx, c.name, dns.TypeA)
			routed := slices.ContainsFunc(w.Log()[from:], func(q resolvertest.Query) bool { return strings.EqualFold(q.Name, c.name) })
			if local != c.local || routed == c.local {
				t.Errorf("route %s, %s: local root used: %t, route used: %t", c.route, c.name, local, routed)
			}
		}
	})
}

// What the local root did is in traces, in Stats and in words.
func TestLocalRootIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}}))
		var told []string
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{
			Start: func(i resolver.StartInfo) { told = append(told, fmt.Sprint("start ", i.Cut.Zone, " ", i.LocalRoot)) },
			Referral: func(i resolver.ReferralInfo) {
				told = append(told, fmt.Sprint("referral ", i.Cut.Zone, " ", i.LocalRoot))
			},
			LocalRoot: func(i resolver.LocalRootInfo) {
				told = append(told, fmt.Sprint(i.Kind, " ", i.Serial, " ", i.Asked.Name, " ", len(i.Message) > 0))
			},
		})
		if _, err := r.Resolve(ctx, "www.test.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"start . true", "referral test. true", "referral 2026010100 test. true", "answer 2026010100 . true"} {
			if !slices.Contains(told, want) {
				t.Errorf("got %q, want %q", told, want)
			}
		}
		if got := r.LocalRootState().String(); !strings.HasPrefix(got, "serial 2026010100 from text, confirmed 2000-01-0") {
			t.Errorf("got %q", got)
		}
		if s := r.Stats().LocalRoot; s.InUse != 1 || s.Serial != 2026010100 || s.Left != 604800 || s.Age != 0 || s.Replies < 2 {
			t.Errorf("got %+v", s)
		}
		without := newLocalRootResolver(t, w.options(nil))
		var option *resolver.OptionError
		if err := without.AwaitLocalRoot(t.Context()); !errors.As(err, &option) {
			t.Errorf("got %v", err)
		}
		if s := without.LocalRootState(); s != (resolver.LocalRootState{}) || s.String() != "none" {
			t.Errorf("got %+v", s)
		}
	})
}

// Transfers go through Options.Dial, and the first servers that do not transfer are passed over.
func TestLocalRootAXFR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		var records []dns.RR
		parser := dns.NewZoneParser(strings.NewReader(w.text), ".", "")
		for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
			records = append(records, rr)
		}
		serve := func(to dns.ResponseWriter, query *dns.Msg) {
			reply := new(dns.Msg).SetReply(query)
			reply.Answer = append(slices.Clip(records), records[0])
			to.WriteMsg(reply)
		}
		w.Handle("198.18.0.9", dns.HandlerFunc(serve))
		at := func(addr string) resolver.LocalRootSource {
			return resolver.LocalRootAXFR(netip.AddrPortFrom(netip.MustParseAddr(addr), 53), nil)
		}
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{at("198.18.0.1"), at("198.18.0.77"), at("198.18.0.9")}}))
		if s := r.LocalRootState(); s.Source != "axfr 198.18.0.9:53" || !s.InUse {
			t.Errorf("got %+v", s)
		}
	})
}

// The public servers are those of RFC 8806, and nothing else is asked for a transfer by default.
func TestLocalRootServers(t *testing.T) {
	names := make(map[string]bool)
	for _, s := range resolver.LocalRootServers() {
		names[s.String()] = true
	}
	if len(names) != 16 || !names["axfr 193.0.14.129:53"] || !names["axfr [2620:0:2d0:202::132]:53"] {
		t.Errorf("got %v", names)
	}
	asked := make(map[string]bool)
	var mu sync.Mutex
	r, err := resolver.New(resolver.Options{
		Family: resolver.FamilyIPv4Only, LocalRoot: &resolver.LocalRoot{},
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			asked["axfr "+address] = network == "tcp"
			return nil, errors.New("no network here")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AwaitLocalRoot(t.Context()); err == nil {
		t.Error("got no error")
	}
	r.Close()
	for server, tcp := range asked {
		if !names[server] || !tcp {
			t.Errorf("asked %s", server)
		}
	}
	if len(asked) != 8 {
		t.Errorf("got %d servers asked, want 8: %v", len(asked), asked)
	}
}

// Options that make no sense are errors of New.
func TestLocalRootOptions(t *testing.T) {
	for want, o := range map[string]resolver.Options{
		"no sources":            {LocalRoot: &resolver.LocalRoot{Sources: []resolver.LocalRootSource{}}},
		"is empty":              {LocalRoot: &resolver.LocalRoot{Sources: []resolver.LocalRootSource{{}}}},
		"takes a Dial function": {LocalRoot: &resolver.LocalRoot{}, Exchanger: noExchanger{}},
	} {
		r, err := resolver.New(o)
		var option *resolver.OptionError
		if !errors.As(err, &option) || option.Option != "LocalRoot" || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if r != nil {
			r.Close()
		}
	}
}

type noExchanger struct{}

func (noExchanger) Exchange(context.Context, string, netip.AddrPort, []byte) ([]byte, error) {
	return nil, errors.New("none")
}

// Questions run while copies are replaced, and Close ends a fetch.
func TestLocalRootRace(t *testing.T) {
	w := newLocalRootWorld(t, rootsigner.Options{})
	source := new(sourceOf)
	source.set(w.text)
	served := make(chan struct{}, 1)
	blocked := resolver.LocalRootFunc("blocked", func(ctx context.Context, _ uint32) (io.ReadCloser, error) {
		select {
		case served <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	var jump atomic.Int64
	o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{source.source(), blocked}})
	o.Now = func() time.Time { return w.Now().Add(time.Duration(jump.Load())) }
	o.SignatureTime = w.Now
	r := newLocalRootResolver(t, o)
	var asking sync.WaitGroup
	for i := range 4 {
		asking.Go(func() {
			for n := range 50 {
				result, err := r.Resolve(t.Context(), fmt.Sprintf("a%d.missing-%d.", n, i), dns.TypeA)
				if err != nil || result.Rcode != dns.RcodeNameError {
					t.Errorf("got %v, %v", result, err)
				}
				r.Stats()
				jump.Add(int64(time.Hour)) // due
			}
		})
	}
	for serial := range uint32(10) {
		source.set(rootsigner.Sign(t, localRootRecords+exampleDS(t), rootsigner.Options{Signed: time.Now(), Serial: 2026010101 + serial}))
	}
	asking.Wait()
	source.set("")
	for begun := false; !begun; { // a fetch that is about to end as the clock jumps plans the next one by the later time
		jump.Add(int64(24 * time.Hour))
		r.Resolve(t.Context(), "last.", dns.TypeA)
		select {
		case <-served: // a fetch is under way
			begun = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.AwaitLocalRoot(t.Context()); !errors.Is(err, resolver.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// The whole real root zone as it is: with it no query reaches a root server, names below top-level
// domains cost one query each, and those without one none.
func TestLocalRootReal(t *testing.T) {
	root := realserver.ReadRootZone(t)
	catchAll := realserver.StartCatchAll(t, root, "")
	router := realserver.NewRouter(catchAll.Addr())
	start := time.Now()
	r := newLocalRootResolver(t, resolver.Options{
		Dial:              router.Dial,
		Now:               func() time.Time { return realRootTime.Add(time.Since(start)) },
		DisableLocalZones: true,
		LocalRoot:         &resolver.LocalRoot{Sources: []resolver.LocalRootSource{resolver.LocalRootReader("root.zone", strings.NewReader(root.Text))}},
	})
	w := &realWorld{root: root, router: router, isRoot: make(map[netip.Addr]bool)}
	for _, addr := range root.Servers {
		w.isRoot[addr] = true
	}
	for _, phase := range []struct {
		name      string
		questions []realQuestion
		most      int
	}{
		{"DS", w.provenQuestions(), 0},
		{"NameBelow", slices.DeleteFunc(w.belowUnsigned(), func(q realQuestion) bool { return strings.HasSuffix(q.name, ".arpa.") }), 3},
		{"MissingTLD", w.provenMissing(), 0},
	} {
		t.Run(phase.name, func(t *testing.T) {
			if len(phase.questions) == 0 {
				t.Fatal("no questions")
			}
			total := 0
			askAll(t, r, phase.questions, func(kind string, sends int) {
				if total += sends; sends > phase.most {
					t.Errorf("%s: got %d queries, want at most %d", kind, sends, phase.most)
				}
			})
			t.Logf("%d questions, %d queries", len(phase.questions), total)
		})
	}
	for _, q := range router.Queries(0) {
		if w.isRoot[q.Server] {
			t.Errorf("a root server was asked: %v", q)
		}
	}
	t.Logf("%v, %+v", r.LocalRootState(), r.Stats().LocalRoot)
}

// What is learnt through a copy that no anchor vouches for is not shared with resolvers that have
// none; with an anchor it is.
func TestLocalRootUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		for _, proven := range []bool{false, true} {
			shared := cache.New(cache.Options{})
			ask := func(root *resolver.LocalRoot) *resolver.Result {
				o := w.options(root)
				if o.Cache = shared; !proven {
					o.Validation, o.TrustAnchors = resolver.ValidateOff, []dnssec.Anchor{}
				}
				result, err := newLocalRootResolver(t, o).Resolve(t.Context(), "www.missing.", dns.TypeA)
				if err != nil {
					t.Fatal(err)
				}
				return result
			}
			ask(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
			if got := ask(nil).FromCache; got != proven {
				t.Errorf("proven %t: shared %t", proven, got)
			}
		}
	})
}

// Every fault is explained with a way out.
func TestLocalRootExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		for want, text := range map[string]string{
			"Only a zone with a ZONEMD record": rootsigner.Sign(t, localRootRecords, rootsigner.Options{NoZONEMD: true, Signed: time.Now()}),
			"It was damaged or changed":        strings.Replace(w.text, "198.18.0.3", "198.18.0.4", 1),
			"look at what it gives":            "<html>",
			"or the clock of this host":        rootsigner.Sign(t, localRootRecords, rootsigner.Options{Seed: 9, Signed: time.Now()}),
			"can be reached from here":         "",
		} {
			source := new(sourceOf)
			source.set(text)
			r, err := resolver.New(w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{source.source()}}))
			if err != nil {
				t.Fatal(err)
			}
			got := resolver.Explain(r.AwaitLocalRoot(t.Context()))
			if !strings.HasPrefix(got, "the copy of the root zone from changing is not used (") || !strings.Contains(got, want) {
				t.Errorf("got %q, want %q in it", got, want)
			}
			r.Close()
		}
		r, err := resolver.New(w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{resolver.LocalRootFile(filepath.Join(t.TempDir(), "root.zone"))}}))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got := resolver.Explain(r.AwaitLocalRoot(t.Context())); !strings.HasSuffix(got, "Check that the file is there, and that this program may read it.") {
			t.Errorf("no file: got %q", got)
		}
	})
}
