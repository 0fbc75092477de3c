package failure

import (
	"errors"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/limits"
)

// TestRFC8914Extended lists which extended error clients get for a failure; none where a hook has
// left it open, or the validator has named no reason.
func TestRFC8914Extended(t *testing.T) {
	for _, test := range []struct {
		err  error
		want ExtendedError
	}{
		{&limits.Error{Limit: "Sends", Value: 100}, ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "limit Sends (100) reached"}},
		{ErrNoReachableServer, ExtendedError{Code: dns.ExtendedErrorCodeNoReachableAuthority, Text: "no reachable server"}},
		{ErrBlocked, ExtendedError{Code: dns.ExtendedErrorCodeNetworkError, Text: ErrBlocked.Error()}},
		{&BogusError{Err: errors.New("bogus"), Reason: dnssec.Reason{}}, ExtendedError{}},
		{errors.New("unknown"), ExtendedError{Code: dns.ExtendedErrorCodeNoReachableAuthority}},
		{&RefusedError{Rcode: dns.RcodeServerFailure}, ExtendedError{}},
	} {
		if got := Of(test.err).Extended(); got != test.want {
			t.Errorf("%v: got %+v, want %+v", test.err, got, test.want)
		}
	}
}
