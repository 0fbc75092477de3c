package roothints

import (
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestDefault(t *testing.T) {
	d := Default()
	if d.Zone != dnsname.Root || d.TTL != 0 {
		t.Errorf("zone %s, TTL %s; want the root, 0", d.Zone, d.TTL)
	}
	if len(d.Servers) != 13 {
		t.Fatalf("%d servers, want 13", len(d.Servers))
	}
	for i, s := range d.Servers {
		if want := dnsname.MustParse(string(rune('a'+i)) + ".root-servers.net."); s.Name != want {
			t.Errorf("server %d is %s, want %s", i, s.Name, want)
		}
		if s.Bailiwick != glue.InDomain {
			t.Errorf("%s is %s, want in-domain: everything is below the root", s.Name, s.Bailiwick)
		}
		if len(s.Addrs) != 2 || !s.Addrs[0].Is4() || !s.Addrs[1].Is6() {
			t.Errorf("%s has %v, want one address of each family", s.Name, s.Addrs)
		}
	}
}

// The hints are older than the root zone that testdata is taken from, and yet
// must agree with it.
func TestDefaultAgreesWithRootZone(t *testing.T) {
	f, err := os.Open("testdata/root-zone-2026010500")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zone, err := Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := Default(); !reflect.DeepEqual(got, zone) {
		t.Errorf("embedded hints differ from the root zone:\ngot  %v\nwant %v", got, zone)
	}
}

func TestDefaultGivesCopies(t *testing.T) {
	want := Default()
	corrupt := Default()
	corrupt.Zone = dnsname.MustParse("example.")
	corrupt.Servers[3].Addrs[0] = corrupt.Servers[0].Addrs[0]
	corrupt.Servers[1] = corrupt.Servers[2]
	corrupt.Servers = slices.Delete(corrupt.Servers, 5, 6)
	if got := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("changing one copy changed the next:\ngot  %v\nwant %v", got, want)
	}
	if a, b := Default(), Default(); a == b || &a.Servers[0] == &b.Servers[0] || &a.Servers[0].Addrs[0] == &b.Servers[0].Addrs[0] {
		t.Error("two copies share memory")
	}
}

func TestDate(t *testing.T) {
	if got, want := Date(), time.Date(2024, time.April, 18, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %s, want %s; if the hints were refreshed, change this test", got, want)
	}
}
