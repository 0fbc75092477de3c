package iterate

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
		m := minimiser{question: answer.Question{Name: dnsname.MustParse(tt.name), Type: dns.TypeMX}, limit: tt.limit}
		zone, deepest := dnsname.Root, dnsname.MustParse(tt.zone)
		var got []int
		for range 200 {
			q := m.next(zone)
			got = append(got, q.Name.Labels())
			if !m.countQuery(q) {
				break
			}
			if q.Type != dns.TypeA {
				t.Errorf("%s: a minimised question of type %d", tt.name, q.Type)
			}
			if deepest.IsAtOrBelow(q.Name) {
				zone = q.Name // refers
			} else {
				m.noCut(q.Name)
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
	m := minimiser{question: full, limit: 10}
	if q := m.next(dnsname.Root); q == full {
		t.Fatalf("got the full question at the root")
	}
	m.giveUp()
	if q := m.next(dnsname.Root); q != full {
		t.Errorf("after giving up: got %v, want %v", q, full)
	}
	off := minimiser{question: full, limit: 10, off: true}
	if q := off.next(dnsname.Root); q != full {
		t.Errorf("switched off: got %v, want %v", q, full)
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
		m := minimiser{question: answer.Question{Name: name, Type: dns.TypeAAAA}, limit: int(limit % 32)}
		zone, minimised, last := dnsname.Root, 0, -1
		for {
			q := m.next(zone)
			if !name.IsAtOrBelow(q.Name) || q.Name.Labels() < last || !q.Name.IsAtOrBelow(zone) {
				t.Fatalf("%s: asked for %s at %s after %d labels", name, q.Name, zone, last)
			}
			if !m.countQuery(q) {
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
				m.noCut(q.Name)
			}
		}
	})
}
