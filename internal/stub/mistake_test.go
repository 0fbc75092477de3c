package stub

import (
	"strings"
	"testing"
)

// TestMistake: each mistake in a name is told apart, and a name that is asked for has none.
func TestMistake(t *testing.T) {
	long := strings.Repeat("a", 63) + "."
	for _, test := range []struct{ name, want string }{
		{"", "the name is empty"},
		{"192.0.2.1", "it is an address"},
		{"2001:db8::1", "it is an address"},
		{"fe80::1%eth0", "it is an address"},
		{"http://www.good.example/", "it is a URL"},
		{"www.good.example/path", "it has a slash"},
		{"192.0.2.0/24", "it has a slash"},
		{"user@good.example", "it is a mail address"},
		{"www.good.example:443", "it has a port"},
		{"[2001:db8::1]:53", "it has a port"},
		{"bücher.example", "it has characters that are not ASCII"},
		{"*.good.example", "it is a wildcard"},
		{"a b.example", "it has a blank"},
		{"good.example\n", "it has a blank"},
		{"what?.example", "it has the character ?,"},
		{"bad..name", "it has an empty label"},
		{".example", "it has an empty label"},
		{"..", "it has an empty label"},
		{"a" + long + "example", "it has a label of more than 63 bytes"},
		{long + long + long + long, "it has more than 253 bytes"},
		{"-a.example", "it has a label that begins or ends with a hyphen"},
		{"a-.example", "it has a label that begins or ends with a hyphen"},
		{"shop.onion", "names below onion. belong to Tor"},
		{"shop.ONION.", "names below onion. belong to Tor"},
		{"192.0.2", "it has digits and dots alone"},

		{".", ""},
		{"www.good.example", ""},
		{"www.good.example.", ""},
		{"_sip._tcp.good.example", ""},
		{"xn--bcher-kva.example", ""},
		{"onion", ""},
	} {
		what, remedy := Mistake(test.name)
		if !strings.HasPrefix(what, test.want) || (what == "") != (test.want == "") || (remedy == "") != (what == "") {
			t.Errorf("%q: got %q and %q, want %q", test.name, what, remedy, test.want)
		}
		if asked := IsHostName(test.name) && askable(test.name); asked != (what == "") {
			t.Errorf("%q: is asked for: %t, but got %q", test.name, asked, what)
		}
	}
}
