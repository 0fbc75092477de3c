package resolver_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
)

// TestOptionErrors: keys, identities and other options that make no sense are typed errors of New,
// which name the option.
func TestOptionErrors(t *testing.T) {
	ended := dnssec.DefaultAnchors()
	ended[0].ValidFrom, ended[0].ValidUntil = time.Unix(2e9, 0), time.Unix(1e9, 0)
	for _, test := range []struct {
		options      resolver.Options
		option, text string
	}{
		{resolver.Options{TrustAnchors: []dnssec.Anchor{{}}}, "TrustAnchors", "number 0 is empty: want one of dnssec.NewAnchor or ParseAnchors"},
		{resolver.Options{TrustAnchors: ended}, "TrustAnchors", "., key 20326: valid until "},
		{resolver.Options{TrustAnchors: []dnssec.Anchor{}}, "TrustAnchors", "empty: want nil for the built-in ones, or ValidateOff"},
		{resolver.Options{SecondLevelKey: []byte{}}, "SecondLevelKey", "no bytes, want random ones, or nil for no key"},
		{resolver.Options{SecondLevelKey: make([]byte, 32)}, "SecondLevelKey", "all bytes are 0, want random ones"},
		{resolver.Options{NSID: strings.Repeat("x", 256)}, "NSID", "256 bytes, want at most 255"},
		{resolver.Options{NSID: "server-1\n"}, "NSID", `"server-1\n" begins or ends with white space`},
		{resolver.Options{NSID: "  "}, "NSID", `"  " begins or ends with white space`},
		{resolver.Options{Minimise: 9}, "Minimise", "unknown value 9"},
		{resolver.Options{MaxStale: -1}, "MaxStale", "neither it nor StaleAfter may be negative"},
		{resolver.Options{SearchList: []string{"a..b"}}, "SearchList", "search list: "},
		{resolver.Options{PrivateDomains: []string{"a..b"}}, "PrivateDomains", `"a..b": `},
		{resolver.Options{PrivateDomains: []string{"corp.example"}}, "PrivateDomains", "RebindingProtection is off"},
		{resolver.Options{Routes: []resolver.Route{{Zone: "corp"}}}, "Routes", `route "corp": no server`},
		{resolver.Options{NegativeTrustAnchors: []resolver.NegativeTrustAnchor{{Zone: "a..b"}}}, "NegativeTrustAnchors", `"a..b": `},
		{resolver.Options{LocalZones: []resolver.LocalZone{{Zone: "a..b"}}}, "LocalZones", `local zone "a..b": `},
	} {
		r, err := resolver.New(test.options)
		var e *resolver.OptionError
		if !errors.As(err, &e) || e.Option != test.option || !strings.HasPrefix(err.Error(), "resolver: options: "+test.option+": "+test.text) {
			t.Errorf("%s: got %v, want an *OptionError with %q", test.option, err, test.text)
		}
		if r != nil {
			t.Errorf("%s: got a Resolver beside the error", test.option)
		}
	}
	r, err := resolver.New(resolver.Options{NSID: "server 1", SecondLevelKey: bytes.Repeat([]byte("ab"), 8)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var e *resolver.OptionError
	if err := r.SetRoutes([]resolver.Route{{Zone: "corp"}}); !errors.As(err, &e) || e.Option != "Routes" {
		t.Errorf("SetRoutes: got %v, want an *OptionError", err)
	}
	if err := r.SetLocalZones([]resolver.LocalZone{{Zone: "a..b"}}); !errors.As(err, &e) || e.Option != "LocalZones" {
		t.Errorf("SetLocalZones: got %v, want an *OptionError", err)
	}
}

// TestAnchorDigestLength: a digest that was cut while it was copied matches no key.
func TestAnchorDigestLength(t *testing.T) {
	for text, fits := range map[string]bool{
		". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D": true,
		". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC":   false,
		". DS 20326 8 1 E06D44B80B8F1D39A95C0B0D7C65D08458E88040":                         true,
		". DS 20326 8 4 E06D44B80B8F1D39A95C0B0D7C65D08458E88040":                         false,
		". DS 20326 8 200 E06D": true, // unknown
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dnssec.NewAnchor(rr); errors.Is(err, dnssec.ErrAnchor) == fits {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// TestAnchorStoreExplained: an error about what the store has names the file, and is no mistake in the options.
func TestAnchorStoreExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "anchors.json")
	for text, wants := range map[string][]string{
		"":      {file + ": unusable state of trust anchors: empty", "has something else than their states"},
		"hello": {file + ": unusable state of trust anchors: ", "has something else than their states"},
		"none":  {"no such file or directory", "cannot be read", "the folder of a file has to exist"},
	} {
		path := file
		if text == "none" {
			path = filepath.Join(t.TempDir(), "missing", "anchors.json")
		} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := resolver.New(resolver.Options{AnchorStore: anchorfile.New(path)})
		var option *resolver.OptionError
		if !errors.As(err, &option) || option.Option != "AnchorStore" {
			t.Fatalf("%q: got %v", text, err)
		}
		for _, want := range wants {
			if got := resolver.Explain(err); !strings.Contains(got, want) || strings.Contains(got, "make no sense") {
				t.Errorf("%q: got %q, want %q in it", text, got, want)
			}
		}
	}
}
