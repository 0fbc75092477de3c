package iterdns

import (
	"bytes"
	golog "log"
	"os"
	"strings"
	"testing"
	"time"

	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// Every metric that is sent is described, with the same labels.
func TestMetricsAreDescribed(t *testing.T) {
	h := start(t, "iterdns {\nmock\nredis 127.0.0.1:1\n}")
	if _, _, err := ask(h, "www.shop.example.", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{shared.live})
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	described := make(chan *prometheus.Desc, 100)
	collector{shared.live}.Describe(described)
	close(described)
	names := make(map[string]bool)
	for desc := range described {
		names[desc.String()] = true
	}
	if !names[leftOut.String()] {
		t.Error("left_out_total is not described")
	}
}

// A store that does not work is logged once, with the reason, and a metric says so.
func TestStoreTroubleIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	golog.SetOutput(&out)
	defer golog.SetOutput(os.Stderr)
	clog.D.Clear()
	h := start(t, "iterdns {\nmock\nredis 127.0.0.1:1\n}")
	for begin := time.Now(); !h.store.unread.Load(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatal("nobody is told")
		}
		for _, qname := range []string{"www.shop.example.", "a.shop.example.", "b.shop.example.", "mail.shop.example."} {
			_, _, _ = ask(h, qname, dns.TypeA) // NXDOMAIN will do
		}
	}
	if got := shared.live.samples()["."].gauges[storeInUse]["read"]; got != 0 {
		t.Errorf("got in use %v, want 0", got)
	}
	if err := h.Stop(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(out.String(), "Redis at 127.0.0.1:1 is not read for now: "); got != 1 || !strings.Contains(out.String(), "refused") {
		t.Errorf("got it %d times, want once with the reason, in\n%s", got, out.String())
	}
}
