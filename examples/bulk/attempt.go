package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// attempt asks a question once.
func (b *batch) attempt(ctx context.Context, t *task) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := t.record
	r.Attempts++
	r.EDE, r.Opinion, r.Outcomes = nil, opinionNone, nil // of the attempt before
	begun := time.Now()
	w := &watcher{batch: b}
	trace := &resolver.Trace{
		Query: func(i resolver.QueryInfo) {
			w.asked(i)
			b.pacer.pass(ctx, cancel, sentAs(i))
		},
		Response: func(i resolver.ResponseInfo) {
			w.heard(i)
			b.pacer.heard(i)
		},
		Done: func(i resolver.DoneInfo) { w.queries = i.Sends },
	}
	d := &denial{}
	if b.opinions != nil {
		b.opinions.watch(trace, d)
	}
	result, err := b.r.Resolve(resolver.WithTrace(ctx, trace), t.name, t.qtype)
	if err != nil && errors.Is(context.Cause(ctx), errRate) {
		err = errRate
	}
	t.err = err
	r.Queries += w.queries
	r.addServers(w.servers)
	if err == nil {
		b.judge(ctx, t, result, d)
	}
	if t.err != nil {
		r.Outcomes = w.outcomes
	}
	r.addTime(time.Since(begun))
}

// judge fills in an answer. If the name does not exist, by the word of one server, another may be
// asked.
func (b *batch) judge(ctx context.Context, t *task, result *resolver.Result, d *denial) {
	r := t.record
	*r = record{
		Seq: r.Seq, Input: r.Input, Name: r.Name, Type: r.Type, Duplicate: r.Duplicate,
		Servers: r.Servers, Queries: r.Queries, TimeMS: r.TimeMS, Attempts: r.Attempts,
	}
	if b.opinions != nil && result.Rcode == dns.RcodeNameError && !isSecure(result) {
		said, asked := b.opinions.of(ctx, result, d)
		r.Opinion = said
		r.Queries += len(asked)
		r.addServers(asked)
		if said == opinionContradicts {
			b.place.options.Cache.Purge(result.Canonical()) // fails for what is no name only
			t.err = errDisagreement
			return
		}
	}
	r.setResult(t.question, result, b.config.signatures)
}

// sentAs returns a query as the pacer counts it.
func sentAs(i resolver.QueryInfo) sentQuery {
	return sentQuery{server: i.Server, asked: i.Asked, walk: i.Walk, id: i.ID}
}

// watcher notes what an attempt costs. Its methods are never called concurrently.
type watcher struct {
	batch    *batch
	queries  int
	servers  []netip.AddrPort
	outcomes map[string]int
}

// mostServers is how many addresses a line has.
const mostServers = 64

func (w *watcher) asked(i resolver.QueryInfo) {
	if !slices.Contains(w.servers, i.Server) && len(w.servers) < mostServers {
		w.servers = append(w.servers, i.Server)
	}
}

// heard counts what came of a query, in a word.
func (w *watcher) heard(i resolver.ResponseInfo) {
	what := i.Kind
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(i.Err, context.Canceled):
		return // another server was quicker
	case i.Err == nil || i.Message != nil:
		w.batch.seen.reply(i.RTT)
	default:
		w.batch.seen.silence()
	}
	switch {
	case what == "" && errors.As(i.Err, &timeout) && timeout.Timeout():
		what = "silent"
	case what == "":
		what = "failed"
	case i.Rcode != dns.RcodeSuccess:
		what += " " + rcodeText(i.Rcode)
	}
	if w.outcomes == nil {
		w.outcomes = make(map[string]int)
	}
	w.outcomes[what]++
}

func isSecure(result *resolver.Result) bool { return result.Status == dnssec.Secure }
