package resolver_test

import (
	"strings"
	"testing"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// With an empty list of anchors a validating resolver would call every answer
// Indeterminate, corrupted ones too. Nil is the built-in list, and with ValidateOff none is
// needed.
func TestNoAnchors(t *testing.T) {
	for about, c := range map[string]struct {
		options resolver.Options
		ok      bool
	}{
		"nil":            {resolver.Options{}, true},
		"empty":          {resolver.Options{TrustAnchors: []dnssec.Anchor{}}, false},
		"one is enough":  {resolver.Options{TrustAnchors: dnssec.DefaultAnchors()[:1]}, true},
		"not validating": {resolver.Options{TrustAnchors: []dnssec.Anchor{}, Validation: resolver.ValidateOff}, true},
	} {
		r, err := resolver.New(c.options)
		if r != nil {
			if err := r.Close(); err != nil {
				t.Errorf("%s: %v", about, err)
			}
		}
		if (err == nil) != c.ok || !c.ok && !strings.Contains(err.Error(), "TrustAnchors") {
			t.Errorf("%s: got %v, want it to work: %v", about, err, c.ok)
		}
	}
}
