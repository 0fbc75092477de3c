// Package otel shows what a resolver does in OpenTelemetry: spans for questions and for
// the queries sent for them, and metrics. It is fed by the hooks of a resolver.Trace.
//
//	o, err := otel.New(otel.Options{})
//	…
//	result, err := o.Resolve(ctx, r, "www.example.com", dns.TypeAAAA)
//
// or, for all other methods of a Resolver:
//
//	addrs, err := r.LookupNetIP(o.Context(ctx), "ip", "www.example.com")
//
// The names of metrics and attributes follow the semantic conventions where these have
// one (dns.question.name, network.transport, server.address, error.type). No name and no
// address is ever an attribute of a metric, and of spans only if Options.Names says so:
// names tell about people (RFC 9076).
package otel
