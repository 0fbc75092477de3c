package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/iterdns/iterdns/resolver"
)

// TestRealInternet: a name without -mock is looked up on the real Internet, from the
// hints given or the embedded ones. Nothing is sent here.
func TestRealInternet(t *testing.T) {
	hints := filepath.Join(t.TempDir(), "hints")
	if err := os.WriteFile(hints, []byte(". NS ns.example.\nns.example. A 192.0.2.53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   []string
		server string // the only root server; "": the embedded ones
		family resolver.Family
	}{
		{[]string{"www.example"}, "", resolver.FamilyAuto},
		{[]string{"-4", "www.example"}, "", resolver.FamilyIPv4Only},
		{[]string{"-6", "-hints", hints, "www.example"}, "ns.example.", resolver.FamilyIPv6Only},
	}
	for _, test := range tests {
		c, err := parseArgs(test.args, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		in, err := c.internet()
		if err != nil {
			t.Fatal(err)
		}
		defer in.close()
		server := ""
		if h := in.options.RootHints; h != nil && len(h.Servers) == 1 {
			server = h.Servers[0].Name.String()
		}
		if server != test.server || in.options.Family != test.family || in.options.Dial != nil || in.title != "" {
			t.Errorf("%q: got server %q, %+v, want server %q and family %d", test.args, server, in.options, test.server, test.family)
		}
	}
}
