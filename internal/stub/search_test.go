package stub

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestCandidates(t *testing.T) {
	search := []string{"corp.example.", "example."}
	long := strings.Repeat("a.", 125) // 250 characters
	for _, c := range []struct {
		name   string
		search []string
		ndots  int
		want   string
	}{
		{"www", nil, 1, "www"},
		{"www", search, 1, "www.corp.example. www.example. www"},
		{"www.", search, 1, "www."},
		{"www.shop", search, 1, "www.shop www.shop.corp.example. www.shop.example."},
		{"www.shop", search, 2, "www.shop.corp.example. www.shop.example. www.shop"},
		{"www", search, 0, "www www.corp.example. www.example."},
		{"www", search, -1, "www www.corp.example. www.example."},
		{"www", []string{"."}, 1, "www. www"},
		{"shop.onion", search, 1, "shop.onion.corp.example. shop.onion.example."},
		{"shop.OnIon.", search, 1, ""},
		{"onion", []string{"onion."}, 1, "onion"},
		{long, search, 1, long},
		{long + "aaa", search, 1, long + "aaa"},
		{long + "aaaa", search, 1, ""},
	} {
		if got := strings.Join(slices.Collect(candidates(c.name, c.search, c.ndots)), " "); got != c.want {
			t.Errorf("%q, %q, ndots %d: got %q, want %q", c.name, c.search, c.ndots, got, c.want)
		}
	}
}

// A caller that has what it wants asks for no more.
func TestCandidatesStop(t *testing.T) {
	for stop := range 3 {
		seen := 0
		for range candidates("www.shop", []string{"corp.example.", "example."}, 1) {
			if seen++; seen > stop {
				break
			}
		}
		if seen != stop+1 {
			t.Errorf("got %d names, want to stop after %d", seen, stop+1)
		}
	}
}

// The rules are package net's, which has no exported function for them; what it says
// about a name without asking anybody tells.
func FuzzIsHostName(f *testing.F) {
	for _, seed := range []string{
		"", ".", "..", "www.shop.example", "www.shop.example.", // plain names
		"192.0.2.1", "1.2.3.", "1.2.a", "1-2", "123", "_", // digits alone are none
		"a-", "-a", "a.-b", "a-.b", "a--b", "_sip._tcp", // hyphens inside only
		"a b", "a\x00", "bücher", `a\.b`, "a*", // other characters
		strings.Repeat("a", 63), strings.Repeat("a", 64), // labels
		strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 127), strings.Repeat("a.", 127) + "a", // names
	} {
		f.Add(seed)
	}
	asked := false
	r := &net.Resolver{PreferGo: true, Dial: refuse(&asked)}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), ".onion") {
			return // not asked for either, for another reason
		}
		asked = false
		r.LookupTXT(t.Context(), name)
		if got := IsHostName(name); got != asked {
			t.Errorf("%q: got %t, package net %t", name, got, asked)
		}
		if n, err := dnsname.Parse(name); IsHostName(name) && (err != nil || n == "") {
			t.Errorf("%q: a host name but no domain name: %v", name, err)
		}
	})
}

// refuse is a Dial for a net.Resolver that may ask nobody; it notes that it was called.
func refuse(asked *bool) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		*asked = true
		return nil, net.ErrClosed
	}
}

func TestSearchList(t *testing.T) {
	for _, c := range []struct {
		domains []string
		ndots   int
		want    string
	}{
		{nil, 0, "www"},
		{[]string{"corp.example", "example.", "."}, 0, "www.corp.example. www.example. www. www"},
		{[]string{"corp.example"}, -1, "www www.corp.example."},
	} {
		s, err := NewSearchList(c.domains, c.ndots)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, n := range s.Candidates("www") {
			got = append(got, name)
			if want := dnsname.MustParse(name); n != want {
				t.Errorf("%q: got %v, want %v", name, n, want)
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%q, ndots %d: got %q, want %q", c.domains, c.ndots, got, c.want)
		}
	}
	if _, err := NewSearchList([]string{"corp..example"}, 0); err == nil {
		t.Error("got no error for an empty label")
	}
}
