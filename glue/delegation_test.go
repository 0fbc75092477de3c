package glue

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestBailiwickOf(t *testing.T) {
	tests := []struct {
		ns, parent, child string
		want              Bailiwick
	}{
		{"ns.sub.example.", "example.", "sub.example.", InDomain},
		{"sub.example.", "example.", "sub.example.", InDomain},
		{"a.b.sub.example.", "example.", "sub.example.", InDomain},
		{"ns.example.", "example.", "sub.example.", Sibling},
		{"example.", "example.", "sub.example.", Sibling},
		{"ns.other.example.", "example.", "sub.example.", Sibling},
		{`x\003sub.example.`, "example.", "sub.example.", Sibling}, // label boundary
		{"ns.test.", "example.", "sub.example.", OutOfBailiwick},
		{`x\007example.`, "example.", "sub.example.", OutOfBailiwick},
		{".", "example.", "sub.example.", OutOfBailiwick},
		{"ns.test.", ".", "example.", Sibling},
		{".", ".", "example.", Sibling},
		{"ns.test.", ".", ".", InDomain},
	}
	for _, tt := range tests {
		got := BailiwickOf(dnsname.MustParse(tt.ns), dnsname.MustParse(tt.parent), dnsname.MustParse(tt.child))
		if got != tt.want {
			t.Errorf("%s for %s below %s: got %s, want %s", tt.ns, tt.child, tt.parent, got, tt.want)
		}
	}
}

func TestBailiwickString(t *testing.T) {
	for b, want := range map[Bailiwick]string{
		OutOfBailiwick: "out-of-bailiwick", Sibling: "sibling", InDomain: "in-domain", 99: "unknown",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d: got %q, want %q", b, got, want)
		}
	}
}

func TestDelegation(t *testing.T) {
	glued := Server{dnsname.MustParse("a.sub.example."), InDomain, []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	d := &Delegation{
		Zone: dnsname.MustParse("sub.example."),
		Servers: []Server{
			{Name: dnsname.MustParse("ns.test."), Bailiwick: OutOfBailiwick},
			glued,
			{Name: dnsname.MustParse("b.sub.example."), Bailiwick: InDomain},
			{Name: dnsname.MustParse("ns.example."), Bailiwick: Sibling},
			{dnsname.MustParse("glued.example."), Sibling, []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
		},
	}
	if got, ok := d.Server(glued.Name); !ok || got.Name != glued.Name || !slices.Equal(got.Addrs, glued.Addrs) {
		t.Errorf("got %v, %t; want %v", got, ok, glued)
	}
	if got, ok := d.Server(dnsname.MustParse("www.sub.example.")); ok || got.Name != "" {
		t.Errorf("got %v for a name that is not listed", got)
	}
	for name, want := range map[string]bool{"sub.example.": true, "a.sub.example.": true, "example.": false, `x\003sub.example.`: false} {
		if got := d.InDomain(dnsname.MustParse(name)); got != want {
			t.Errorf("%s in-domain: got %t, want %t", name, got, want)
		}
	}
}
