package realsigned

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// Signed is a zone that a product has signed, from an hour ago or so on.
type Signed struct {
	Origin  string
	Text    string          // with keys, signatures and denials
	Anchors []dnssec.Anchor // of its key signing keys: DS records, which are good for its parent too
}

// Sign has a zone signed with ECDSA P-256 by "bind", "knot" or "ldns", with the denials "nsec",
// "nsec3" or "optout". The text has the names that are not absolute relative to origin. A test is
// skipped, or fails in CI, where a program is missing.
func Sign(t *testing.T, product, origin, denial, text string) Signed {
	t.Helper()
	for _, s := range signers() {
		if s.name != product {
			continue
		}
		for _, program := range s.programs {
			realserver.Program(t, program)
		}
		z := &zone{origin: origin, algorithm: dns.ECDSAP256SHA256, denial: denial}
		dir := t.TempDir()
		writeFile(t, dir, zoneFile, fmt.Sprintf("$ORIGIN %s\n%s", origin, text))
		z.text = s.sign(t, dir, z, s.algorithms[z.algorithm])
		z.readAnchors(t)
		return Signed{Origin: origin, Text: z.text, Anchors: z.anchors}
	}
	t.Fatalf("no product %q signs zones", product)
	return Signed{}
}

// DS returns the records that the zone's parent has, one a line.
func (s *Signed) DS() string {
	var b strings.Builder
	for _, a := range s.Anchors {
		b.WriteString(a.String() + "\n")
	}
	return b.String()
}
