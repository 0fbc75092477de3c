package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// failsWith is an Exchanger that always fails.
type failsWith struct{ err error }

func (f failsWith) Exchange(context.Context, string, netip.AddrPort, []byte) ([]byte, error) {
	return nil, f.err
}

// silence is an Exchanger that waits for the end, once it has said that it is asked.
type silence struct{ asked func() }

func (s *silence) Exchange(ctx context.Context, _ string, _ netip.AddrPort, _ []byte) ([]byte, error) {
	s.asked()
	<-ctx.Done()
	return nil, ctx.Err()
}

// An error of this package that a program returns from one of its functions, or ends a context
// with, tells the resolver as much as one of its own.
func TestErrorsOfTheProgram(t *testing.T) {
	limit := &resolver.LimitError{Limit: "Sends", Value: 3}
	bogus := &resolver.Error{Status: dnssec.Bogus, Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeSignatureExpired}, Err: errors.New("old")}
	for _, given := range []struct {
		err    error
		reason resolver.FailureReason
	}{
		{limit, resolver.FailureLimit}, {fmt.Errorf("wrapped: %w", limit), resolver.FailureLimit},
		{&resolver.Error{Err: limit}, resolver.FailureLimit}, {bogus, resolver.FailureBogus},
	} {
		dial := func(context.Context, string, string) (net.Conn, error) { return nil, given.err }
		hook := func(context.Context, dns.Question) (*resolver.Result, error) { return nil, given.err }
		for _, from := range []struct {
			name string
			resolver.Options
		}{
			{"Exchanger", resolver.Options{Exchanger: failsWith{given.err}}},
			{"Dial", resolver.Options{Dial: dial}},
			{"hook", resolver.Options{Exchanger: failsWith{errors.New("down")}, Hooks: resolver.Hooks{Before: hook}}},
			{"end of a context", resolver.Options{Exchanger: &silence{}}},
		} {
			if given.err == bogus && from.Hooks.Before == nil {
				continue // only a hook's error says whether the answer is bogus: it is returned as it is
			}
			t.Run(fmt.Sprintf("%s, %v", from.name, given.err), func(t *testing.T) {
				ctx := t.Context()
				if s, ok := from.Exchanger.(*silence); ok {
					var end context.CancelCauseFunc
					ctx, end = context.WithCancelCause(ctx)
					s.asked = func() { end(given.err) } // a question whose context has ended before is not counted
				}
				from.Validation = resolver.ValidateOff
				r, err := resolver.New(from.Options)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				_, err = r.Resolve(ctx, "www.shop.example.", dns.TypeA)
				var found *resolver.LimitError
				var failure *resolver.Error
				if isLimit := given.reason == resolver.FailureLimit; !errors.As(err, &failure) || errors.As(err, &found) != isLimit || isLimit && *found != *limit {
					t.Errorf("got %v, with the limit %v", err, found)
				}
				if got := r.Stats().Failures; got[given.reason] != 1 {
					t.Errorf("counted as %v, want %s", got, given.reason)
				}
			})
		}
	}
}
