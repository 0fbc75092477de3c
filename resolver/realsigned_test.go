package resolver_test

import (
	"os"
	"testing"

	"github.com/iterdns/iterdns/internal/test/realsigned"
)

// Zones that BIND, Knot DNS and ldns have signed, with all algorithms that they offer,
// served by NSD, Knot DNS and BIND: our verdicts, and those of Unbound and Knot Resolver.
func TestRealSigned(t *testing.T) {
	if testing.Short() {
		t.Skip("signs with three programs; TestValidatedAnswers has the algorithms in memory")
	}
	differences, err := os.ReadFile("testdata/realsigned.differences")
	if err != nil {
		t.Fatal(err)
	}
	realsigned.Test(t, realsigned.Options{Differences: string(differences)})
}
