package resolver_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Each step has a line, and each question one that says how it ended.
func TestLogTrace(t *testing.T) {
	const text = `
-- zone shop.example. signed --
alias  CNAME  www.other.example.
-- zone other.example. signed --
www    A      192.0.2.80
-- zone broken.example. --
www    A      192.0.2.81
-- fault broken.example. --
rcode SERVFAIL
`
	tests := []struct {
		level slog.Level
		name  string
		want  []string
		none  string
	}{
		{slog.LevelDebug, "alias.shop.example.", []string{
			`level=DEBUG msg=cache walk=1 question="alias.shop.example. A" hit=false`,
			`level=DEBUG msg=start walk=1 question="alias.shop.example. A" zone=. hints=true`,
			`msg=query walk=1`, `reason=`, `msg=response walk=1`, `kind=referral`,
			`msg=referral walk=1`, `zone=shop.example.`,
			`msg=alias walk=1`, `to=www.other.example.`,
			`msg=validated`,
			`level=INFO msg=resolved question="alias.shop.example. A" rcode=NOERROR status=secure`,
		}, "error="},
		{slog.LevelInfo, "alias.shop.example.", []string{"msg=resolved"}, "level=DEBUG"},
		{slog.LevelInfo, "www.broken.example.", []string{`level=WARN msg=resolved question="www.broken.example. A" rcode=""`, `error="resolve www.broken.example. A:`}, "level=INFO"},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			r := resolvertest.New(t, text).Resolver(t)
			var log bytes.Buffer
			l := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: test.level}))
			ctx := resolver.WithTrace(t.Context(), resolver.LogTrace(l))
			_, err := r.Resolve(ctx, test.name, dns.TypeA)
			got := log.String()
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s (%v): got\n%s\nwant %s", test.name, err, got, want)
				}
			}
			if strings.Contains(got, test.none) {
				t.Errorf("%s: got\n%s\nwant nothing with %s", test.name, got, test.none)
			}
		})
	}
}
