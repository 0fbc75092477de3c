package resolver

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

// TestShown: callers find their own types in an error of the engine, at the same places of the
// tree, and nothing else changes.
func TestShown(t *testing.T) {
	sends := limits.Sends.Reached(3)
	for _, test := range []struct {
		about        string
		err          error
		limit, route bool
	}{
		{"none", nil, false, false},
		{"a cause", failure.ErrCircular, false, false},
		{"causes", failure.Join([]error{failure.ErrCircular, failure.ErrLame}), false, false},
		{"a limit", sends, true, false},
		{"a limit, wrapped", fmt.Errorf("wrapped: %w", sends), true, false},
		{"a limit among causes", &failure.ZoneError{Err: failure.Join([]error{failure.ErrCircular, fmt.Errorf("wrapped: %w", sends)})}, true, false},
		{"a route", &routes.Error{Zone: "example.", Err: failure.ErrCircular}, false, true},
		{"a limit by a route", failure.Join([]error{failure.ErrLame, &routes.Error{Zone: "example.", Err: sends}}), true, true},
		{"a limit in a type of its own", &net.OpError{Op: "dial", Err: sends}, true, false},
	} {
		got := shown(test.err)
		if fmt.Sprint(got) != fmt.Sprint(test.err) {
			t.Errorf("%s: got the text %q, want %q", test.about, got, test.err)
		}
		if same := reflect.TypeOf(got) == reflect.TypeOf(test.err); same == (test.limit || test.route) {
			t.Errorf("%s: got a %T for a %T", test.about, got, test.err)
		}
		var limit *LimitError
		if errors.As(got, &limit) != test.limit || test.limit && *limit != (LimitError{"Sends", 3}) {
			t.Errorf("%s: got the limit %v", test.about, limit)
		}
		var route *RouteError
		if errors.As(got, &route) != test.route || test.route && route.Zone != "example." {
			t.Errorf("%s: got the route %v", test.about, route)
		}
		var op, wantOp *net.OpError
		if errors.As(got, &op) != errors.As(test.err, &wantOp) || op != wantOp {
			t.Errorf("%s: got %v, want %v", test.about, op, wantOp)
		}
		if errors.Is(got, ErrCircular) != errors.Is(test.err, failure.ErrCircular) {
			t.Errorf("%s: is circular: %t", test.about, errors.Is(got, ErrCircular))
		}
		if isOfEngine(got) {
			t.Errorf("%s: callers get a type of the engine's", test.about)
		}
	}
	if _, ok := errors.Unwrap(shown(fmt.Errorf("wrapped: %w", sends))).(*LimitError); !ok {
		t.Error("no *LimitError is wrapped")
	}
}

// asksCause is an error that finds types in another one.
type asksCause struct{ cause error }

func (asksCause) Error() string          { return "asks" }
func (e asksCause) As(target any) bool   { return errors.As(e.cause, target) }
func (e asksCause) Is(target error) bool { return errors.Is(e.cause, target) }

// TestHandedIn: the engine reads in an error of the program's what it reads in its own.
func TestHandedIn(t *testing.T) {
	sends, bogus := limits.Sends.Reached(3), &Error{Status: dnssec.Bogus, Extended: ExtendedError{dns.ExtendedErrorCodeSignatureExpired, "expired"}, Err: failure.ErrLame}
	for _, test := range []struct {
		about string
		err   error
		like  error // of the engine; nil: told describes it
		told  *ExtendedError
	}{
		{"a limit", &LimitError{"Sends", 3}, sends, nil},
		{"a limit, wrapped", fmt.Errorf("wrapped: %w", &LimitError{"Sends", 3}), sends, nil},
		{"a limit that callers have seen", shown(fmt.Errorf("wrapped: %w", sends)), sends, nil},
		{"a wait that callers have seen", shown(&failure.HeldError{Limit: sends, Cause: failure.ErrCircular}), &failure.HeldError{Limit: sends, Cause: failure.ErrCircular}, nil},
		{"an unknown limit", &LimitError{"Postage", 3}, &limits.Error{Limit: "Postage", Value: 3}, nil},
		{"a refusal", fmt.Errorf("wrapped: %w", &Refusal{}), &failure.RefusedError{Extended: failure.ExtendedError{Code: dns.ExtendedErrorCodeBlocked}}, nil},
		{"a cause", ErrCircular, failure.ErrCircular, nil},
		{"an error of a resolver", bogus, nil, &bogus.Extended},
		{"an error of a resolver, wrapped", fmt.Errorf("wrapped: %w", bogus), nil, &bogus.Extended},
		{"an error of a resolver, found by another", asksCause{bogus}, nil, &bogus.Extended},
		{"a limit of another resolver", wrap(dns.Question{}, failure.Join([]error{failure.ErrLame, sends})), nil, &ExtendedError{Text: sends.Error()}},
	} {
		got := failure.Of(handedIn(test.err))
		if test.told != nil {
			if got.Told == nil || got.Told.Extended != failure.ExtendedError(*test.told) || got.Told.Bogus != got.Is(failure.Bogus) {
				t.Errorf("%s: got %+v", test.about, got.Told)
			}
			continue
		}
		want := failure.Of(test.like)
		if got.Kinds != want.Kinds || got.Traits != want.Traits || got.Extended() != want.Extended() {
			t.Errorf("%s: got the kinds %b with %+v, want %b with %+v", test.about, got.Kinds, got.Extended(), want.Kinds, want.Extended())
		}
	}
	if f := failure.Of(wrap(dns.Question{}, failure.Join([]error{failure.ErrLame, sends}))); !f.Reaches(limits.Sends) {
		t.Error("the limit in an error of another resolver is not read")
	}
	if f := failure.Of(handedIn(&Refusal{Rcode: dns.RcodeNameError})); f.Refusal == nil || f.Refusal.Rcode != dns.RcodeNameError {
		t.Errorf("got the refusal %+v", f.Refusal)
	}
}
