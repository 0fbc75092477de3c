package prometheus_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

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

// gather returns the values of all metrics, by name and labels.
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
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, internet)
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Aliases = 1 })
		c := prometheus.NewCollector(r.Stats)
		ctx := resolver.WithTrace(t.Context(), c.Trace())
		for _, name := range []string{"www.shop.example.", "www.shop.example.", "alias.shop.example.", "nosuch.shop.example.", "www.broken.example."} {
			_, _ = r.Resolve(ctx, name, dns.TypeA) // one alias is too many, and the last has no server
		}
		_, _ = r.Resolve(t.Context(), "www.shop.example.", dns.TypeA) // without the hooks
		synctest.Wait()                                               // for what is asked beside the questions
		got := gather(t, c)
		for metric, want := range map[string]float64{
			"iterdns_questions_total":                 6,
			"iterdns_answers_from_cache_total":        2,
			"iterdns_failures_total reason=limit":     1,
			"iterdns_failures_total reason=timeout":   0,
			"iterdns_limits_total limit=Aliases":      1,
			"iterdns_queries_total network=udp":       float64(in.Count()),
			"iterdns_question_duration_seconds":       5,
			"iterdns_question_queries":                5,
			"iterdns_second_level_total result=hit":   0,
			"iterdns_cache_misses_total reason=rank":  0,
			"iterdns_prefetches_total result=dropped": 0,
			"iterdns_dropped_packets_total reason=id": 0,
			"iterdns_left_out_total what=signatures":  0,
			"iterdns_cache_refused_types_total":       0,
			"iterdns_failures_total reason=hook":      0,
			"iterdns_questions_in_flight":             0,
		} {
			if value, ok := got[metric]; !ok || value != want {
				t.Errorf("%s: got %v, there at all: %t, want %v", metric, value, ok, want)
			}
		}
		for _, metric := range []string{
			"iterdns_response_seconds network=udp", "iterdns_received_bytes_total", "iterdns_cache_entries", "iterdns_cache_bytes",
			"iterdns_cache_hits_total found=records", "iterdns_servers",
		} {
			if got[metric] == 0 {
				t.Errorf("%s: got 0 or nothing among %v", metric, got)
			}
		}
	})
}

// Every number in resolver.Stats is somewhere, and every key of its maps a value of a label:
// each is given a value of its own, which has to come out again.
func TestEveryNumberIsCollected(t *testing.T) {
	r := resolvertest.New(t, internet).Resolver(t)
	stats, next := r.Stats(), 1000.0
	want := make(map[float64]string)
	number := func(path string) float64 {
		next++
		want[next] = path
		return next
	}
	var fill func(path string, v reflect.Value)
	fill = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				fill(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				v.SetMapIndex(key, reflect.ValueOf(uint64(number(fmt.Sprintf("%s[%v]", path, key)))))
			}
		case reflect.Uint64:
			v.SetUint(uint64(number(path)))
		case reflect.Int, reflect.Int64:
			v.SetInt(int64(number(path)))
		case reflect.Bool: // the store of trust anchors, which is no number
		case reflect.String: // the state of the network, which is no number
		case reflect.Slice: // the shards of the cache, which are their sums
		default:
			t.Errorf("%s: a %v, which this test does not know", path, v.Kind())
		}
	}
	fill("Stats", reflect.ValueOf(&stats).Elem())
	for _, value := range gather(t, prometheus.NewCollector(func() resolver.Stats { return stats })) {
		delete(want, value)
	}
	for _, path := range want {
		t.Errorf("%s is not collected", path)
	}
}

// However many names are asked for, there are no more time series.
func TestNamesAreNoLabels(t *testing.T) {
	in := resolvertest.New(t, internet)
	r := in.Resolver(t)
	c := prometheus.NewCollector(r.Stats)
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
