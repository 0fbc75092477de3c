package resolver

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/glue"
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

// Whoever has what they want asks for no more.
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
		if got := isHostName(name); got != asked {
			t.Errorf("%q: got %t, package net %t", name, got, asked)
		}
		if n, err := dnsname.Parse(name); isHostName(name) && (err != nil || n == "") {
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

func TestFillNet(t *testing.T) {
	hints := &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{Name: "\x01a\x00"}}}
	c, err := Options{RootHints: hints, SearchList: []string{"corp.example", "example.", "."}}.fill()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"corp.example.", "example.", "."}; !slices.Equal(c.search, want) {
		t.Errorf("got %q, want %q", c.search, want)
	}
	for _, o := range []Options{
		{RootHints: hints, SearchList: []string{"corp..example"}},
		{RootHints: hints, AddressOrder: OrderIPv6First + 1},
	} {
		if _, err := o.fill(); err == nil || !strings.HasPrefix(err.Error(), "resolver: options: ") {
			t.Errorf("%+v: got %v, want an error about options", o.SearchList, err)
		}
	}
}
