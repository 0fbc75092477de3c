package otel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/iterdns/iterdns/examples/otel"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const internet = `
-- zone shop.example. signed --
www    A      192.0.2.80
www    AAAA   2001:db8::80
alias  CNAME  www
-- zone broken.example. --
www    A      192.0.2.81
-- fault broken.example. --
rcode SERVFAIL
`

// watch returns a Telemetry, what it records as spans, and a reader of its metrics.
func watch(t *testing.T, names bool) (*otel.Telemetry, *tracetest.SpanRecorder, *metric.ManualReader) {
	t.Helper()
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	o, err := otel.New(otel.Options{
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(reader)),
		Names:          names,
	})
	if err != nil {
		t.Fatal(err)
	}
	return o, spans, reader
}

// attributes lists the attributes of a span.
func attributes(s trace.ReadOnlySpan) string {
	var all []string
	for _, a := range s.Attributes() {
		all = append(all, fmt.Sprintf("%s=%s", a.Key, a.Value.Emit()))
	}
	for _, e := range s.Events() {
		all = append(all, "event="+e.Name)
		for _, a := range e.Attributes {
			all = append(all, fmt.Sprintf("%s=%s", a.Key, a.Value.Emit()))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, internet)
		r := in.Resolver(t)
		o, spans, reader := watch(t, true)
		if _, err := o.Resolve(t.Context(), r, "alias.shop.example.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		ended := spans.Ended()
		question := ended[len(ended)-1]
		got := attributes(question)
		for _, want := range []string{
			"dns.question.name=alias.shop.example.", "iterdns.question.type=A", "iterdns.rcode=NOERROR", "iterdns.status=secure",
			"event=cache", "event=referral", "event=alias", "iterdns.alias.to=www.shop.example.", "event=validated",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("got the span %s with %s, want %s", question.Name(), got, want)
			}
		}
		queries := ended[:len(ended)-1]
		if len(queries) == 0 || len(queries) > in.Count() {
			t.Errorf("got %d spans of queries, of %d that servers saw", len(queries), in.Count())
		}
		for _, q := range queries {
			if q.Name() != "dns query" || q.Parent().SpanID() != question.SpanContext().SpanID() ||
				!strings.Contains(attributes(q), "server.address=") || q.EndTime().Before(q.StartTime()) {
				t.Errorf("got the span %s below %v with %s, want a query below the question", q.Name(), q.Parent().SpanID(), attributes(q))
			}
		}
		if names := measured(t, reader); len(names) < 5 {
			t.Errorf("got the metrics %v, want 5", names)
		}
	})
}

// measured returns the names of all metrics, and fails if one has a name of DNS or an
// address among its attributes.
func measured(t *testing.T, reader *metric.ManualReader) []string {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			names = append(names, m.Name)
			if text := fmt.Sprintf("%+v", m.Data); strings.Contains(text, "example") || strings.Contains(text, "198.18") {
				t.Errorf("%s: a name or an address in %s", m.Name, text)
			}
		}
	}
	return names
}

func TestResolveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, internet).Resolver(t)
		o, spans, reader := watch(t, false)
		if _, err := o.Resolve(t.Context(), r, "www.broken.example.", dns.TypeA); err == nil {
			t.Fatal("got no error")
		}
		ended := spans.Ended()
		if got := ended[len(ended)-1].Status(); got.Code != codes.Error || got.Description != "No Reachable Authority" {
			t.Errorf("got %v, want an error that says why", got)
		}
		measured(t, reader)
		// Names stay out unless the options say otherwise.
		for _, s := range ended {
			if text := attributes(s) + s.Status().Description; strings.Contains(text, "example") || strings.Contains(text, "198.18") {
				t.Errorf("a name or an address in %s: %s", s.Name(), text)
			}
		}
	})
}

// A method that asks two questions has a span for each.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, internet).Resolver(t)
		o, spans, _ := watch(t, true)
		addrs, err := r.LookupNetIP(o.Context(t.Context()), "ip", "www.shop.example.")
		if err != nil || len(addrs) != 2 {
			t.Fatalf("got %v, %v, want two addresses", addrs, err)
		}
		var types []string
		for _, s := range spans.Ended() {
			if s.Name() == "dns resolve" {
				_, rest, _ := strings.Cut(attributes(s), "iterdns.question.type=")
				rrtype, _, _ := strings.Cut(rest, " ")
				types = append(types, rrtype)
			}
		}
		slices.Sort(types)
		if !slices.Equal(types, []string{"A", "AAAA"}) {
			t.Errorf("got questions for %v, want A and AAAA", types)
		}
	})
}
