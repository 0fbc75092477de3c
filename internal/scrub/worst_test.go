package scrub

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// repeated is a section of n lines, each with its number.
func repeated(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, strings.ReplaceAll(line, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// deep is a name of 120 labels in the zone.
var deep = strings.Repeat("a.", 118) + "shop.example."

// worstReplies are messages of up to 64 KiB that are meant to cost as much as possible to
// sort out, and what is left of them.
var worstReplies = []struct {
	name  string
	asked string // "" is www.shop.example.
	reply reply
	want  []string // as describe says it
	out   Excess
	err   error
}{
	{name: "one answer, again and again", reply: reply{answer: strings.Repeat("www.shop.example. A 192.0.2.1\n", 4000)},
		want: []string{"answer www.shop.example. 300 A 192.0.2.1"}},
	{name: "different answers", reply: reply{answer: repeated(4000, "www.shop.example. TXT #")}, err: ErrTooManyRecords},
	{name: "one alias, again and again", reply: reply{answer: strings.Repeat("www.shop.example. CNAME b.shop.example.\n", 4000)},
		want: []string{"alias www.shop.example. to b.shop.example. by CNAME"}},
	{name: "different aliases of a name", reply: reply{answer: repeated(3000, "www.shop.example. CNAME n#.shop.example.")}, out: ExcessRecords},
	{name: "one SOA, again and again", reply: reply{authority: strings.Repeat(soaText+"\n", 1800)}, want: []string{soaLine}},
	{name: "different SOAs", reply: reply{authority: repeated(1500, "shop.example. SOA ns.shop.example. host.shop.example. # 2 3 4 5")}, out: ExcessRecords},
	{name: "SOAs of many names", reply: reply{authority: repeated(1500, "n#.shop.example. SOA ns.shop.example. host.shop.example. 1 2 3 4 5")}},
	{name: "denials of many names", reply: reply{authority: repeated(1500, "n#.shop.example. NSEC o.shop.example. A")},
		want: tenDenials(), out: ExcessDenials},
	{name: "denials that lead out of the zone", reply: reply{authority: repeated(1500, "n#.shop.example. NSEC o.example. A")}, out: ExcessDenials},
	{name: "one denial with many next names", reply: reply{authority: repeated(1500, "www.shop.example. NSEC n#.shop.example. A")}, out: ExcessRecords},
	{name: "DNAMEs of many names", asked: deep, reply: reply{answer: repeated(2000, "n#.shop.example. DNAME o.shop.example.")}, out: ExcessAliases},
	{name: "a chain of deep names by DNAME", asked: deep,
		reply: reply{answer: repeated(100, "shop.example. DNAME a.shop.example.") + repeated(1500, "n#.shop.example. A 192.0.2.1")},
		want:  deepChain()},
}

func tenDenials() []string {
	var lines []string
	for i := range maxDenials {
		lines = append(lines, fmt.Sprintf("denial n%d.shop.example. 300 NSEC o.shop.example. A", i))
	}
	return lines
}

// deepChain is what a DNAME at the apex that leads below itself makes of a deep name, until
// that is too long.
func deepChain() []string {
	var lines []string
	name := deep
	for range 5 {
		next := strings.TrimSuffix(name, "shop.example.") + "a.shop.example."
		if _, err := dnsname.Parse(next); err != nil {
			next = "too long"
		}
		lines = append(lines, fmt.Sprintf("alias %s to %s by DNAME", name, next))
		if name = next; next == "too long" {
			break
		}
	}
	return lines
}

// TestWorstReplies: records that are there again and again, or that are many and different,
// are sorted out with little memory, since the search ends with the record that is one too
// many, and says so (CVE-2026-75029): else each record would be compared with all others.
func TestWorstReplies(t *testing.T) {
	const limit = 640 << 10 // bytes; what 4,000 different records take is more, also as the mutants are compiled
	for _, test := range worstReplies {
		t.Run(test.name, func(t *testing.T) {
			asked := Asked{Zone: dnsname.MustParse("shop.example."), Name: dnsname.MustParse("www.shop.example."), Type: dns.TypeA, MaxRecords: 256}
			if test.asked != "" {
				asked.Name = dnsname.MustParse(test.asked)
			}
			if test.err != nil {
				asked.Type = dns.TypeTXT
			}
			m := test.reply.message(t, asked.Name.String(), asked.Type)
			allocated, took, r, err := costOf(m, asked)
			if !errors.Is(err, test.err) {
				t.Fatalf("got error %v, want %v", err, test.err)
			}
			t.Logf("%d records: %d bytes allocated, %v", len(m.Answer)+len(m.Authority)+len(m.Additional), allocated, took)
			if allocated > limit {
				t.Errorf("%d bytes allocated, want at most %d", allocated, limit)
			}
			if err != nil {
				return
			}
			if got := describe(r); strings.Join(got, "\n") != strings.Join(test.want, "\n") || r.LeftOut != test.out {
				t.Errorf("got %q, left out %b; want %q, left out %b", got, r.LeftOut, test.want, test.out)
			}
		})
	}
}

// costOf scrubs a message, and returns what it took.
func costOf(m *wire.Message, asked Asked) (allocated uint64, took time.Duration, r *Reply, err error) {
	allocated, took = math.MaxUint64, math.MaxInt64
	for range 3 { // other goroutines may allocate meanwhile
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		r, err = scrubbed(m, asked)
		took = min(took, time.Since(begin))
		runtime.ReadMemStats(&after)
		allocated = min(allocated, after.TotalAlloc-before.TotalAlloc)
	}
	return allocated, took, r, err
}
