package localzone

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestTableReplace: questions get the zones of the moment, and another generation with each.
func TestTableReplace(t *testing.T) {
	name := dnsname.MustParse("corp.example.")
	zone, err := NewZone(name, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	zones, err := NewZones([]*Zone{zone})
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable(nil)
	for generation, zones := range []Zones{nil, zones, nil} {
		if generation > 0 {
			table.Replace(zones)
		}
		_, answered := table.Answer(answer.Question{Name: name, Type: dns.TypeSOA})
		if has := table.Has(name); answered != (zones != nil) || has != answered || table.Generation() != uint64(generation) {
			t.Errorf("generation %d: got answered %t, has %t, generation %d", generation, answered, has, table.Generation())
		}
	}
}
