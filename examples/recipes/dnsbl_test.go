package recipes

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestListed(t *testing.T) {
	in := resolvertest.New(t, `
-- zone bl.example.net. --
66.113.0.203    A    127.0.0.2
66.113.0.203    TXT  "https://example.net/why" "?203.0.113.66"
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2  A  127.0.0.3
-- zone refusing.example.net. --
*.0.203         A    127.255.255.254
-- zone gone.example.net. --
*               A    192.0.2.99
-- zone broken.example.net. --
-- fault broken.example.net. --
rcode SERVFAIL
`)
	const listed = "203.0.113.66"
	for _, test := range []struct {
		list, addr, code, reason, wrong string
	}{
		{"bl.example.net", listed, "127.0.0.2", "https://example.net/why?203.0.113.66", ""},
		{"bl.example.net", "2001:db8::1", "127.0.0.3", "", ""},
		{"bl.example.net", "203.0.113.67", "", "", ""},
		{"refusing.example.net", listed, "", "", "does not answer us"},
		{"gone.example.net", listed, "", "", "as no block list does"},
		{"broken.example.net", listed, "", "", "broken.example.net"},
	} {
		r := in.Resolver(t)
		got, err := Listed(t.Context(), r, test.list, netip.MustParseAddr(test.addr))
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) || len(got.Codes) > 0 {
				t.Errorf("%s at %s: got %v, %v, want %q", test.addr, test.list, got, err, test.wrong)
			}
			continue
		}
		var want Listing
		if test.code != "" {
			want.Codes = []netip.Addr{netip.MustParseAddr(test.code)}
		}
		if test.reason != "" {
			want.Reasons = []string{test.reason}
		}
		if err != nil || !slices.Equal(got.Codes, want.Codes) || !slices.Equal(got.Reasons, want.Reasons) {
			t.Errorf("%s at %s: got %v, %v, want %v", test.addr, test.list, got, err, want)
		}
	}
	// Answers of lists are loopback addresses.
	for _, private := range [][]string{nil, {"bl.example.net"}} {
		r := in.Resolver(t, func(o *resolver.Options) { o.RebindingProtection, o.PrivateDomains = true, private })
		got, err := Listed(t.Context(), r, "bl.example.net", netip.MustParseAddr(listed))
		if (err == nil && len(got.Codes) == 1) != (private != nil) {
			t.Errorf("with PrivateDomains %q: got %v, %v", private, got, err)
		}
	}
}
