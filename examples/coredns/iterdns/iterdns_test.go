package iterdns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
)

// patience bounds what must happen at some time on a busy machine. It is no measure.
const patience = 60 * time.Second

// start makes a plugin of a directive and starts it.
func start(t *testing.T, text string) *Iterdns {
	t.Helper()
	h := &Iterdns{config: parseOne(t, text), Next: test.NextHandler(dns.RcodeRefused, errors.New("next"))}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return h
}

// ask passes a query to a plugin.
func ask(h plugin.Handler, qname string, qtype uint16, change ...func(*dns.Msg)) (*dns.Msg, int, error) {
	query := new(dns.Msg)
	query.SetQuestion(qname, qtype)
	for _, f := range change {
		f(query)
	}
	recorder := dnstest.NewRecorder(&test.ResponseWriter{})
	code, err := h.ServeDNS(context.Background(), recorder, query)
	return recorder.Msg, code, err
}

func withDO(m *dns.Msg) { m.SetEdns0(1232, true) }

func TestServeDNS(t *testing.T) {
	h := start(t, "iterdns {\nmock\n}")
	tests := []struct {
		qname   string
		qtype   uint16
		rcode   int
		answers int
		ad      bool
	}{
		{"www.shop.example.", dns.TypeA, dns.RcodeSuccess, 3, true},
		{"WWW.Shop.Example.", dns.TypeAAAA, dns.RcodeSuccess, 1, true},
		{"web.shop.example.", dns.TypeA, dns.RcodeSuccess, 4, true},
		{"cdn.shop.example.", dns.TypeA, dns.RcodeSuccess, 3, false},
		{"nosuch.shop.example.", dns.TypeA, dns.RcodeNameError, 0, true},
		{"www.shop.example.", dns.TypeMX, dns.RcodeSuccess, 0, true},
	}
	for _, tt := range tests {
		reply, code, err := ask(h, tt.qname, tt.qtype, func(m *dns.Msg) { m.AuthenticatedData = true })
		if err != nil || code != dns.RcodeSuccess && code != tt.rcode || reply == nil {
			t.Errorf("%s %s: got %v, %d, %v", tt.qname, dns.TypeToString[tt.qtype], reply, code, err)
			continue
		}
		if reply.Rcode != tt.rcode || len(reply.Answer) != tt.answers || reply.AuthenticatedData != tt.ad || !reply.RecursionAvailable {
			t.Errorf("%s %s: got\n%v\nwant %s, %d answers, AD %v and RA", tt.qname, dns.TypeToString[tt.qtype], reply,
				dns.RcodeToString[tt.rcode], tt.answers, tt.ad)
		}
		if reply.IsEdns0() != nil {
			t.Errorf("%s: got an OPT record for a query without", tt.qname)
		}
	}
	if reply, _, err := ask(h, "www.shop.example.", dns.TypeA, withDO); err != nil || len(reply.Answer) != 4 || reply.IsEdns0() == nil {
		t.Errorf("with DO: got %v and %v, want three addresses, a signature and OPT", reply, err)
	}
}

// A failure is one answer, with the reason in it, and the same reason for the log.
func TestFailure(t *testing.T) {
	h := start(t, "iterdns {\nmock\n}")
	for _, change := range []func(*dns.Msg){withDO, func(*dns.Msg) {}} {
		reply, code, err := ask(h, "www.bogus.example.", dns.TypeA, change)
		if reply == nil || reply.Rcode != dns.RcodeServerFailure || !plugin.ClientWrite(code) {
			t.Fatalf("got %v and code %d, want a written SERVFAIL", reply, code)
		}
		if err == nil || !strings.Contains(err.Error(), "plugin/iterdns: ") || !strings.Contains(err.Error(), "wrong signature") {
			t.Errorf("got error %v, want one that says which signature is wrong", err)
		}
	}
	reply, _, _ := ask(h, "www.bogus.example.", dns.TypeA, withDO)
	if failure(reply) == nil || len(reply.IsEdns0().Option) == 0 {
		t.Errorf("got no extended DNS error in %v", reply)
	}
}

// What is not for the plugin is the next one's, with its code and error.
func TestNext(t *testing.T) {
	h := start(t, "iterdns shop.example {\nexcept mail.shop.example\nmock\n}")
	for _, qname := range []string{"www.cdn.example.", "mail.shop.example.", "a.mail.shop.example."} {
		if _, code, err := ask(h, qname, dns.TypeA); code != dns.RcodeRefused || err == nil || err.Error() != "next" {
			t.Errorf("%s: got %d and %v, want what the next plugin says", qname, code, err)
		}
	}
	if reply, _, err := ask(h, "WWW.SHOP.EXAMPLE.", dns.TypeA); err != nil || len(reply.Answer) != 3 {
		t.Errorf("got %v and %v, want the answer", reply, err)
	}
}

// A query is given up when its client is gone, and when there are too many.
func TestGivenUp(t *testing.T) {
	h := start(t, "iterdns {\nmock\nlimit questions 1\n}")
	query := new(dns.Msg)
	query.SetQuestion("www.silent.example.", dns.TypeA)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	for range 2 {
		go func() {
			_, err := h.ServeDNS(ctx, &test.ResponseWriter{}, query)
			ended <- err
		}()
	}
	for begin := time.Now(); h.pending.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("got %d questions under way, want 2", h.pending.Load())
		}
	}
	if _, code, err := ask(h, "www.shop.example.", dns.TypeA); code != dns.RcodeServerFailure || !errors.Is(err, errBusy) {
		t.Errorf("got %d and %v, want SERVFAIL and %v", code, err, errBusy)
	}
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
}

// After Stop nothing runs and no socket is open, though questions were under way.
func TestStop(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 3 {
		h := &Iterdns{config: parseOne(t, "iterdns {\nmock\nredis 127.0.0.1:1\nroute corp.example 127.0.0.1:2\n}")}
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, _, err := ask(h, "www.silent.example.", dns.TypeA)
			ended <- err
		}()
		if reply, _, err := ask(h, "www.shop.example.", dns.TypeA); err != nil || len(reply.Answer) != 3 {
			t.Errorf("got %v and %v, want the answer", reply, err)
		}
		if err := h.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if err := h.Stop(); err != nil {
			t.Errorf("Stop again: %v", err)
		}
		if err := <-ended; err == nil {
			t.Error("a question to silent servers was answered")
		}
	}
	if n := len(shared.caches.caches); n != 0 {
		t.Errorf("got %d caches that nobody uses", n)
	}
	var g, f int
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
		if g, f = runtime.NumGoroutine(), openFiles(t); g <= goroutines && f <= files {
			return
		}
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("got %d goroutines and %d files, want %d and %d as before:\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
}

// openFiles counts the open files of this process, which sockets are; where the system
// does not tell it is 0.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(entries)
}

// A plugin is ready when a server has answered, and not before.
func TestReady(t *testing.T) {
	h := start(t, "iterdns {\nmock\n}")
	for begin := time.Now(); !h.Ready(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatal("not ready")
		}
	}
	deaf := start(t, "iterdns silent.example {\nmock\nlimit time 100ms\n}")
	if _, _, err := ask(deaf, "www.silent.example.", dns.TypeA); err == nil {
		t.Error("silent servers answered")
	}
	if deaf.Ready() {
		t.Error("ready though no server has answered")
	}
}

// A plugin that is started before the one it replaces is stopped, as in a reload, has
// its cache; counters go on, and what the old one counted is still there.
func TestReload(t *testing.T) {
	const text = "iterdns reload.example shop.example {\nmock\n}"
	old := &Iterdns{config: parseOne(t, text)}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ask(old, "www.shop.example.", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	before := shared.live.samples()[old.config.label].counts[questions][""]
	successor := start(t, text)
	if err := old.Stop(); err != nil {
		t.Fatal(err)
	}
	sent := successor.resolver.Stats().SentUDP
	if reply, _, err := ask(successor, "www.shop.example.", dns.TypeA); err != nil || len(reply.Answer) != 3 {
		t.Fatalf("got %v and %v, want the answer", reply, err)
	}
	for begin := time.Now(); !successor.Ready(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatal("not ready")
		}
	}
	st := successor.resolver.Stats()
	if st.FromCache == 0 {
		t.Errorf("got %d answers from the cache and %d queries sent after the first answer (%d before), want a cache that outlived the reload", st.FromCache, st.SentUDP, sent)
	}
	if after := shared.live.samples()[old.config.label].counts[questions][""]; after <= before {
		t.Errorf("got %v questions, want more than %v before the reload", after, before)
	}
}

// What a cache has evicted is still counted when another one has taken its place, as after a
// reload that changes its size.
func TestEvictionsOutliveTheirCache(t *testing.T) {
	const zones = "reload.example."
	pool := &cachePool{caches: make(map[cacheKey]*pooledCache), evicted: make(map[string]uint64)}
	counted := func() (evicted, entries float64) {
		s := newSample()
		pool.addTo(func(label string) *sample {
			if label != zones {
				t.Fatalf("got zones %q", label)
			}
			return s
		})
		return s.counts[evictions][""], s.gauges[cacheEntries][""]
	}
	small, _, giveBack := pool.take(cacheKey{zones: zones, bytes: minCache}, nil)
	view := small.View([32]byte{})
	for i := 0; small.Stats().Evictions == 0; i++ {
		rr, err := dns.NewRR(fmt.Sprintf("host-%d.reload.example. 300 IN A 192.0.2.1", i))
		if err != nil {
			t.Fatal(err)
		}
		set, err := dnssec.NewRRset(rr)
		if err != nil || view.Put(time.Now(), set, cache.Meta{Rank: cache.RankAnswer}) != nil {
			t.Fatalf("%v was not kept: %v", rr, err)
		}
	}
	before, held := counted()
	if before == 0 || held != float64(small.Len()) {
		t.Errorf("got %v evictions and %v entries, want some and %d", before, held, small.Len())
	}
	_, _, giveBackLarge := pool.take(cacheKey{zones: zones, bytes: 2 * minCache}, nil)
	giveBack()
	if after, held := counted(); after != before || held != 0 {
		t.Errorf("got %v evictions and %v entries after the reload, want %v and none", after, held, before)
	}
	giveBackLarge()
	if after, _ := counted(); after != before || len(pool.caches) != 0 {
		t.Errorf("got %v evictions and %d caches at the end, want %v and none", after, len(pool.caches), before)
	}
}

// Plugins of a reload that failed are stopped; those that run, and those that belong to
// no server, are not.
func TestStopOrphans(t *testing.T) {
	orphan, free := start(t, "iterdns a.example {\nmock\n}"), start(t, "iterdns b.example {\nmock\n}")
	shared.live.mu.Lock()
	shared.live.handlers[orphan] = new(struct{ _ byte })
	shared.live.mu.Unlock()
	shared.live.stopOrphans()
	shared.live.mu.Lock()
	_, orphanLives := shared.live.handlers[orphan]
	_, freeLives := shared.live.handlers[free]
	shared.live.mu.Unlock()
	if orphanLives || !freeLives {
		t.Errorf("got alive: %v and %v, want only the second", orphanLives, freeLives)
	}
}
