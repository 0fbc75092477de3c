package realserver

import (
	"fmt"
	"testing"
)

func TestParseRootZone(t *testing.T) {
	root := parseRoot(t)
	if got, want := fmt.Sprint(root.Servers), "[192.0.2.1]"; got != want {
		t.Errorf("servers of the root: got %s, want %s", got, want)
	}
	var got []string
	for _, tld := range root.TLDs {
		got = append(got, fmt.Sprintf("%s %d NS %d DS %v", tld.Name, len(tld.NS), len(tld.DS), tld.Servers))
	}
	want := []string{"example. 2 NS 1 DS [192.0.2.53 2001:db8::53]", "test. 1 NS 0 DS [192.0.2.53 2001:db8::53]"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("delegations: got %q, want %q", got, want)
	}
	if tld := root.TLD("EXAMPLE."); tld == nil || tld.Name != "example." {
		t.Errorf("TLD(EXAMPLE.): got %v, want example.", tld)
	}
}

func TestParseRootZoneErrors(t *testing.T) {
	for name, text := range map[string]string{
		"syntax":         "example. 60 A not-an-address\n",
		"no root server": "example. 60 NS ns.example.\n",
		"DS only": `. 60 NS a.root-servers.example.
a.root-servers.example. 60 A 192.0.2.1
example. 60 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
`,
	} {
		if _, err := ParseRootZone(text); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// The figures are those of the archive's description.
func TestReadRootZone(t *testing.T) {
	root := ReadRootZone(t)
	signed := 0
	for _, tld := range root.TLDs {
		if len(tld.DS) > 0 {
			signed++
		}
		if len(tld.Servers) == 0 {
			t.Errorf("%s has no glue", tld.Name)
		}
	}
	if got, want := fmt.Sprint(len(root.TLDs), signed, len(root.Servers)), "1438 1346 26"; got != want {
		t.Errorf("delegations, signed ones, root server addresses: got %s, want %s", got, want)
	}
}
