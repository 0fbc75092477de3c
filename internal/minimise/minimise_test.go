package minimise

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestMinimiserSequence lists what is asked of zones that refer one label at a time
// down to a zone, which then has the rest of the name.
func TestMinimiserSequence(t *testing.T) {
	name := func(labels int) string { return strings.Repeat("a.", labels-2) + "shop.example." }
	tests := []struct {
		name  string
		zone  string // the deepest zone
		limit int
		want  []int // labels of the names asked, the last one in full
	}{
		{"example.", ".", 10, []int{1}},
		{"shop.example.", "example.", 10, []int{1, 2}},
		{"www.shop.example.", "shop.example.", 10, []int{1, 2, 3}},
		{"a.b.c.shop.example.", "shop.example.", 10, []int{1, 2, 3, 4, 5}},
		{"a.b.c.shop.example.", ".", 10, []int{1, 2, 3, 4, 5}},
		// After four steps of one label, what is left is divided among the six others.
		{name(16), "shop.example.", 10, []int{1, 2, 3, 4, 6, 8, 10, 12, 14, 16}},
		{name(90), "shop.example.", 10, []int{1, 2, 3, 4, 19, 34, 48, 62, 76, 90}},
		{name(6), "shop.example.", 2, []int{1, 2, 6}},
		{name(6), "shop.example.", 0, []int{6}},
	}
	for _, tt := range tests {
		m := New(answer.Question{Name: dnsname.MustParse(tt.name), Type: dns.TypeMX}, tt.limit)
		zone, deepest := dnsname.Root, dnsname.MustParse(tt.zone)
		var got []int
		for range 200 {
			q := m.Next(zone)
			got = append(got, q.Name.Labels())
			if !m.CountQuery(q) {
				break
			}
			if q.Type != dns.TypeA {
				t.Errorf("%s: a minimised question of type %d", tt.name, q.Type)
			}
			if deepest.IsAtOrBelow(q.Name) {
				zone = q.Name // refers
			} else {
				m.NoCut(q.Name)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got names of %v labels, want %v", tt.name, got, tt.want)
		}
	}
}

// TestMinimiserGivesUp: after that, the full question is asked at once.
func TestMinimiserGivesUp(t *testing.T) {
	full := answer.Question{Name: dnsname.MustParse("a.b.c.example."), Type: dns.TypeTXT}
	m := New(full, 10)
	if q := m.Next(dnsname.Root); q == full {
		t.Fatalf("got the full question at the root")
	}
	m.GiveUp()
	if q := m.Next(dnsname.Root); q != full {
		t.Errorf("after giving up: got %v, want %v", q, full)
	}
	off := Off(full)
	if q := off.Next(dnsname.Root); q != full {
		t.Errorf("switched off: got %v, want %v", q, full)
	}
	if !m.IsOff() || !off.IsOff() {
		t.Errorf("got off %v and %v, want true and true", m.IsOff(), off.IsOff())
	}
}

// TestMinimiserDescends: at another zone, what was known of names below the one before no longer
// counts, and nothing is asked that is known to be no zone cut.
func TestMinimiserDescends(t *testing.T) {
	parse := dnsname.MustParse
	m := New(answer.Question{Name: parse("a.b.c.d.example."), Type: dns.TypeTXT}, 10)
	m.NoCut(parse("b.c.d.example."))
	for _, tt := range []struct {
		zone, noCut, want dnsname.Name
	}{
		{parse("example."), "", parse("d.example.")},
		{parse("d.example."), parse("c.d.example."), parse("b.c.d.example.")},
		{parse("d.example."), parse("b.c.d.example."), parse("a.b.c.d.example.")},
	} {
		m.Descend(tt.noCut)
		if got := m.Next(tt.zone).Name; got != tt.want {
			t.Errorf("at %s, no zone cut at %q: got %s, want %s", tt.zone, tt.noCut, got, tt.want)
		}
	}
}

// FuzzMinimiser: whatever the name, the limit and where the zone cuts are, the
// questions get longer, the minimised ones stay within the limit, and the last one is
// the full one.
func FuzzMinimiser(f *testing.F) {
	f.Add("www.shop.example.", byte(10), uint64(0))                     // no cuts
	f.Add("www.shop.example.", byte(10), ^uint64(0))                    // a cut at each label
	f.Add(strings.Repeat("a.", 90)+"example.", byte(10), uint64(0b101)) // many labels
	f.Add(".", byte(3), uint64(1))                                      // the root
	f.Add("a.b.c.d.e.example.", byte(0), uint64(2))                     // no minimised queries at all
	f.Fuzz(func(t *testing.T, text string, limit byte, cuts uint64) {
		name, err := dnsname.Parse(text)
		if err != nil {
			return
		}
		m := New(answer.Question{Name: name, Type: dns.TypeAAAA}, int(limit%32))
		zone, minimised, last := dnsname.Root, 0, -1
		for {
			q := m.Next(zone)
			if !name.IsAtOrBelow(q.Name) || q.Name.Labels() < last || !q.Name.IsAtOrBelow(zone) {
				t.Fatalf("%s: asked for %s at %s after %d labels", name, q.Name, zone, last)
			}
			if !m.CountQuery(q) {
				if q != m.question {
					t.Fatalf("%s: ended with %v", name, q)
				}
				return
			}
			if minimised++; minimised > m.limit || q.Name == zone {
				t.Fatalf("%s: minimised question %d, for %s at %s, with a limit of %d", name, minimised, q.Name, zone, m.limit)
			}
			last = q.Name.Labels()
			if cuts>>(last%64)&1 != 0 {
				zone = q.Name
			} else {
				m.NoCut(q.Name)
			}
		}
	})
}
