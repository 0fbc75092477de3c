package prometheus_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/examples/prometheus"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const internet = `
-- zone shop.example. signed --
www    A      192.0.2.80
alias  CNAME  www
-- zone broken.example. --
www    A      192.0.2.81
-- fault broken.example. --
rcode SERVFAIL
`

// gather gives the values of all metrics, by name and labels.
func gather(t *testing.T, c client.Collector) map[string]float64 {
	t.Helper()
	registry := client.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", err, problems)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := strings.Join(append([]string{f.GetName()}, labels...), " ")
			switch {
			case m.Counter != nil:
				values[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				values[key] = m.Gauge.GetValue()
			case m.Histogram != nil:
				values[key] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return values
}

func TestCollector(t *testing.T) {
	in := resolvertest.New(t, internet)
	kept := cache.New(cache.Options{Now: in.Now})
	r := in.Resolver(t, func(o *resolver.Options) { o.Cache = kept })
	c := prometheus.NewCollector(kept)
	ctx := resolver.WithTrace(t.Context(), c.Trace())
	for _, name := range []string{"www.shop.example.", "www.shop.example.", "alias.shop.example.", "nosuch.shop.example.", "www.broken.example."} {
		_, _ = r.Resolve(ctx, name, dns.TypeA) // the last is an error
	}
	got := gather(t, c)
	for metric, want := range map[string]float64{
		"iterdns_questions_total rcode=NOERROR status=secure":  3,
		"iterdns_questions_total rcode=NXDOMAIN status=secure": 1,
		"iterdns_questions_total rcode=error status=":          1,
		"iterdns_question_duration_seconds":                    5,
		"iterdns_question_queries":                             5,
		"iterdns_steps_total step=alias":                       1,
		"iterdns_cache_lookups_total found=records":            1,
	} {
		if got[metric] < want || strings.Contains(metric, "question") && got[metric] != want {
			t.Errorf("%s: got %v, want %v", metric, got[metric], want)
		}
	}
	for _, metric := range []string{
		"iterdns_queries_total network=udp reason=best", "iterdns_responses_total kind=referral network=udp",
		"iterdns_responses_total kind=answer network=udp", "iterdns_response_seconds network=udp",
		"iterdns_steps_total step=referral", "iterdns_validated_total status=secure", "iterdns_received_bytes_total",
		"iterdns_signature_checks_total", "iterdns_cache_entries", "iterdns_cache_bytes",
	} {
		if got[metric] == 0 {
			t.Errorf("%s: got 0 or nothing among %v", metric, got)
		}
	}
	sent := 0.0
	for metric, value := range got {
		if strings.HasPrefix(metric, "iterdns_queries_total ") {
			sent += value
		}
	}
	if want := float64(in.Count()); sent > want || sent == 0 {
		t.Errorf("got %v queries, of %v that the servers saw", sent, want)
	}
}

// However many names are asked for, there are no more time series.
func TestNamesAreNoLabels(t *testing.T) {
	in := resolvertest.New(t, internet)
	r := in.Resolver(t)
	c := prometheus.NewCollector(nil)
	ctx := resolver.WithTrace(t.Context(), c.Trace())
	var running sync.WaitGroup
	for i := range 50 {
		running.Go(func() {
			_, _ = r.Resolve(ctx, strings.Repeat("x", i+1)+".shop.example.", dns.TypeA)
		})
	}
	running.Wait()
	for metric := range gather(t, c) {
		if strings.Contains(metric, "example") || strings.Contains(metric, "198.") {
			t.Errorf("a name or an address in %q", metric)
		}
	}
}
