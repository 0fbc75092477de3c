package otel

import (
	"context"
	"errors"

	"github.com/miekg/dns"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/iterdns/iterdns/resolver"
)

// metrics are the instruments. Their attributes have few values: no names, no addresses.
type metrics struct {
	duration  metric.Float64Histogram
	lookups   metric.Int64Counter
	queries   metric.Int64Counter
	responses metric.Float64Histogram
	received  metric.Int64Counter
}

func newMetrics(meter metric.Meter) (*metrics, error) {
	var m metrics
	var errs [5]error
	m.duration, errs[0] = meter.Float64Histogram("dns.lookup.duration", metric.WithUnit("s"),
		metric.WithDescription("Time that questions took, by response code or error, and DNSSEC status."))
	m.lookups, errs[1] = meter.Int64Counter("iterdns.cache.lookups", metric.WithUnit("{lookup}"),
		metric.WithDescription("Look-ups in the cache."))
	m.queries, errs[2] = meter.Int64Counter("iterdns.queries", metric.WithUnit("{query}"),
		metric.WithDescription("Queries sent, by transport and reason."))
	m.responses, errs[3] = meter.Float64Histogram("iterdns.response.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from query to response, by transport and kind."))
	m.received, errs[4] = meter.Int64Counter("iterdns.received", metric.WithUnit("By"),
		metric.WithDescription("Bytes received from servers."))
	return &m, errors.Join(errs[:]...)
}

func (m *metrics) response(ctx context.Context, i resolver.ResponseInfo, kind string) {
	m.responses.Record(ctx, i.RTT.Seconds(), metric.WithAttributes(transport(i.Network), attribute.String("iterdns.response.kind", kind)))
}

func (m *metrics) done(ctx context.Context, i resolver.DoneInfo) {
	m.received.Add(ctx, int64(i.Bytes))
	var attributes []attribute.KeyValue
	if i.Err != nil {
		attributes = append(attributes, attribute.String("error.type", reason(i.Err)))
	}
	if i.Result != nil {
		attributes = append(attributes, attribute.String("iterdns.rcode", rcodeText(i.Result.Rcode)),
			attribute.String("iterdns.status", i.Result.Status.String()))
	}
	m.duration.Record(ctx, i.Elapsed.Seconds(), metric.WithAttributes(attributes...))
}

// reason says in few words, of few, why a question failed: errors' own text has names.
func reason(err error) string {
	var failure *resolver.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &failure):
		if text, known := dns.ExtendedErrorCodeToString[failure.Extended.Code]; known {
			return text
		}
	}
	return "other"
}
