package resolver

import (
	"context"
	"log/slog"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/printable"
)

// LogTrace returns a Trace that logs every step of a question: its end at slog.LevelInfo,
// or slog.LevelWarn if it failed, and the steps before at slog.LevelDebug. It may be used
// for any number of questions at once.
//
//	ctx = resolver.WithTrace(ctx, resolver.LogTrace(slog.Default()))
//
// The log contains the names asked for. RFC 9076 says what they tell about people.
func LogTrace(l *slog.Logger) *Trace {
	t := traceLogger{l}
	return &Trace{
		Joined: func(i JoinedInfo) { t.step(i.Step, "joined", slog.String("zone", i.Zone)) },
		Cache: func(i CacheInfo) {
			t.step(i.Step, "cache", slog.Bool("hit", i.Hit), slog.Bool("negative", i.Negative),
				slog.Bool("failure", i.Failure), slog.Bool("alias", i.Alias))
		},
		Start: func(i StartInfo) {
			t.step(i.Step, "start", slog.String("zone", i.Cut.Zone.String()), slog.Bool("hints", i.Hints))
		},
		Query: func(i QueryInfo) {
			t.step(i.Step, "query", slog.Int("id", i.ID), slog.String("zone", i.Zone), slog.Any("server", i.Server),
				slog.String("network", i.Network), slog.String("asked", questionText(i.Asked)), slog.String("reason", string(i.Reason)))
		},
		Response: func(i ResponseInfo) {
			t.step(i.Step, "response", slog.Int("id", i.ID), slog.Any("server", i.Server), slog.String("kind", i.Kind),
				slog.String("rcode", failure.RcodeName(i.Rcode)), slog.Duration("rtt", i.RTT), slog.Int("bytes", len(i.Message)), errorAttr(i.Err))
		},
		Referral: func(i ReferralInfo) {
			t.step(i.Step, "referral", slog.String("from", i.From), slog.String("zone", i.Cut.Zone.String()), slog.Bool("signed", len(i.DS) > 0))
		},
		ServerLookup: func(i ServerLookupInfo) {
			t.step(i.Step, "server lookup", slog.String("zone", i.Zone), slog.String("server", i.Server),
				slog.Bool("done", i.Done), slog.Any("addresses", i.Addrs), errorAttr(i.Err))
		},
		Alias: func(i AliasInfo) {
			t.step(i.Step, "alias", slog.String("from", i.From), slog.String("to", i.To), slog.Bool("dname", i.DNAME))
		},
		Validated: func(i ValidatedInfo) {
			t.step(i.Step, "validated", slog.String("zone", i.Zone), slog.String("status", i.Status.String()),
				slog.Int("code", int(i.Extended.Code)), slog.String("why", Printable(i.Extended.Text)))
		},
		Done: t.done,
	}
}

type traceLogger struct{ *slog.Logger }

// step logs an event before the end.
func (t traceLogger) step(s Step, event string, attributes ...slog.Attr) {
	ctx := context.Background() // hooks have none
	if !t.Enabled(ctx, slog.LevelDebug) {
		return
	}
	all := append([]slog.Attr{slog.Int("walk", s.Walk), slog.String("question", questionText(s.Question))}, attributes...)
	t.LogAttrs(ctx, slog.LevelDebug, event, all...)
}

func (t traceLogger) done(i DoneInfo) {
	level, rcode, status := slog.LevelInfo, "", ""
	if i.Err != nil {
		level = slog.LevelWarn
	}
	if i.Result != nil {
		rcode, status = failure.RcodeName(i.Result.Rcode), i.Result.Status.String()
	}
	t.LogAttrs(context.Background(), level, "resolved", slog.String("question", questionText(i.Question)),
		slog.String("rcode", rcode), slog.String("status", status), slog.Int("sends", i.Sends), slog.Int("bytes", i.Bytes),
		slog.Duration("took", i.Elapsed), errorAttr(i.Err))
}

func questionText(q dns.Question) string { return Printable(q.Name) + " " + dns.Type(q.Qtype).String() }

// errorAttr returns the attribute for an error; for nil the zero Attr, which handlers omit.
// Handlers that write JSON do not escape everything that a terminal obeys.
func errorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.Any("error", printable.Error{Err: err})
}
