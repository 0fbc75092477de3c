package wire

import (
	"strings"
	"testing"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestSigner: the signer of an RRSIG stands behind 18 bytes (RFC 4034 §3.1); RDATA without one has none.
func TestSigner(t *testing.T) {
	fixed := strings.Repeat("\x01", 18)
	for rdata, want := range map[string]dnsname.Name{
		fixed + "\x04Shop\x07example\x00signature": "\x04shop\x07example\x00",
		fixed + "\x00signature":                    "\x00",
		fixed + "\x04shop":                         "",
		fixed:                                      "",
		fixed[1:]:                                  "",
	} {
		if got, ok := Signer(rdata); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", rdata, got, ok, want)
		}
	}
}
