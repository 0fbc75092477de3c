package otel

import (
	"context"
	"time"

	"github.com/miekg/dns"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/iterdns/iterdns/resolver"
)

// scope is the name of the instrumentation.
const scope = "github.com/iterdns/iterdns/examples/otel"

// Options configures the telemetry. The zero value uses the global providers.
type Options struct {
	// TracerProvider makes the tracer. Nil: the global one.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the meter. Nil: the global one.
	MeterProvider metric.MeterProvider
	// Names puts the names asked for, and the addresses of servers, into spans. False:
	// they stay out.
	Names bool
}

// Telemetry watches questions. It is safe for concurrent use.
type Telemetry struct {
	tracer  trace.Tracer
	names   bool
	metrics *metrics
}

// New makes a Telemetry. The error is the meter's.
func New(o Options) (*Telemetry, error) {
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	m, err := newMetrics(o.MeterProvider.Meter(scope))
	if err != nil {
		return nil, err
	}
	return &Telemetry{tracer: o.TracerProvider.Tracer(scope), names: o.Names, metrics: m}, nil
}

// Resolve is r.Resolve with a span of its own, of which the spans of queries are
// children, and with metrics.
func (t *Telemetry) Resolve(ctx context.Context, r *resolver.Resolver, name string, qtype uint16) (*resolver.Result, error) {
	ctx, span := t.tracer.Start(ctx, "dns resolve", trace.WithSpanKind(trace.SpanKindInternal))
	defer span.End()
	hooks := t.hooks(ctx)
	done := hooks.Done
	hooks.Done = func(i resolver.DoneInfo) {
		t.describe(span, i)
		done(i)
	}
	result, err := r.Resolve(resolver.WithTrace(ctx, hooks), name, qtype)
	if err != nil {
		span.SetStatus(codes.Error, reason(err))
	}
	return result, err
}

// Context returns a context for any method of a Resolver. Each question that the method
// asks gets a span, as each query does, below the span of ctx: a method may ask several
// at once, so that they are known only when they have ended.
func (t *Telemetry) Context(ctx context.Context) context.Context {
	hooks := t.hooks(ctx)
	done := hooks.Done
	hooks.Done = func(i resolver.DoneInfo) {
		_, span := t.tracer.Start(ctx, "dns resolve", trace.WithTimestamp(i.At.Add(-i.Elapsed)))
		t.describe(span, i)
		if i.Err != nil {
			span.SetStatus(codes.Error, reason(i.Err))
		}
		span.End(trace.WithTimestamp(i.At))
		done(i)
	}
	return resolver.WithTrace(ctx, hooks)
}

// hooks count, and make a span of each query below that of ctx. They keep nothing
// between events, and so can be shared by several questions.
func (t *Telemetry) hooks(ctx context.Context) *resolver.Trace {
	parent := trace.SpanFromContext(ctx)
	event := func(name string, at time.Time, attributes ...attribute.KeyValue) {
		if parent.IsRecording() {
			parent.AddEvent(name, trace.WithTimestamp(at), trace.WithAttributes(attributes...))
		}
	}
	return &resolver.Trace{
		Joined: func(i resolver.JoinedInfo) { event("joined", i.At) },
		Cache: func(i resolver.CacheInfo) {
			t.metrics.lookups.Add(ctx, 1, metric.WithAttributes(attribute.Bool("iterdns.cache.hit", i.Hit)))
			event("cache", i.At, attribute.Bool("iterdns.cache.hit", i.Hit))
		},
		Query: func(i resolver.QueryInfo) {
			t.metrics.queries.Add(ctx, 1, metric.WithAttributes(transport(i.Network), attribute.String("iterdns.reason", string(i.Reason))))
		},
		Response: func(i resolver.ResponseInfo) { t.response(ctx, i) },
		Referral: func(i resolver.ReferralInfo) {
			event("referral", i.At, t.private(attribute.String("iterdns.zone", i.Cut.Zone.String()))...)
		},
		Alias: func(i resolver.AliasInfo) {
			event("alias", i.At, t.private(attribute.String("iterdns.alias.to", i.To))...)
		},
		Validated: func(i resolver.ValidatedInfo) {
			event("validated", i.At, append(t.private(attribute.String("iterdns.zone", i.Zone)),
				attribute.String("iterdns.status", i.Status.String()))...)
		},
		Done: func(i resolver.DoneInfo) { t.metrics.done(ctx, i) },
	}
}

// response makes a span of a query that has ended.
func (t *Telemetry) response(ctx context.Context, i resolver.ResponseInfo) {
	kind := i.Kind
	if i.Err != nil {
		kind = "failed"
	}
	t.metrics.response(ctx, i, kind)
	_, span := t.tracer.Start(ctx, "dns query", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(i.At.Add(-i.RTT)),
		trace.WithAttributes(transport(i.Network), attribute.String("iterdns.response.kind", kind)))
	span.SetAttributes(t.private(
		attribute.String("iterdns.zone", i.Zone),
		attribute.String("server.address", i.Server.Addr().String()),
		attribute.Int("server.port", int(i.Server.Port())),
	)...)
	if i.Err != nil {
		span.SetStatus(codes.Error, "no usable response")
	} else {
		span.SetAttributes(attribute.String("iterdns.rcode", rcodeText(i.Rcode)), attribute.Int("iterdns.response.size", len(i.Message)))
	}
	span.End(trace.WithTimestamp(i.At))
}

// describe says in a question's span how it ended.
func (t *Telemetry) describe(span trace.Span, i resolver.DoneInfo) {
	span.SetAttributes(
		attribute.String("iterdns.question.type", dns.Type(i.Question.Qtype).String()),
		attribute.Int("iterdns.queries", i.Sends),
		attribute.Int("iterdns.received", i.Bytes),
		attribute.Int("iterdns.signature_checks", i.Validation.SignatureChecks),
	)
	span.SetAttributes(t.private(attribute.String("dns.question.name", i.Question.Name))...)
	if i.Result != nil {
		span.SetAttributes(
			attribute.String("iterdns.rcode", rcodeText(i.Result.Rcode)),
			attribute.String("iterdns.status", i.Result.Status.String()),
			attribute.Bool("iterdns.from_cache", i.Result.FromCache),
		)
	}
}

// private returns attributes that only Options.Names lets out.
func (t *Telemetry) private(attributes ...attribute.KeyValue) []attribute.KeyValue {
	if !t.names {
		return nil
	}
	return attributes
}

func transport(network string) attribute.KeyValue {
	return attribute.String("network.transport", network)
}

// rcodeText returns a response code's mnemonic.
func rcodeText(rcode int) string {
	if rcode == dns.RcodeBadVers {
		return "BADVERS" // miekg/dns has the name that the number has in TSIG records
	}
	return dns.RcodeToString[rcode]
}
