package cache

import (
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// signedZone is a zone as its owner knows it: which types each name has.
type signedZone struct {
	apex  dnsname.Name
	names map[dnsname.Name][]uint16
	nsec3 *nsec3Params // nil: NSEC
	flags uint8        // of NSEC3
}

func (z *signedZone) has(n dnsname.Name, rrtype uint16) bool {
	return slices.Contains(z.names[n], rrtype)
}

// occluded reports whether n is below a delegation or a DNAME.
func (z *signedZone) occluded(n dnsname.Name) bool {
	for above := n.Parent(); above.IsBelow(z.apex); above = above.Parent() {
		if z.has(above, dns.TypeNS) || z.has(above, dns.TypeDNAME) {
			return true
		}
	}
	return false
}

// exists reports whether n is a name of the zone, an empty non-terminal included.
func (z *signedZone) exists(n dnsname.Name) bool {
	for owner := range z.names {
		if owner.IsAtOrBelow(n) && !z.occluded(owner) {
			return true
		}
	}
	return false
}

// What the zone answers.
const (
	isElsewhere = "elsewhere" // a referral, an alias, or undefined
	isAnswer    = "answer"
	isWildcard  = "wildcard"
	isNoData    = "no data"
	isNameError = "no name"
)

// truth is what an authoritative server answers. RFC 1034 §4.3.2, RFC 4592.
func (z *signedZone) truth(n dnsname.Name, rrtype uint16) string {
	if z.occluded(n) || z.has(n, dns.TypeNS) && n != z.apex && rrtype != dns.TypeDS {
		return isElsewhere
	}
	at := func(owner dnsname.Name, found string) string {
		switch {
		case z.has(owner, rrtype):
			return found
		case z.has(owner, dns.TypeCNAME):
			return isElsewhere
		}
		return isNoData
	}
	if z.exists(n) {
		return at(n, isAnswer)
	}
	encloser := n
	for !z.exists(encloser) {
		encloser = encloser.Parent()
	}
	source, _ := encloser.Wildcard()
	if z.has(encloser, dns.TypeDNAME) {
		return isElsewhere
	}
	if !z.exists(source) {
		return isNameError
	}
	if z.has(source, dns.TypeNS) || z.has(source, dns.TypeDNAME) {
		return isElsewhere
	}
	return at(source, isWildcard)
}

// ranges returns all NSEC or NSEC3 RRsets of the zone.
func (z *signedZone) ranges(t testing.TB) []*dnssec.RRset {
	var owners []dnsname.Name
	for n := range z.names {
		for ; n.IsAtOrBelow(z.apex); n = n.Parent() {
			if (z.nsec3 != nil || z.names[n] != nil) && !z.occluded(n) && !slices.Contains(owners, n) {
				owners = append(owners, n)
			}
		}
	}
	var sets []*dnssec.RRset
	if z.nsec3 == nil {
		slices.SortFunc(owners, dnsname.Compare)
		for at, n := range owners {
			sets = append(sets, nsecSet(t, z.apex, n, owners[(at+1)%len(owners)], append([]uint16{dns.TypeNSEC, dns.TypeRRSIG}, z.names[n]...)...))
		}
		return sets
	}
	type hashedName struct {
		hash  string
		types []uint16
	}
	var chain []hashedName
	for _, n := range owners {
		chain = append(chain, hashedName{z.nsec3.hash(n), z.names[n]})
	}
	slices.SortFunc(chain, func(a, b hashedName) int { return strings.Compare(a.hash, b.hash) })
	for at, h := range chain {
		sets = append(sets, nsec3Set(t, z.apex, *z.nsec3, z.flags, h.hash, chain[(at+1)%len(chain)].hash, h.types...))
	}
	return sets
}

func signatureOver(t testing.TB, rrtype uint16, owner dnsname.Name, labels int, signer dnsname.Name) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(fmt.Sprintf("%s 3600 IN RRSIG %s 13 %d 3600 20300101000000 20200101000000 1 %s AAAA",
		owner, dns.TypeToString[rrtype], labels, signer))
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func packSet(t testing.TB, rrs ...dns.RR) *dnssec.RRset {
	t.Helper()
	s, err := dnssec.NewRRset(rrs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func nsecSet(t testing.TB, zone, owner, next dnsname.Name, types ...uint16) *dnssec.RRset {
	t.Helper()
	slices.Sort(types)
	return packSet(t, &dns.NSEC{
		Hdr:        dns.RR_Header{Name: owner.String(), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 3600},
		NextDomain: next.String(), TypeBitMap: slices.Compact(types),
	}, signatureOver(t, dns.TypeNSEC, owner, signedLabels(owner), zone))
}

func nsec3Set(t testing.TB, zone dnsname.Name, p nsec3Params, flags uint8, hash, next string, types ...uint16) *dnssec.RRset {
	t.Helper()
	owner := name(strings.ToLower(base32.HexEncoding.EncodeToString([]byte(hash))) + "." + strings.TrimSuffix(zone.String(), "."))
	types = slices.Clone(types)
	slices.Sort(types)
	return packSet(t, &dns.NSEC3{
		Hdr:  dns.RR_Header{Name: owner.String(), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 3600},
		Hash: 1, Flags: flags, Iterations: p.iterations, SaltLength: uint8(len(p.salt)), Salt: fmt.Sprintf("%x", p.salt),
		HashLength: hashLength, NextDomain: base32.HexEncoding.EncodeToString([]byte(next)), TypeBitMap: types,
	}, signatureOver(t, dns.TypeNSEC3, owner, owner.Labels(), zone))
}

// learnAll lets the view know the given ranges and the zone's SOA.
func learnAll(t testing.TB, v *View, zone string, sets []*dnssec.RRset) {
	t.Helper()
	if !v.PutNegative(start, Negative{Name: name("learnt." + zone), Type: dns.TypeA, NameError: true,
		Status: dnssec.Secure, SOA: soa(t, zone, 3600, 3600), Proof: sets[:1]}, Meta{}) {
		t.Fatal("denial refused")
	}
	v.PutDenial(start, name(zone), sets, Meta{Status: dnssec.Secure})
	v.learnSOA(v.cache.at(start), soa(t, zone, 3600, 3600), time.Hour)
}

// In zones of all shapes, nothing is ever synthesised that the zone would not say, and
// where all its gaps are known, every denial is.
func TestSynthesisTellsTheTruth(t *testing.T) {
	salted := &nsec3Params{used: true, iterations: 3, salt: "\xab\xcd"}
	for seed := range uint64(240) {
		rng := rand.New(rand.NewPCG(seed, 3))
		// A name made with \000 of the one before looks like the end of a minimal range: its
		// types are left to be asked.
		least, madeUp := "+", false
		if seed%4 >= 2 {
			least, madeUp = "\x00", seed%2 == 0
		}
		z := randomZone(rng, least)
		if seed%2 == 1 {
			z.nsec3 = salted
		}
		v := newView(Options{})
		learnAll(t, v, "example.com", z.ranges(t))
		v.Put(start, packSet(t, mustRR(t, "x.example.com. 3600 IN TXT wild"),
			signatureOver(t, dns.TypeTXT, name("x.example.com"), 2, z.apex)), Meta{Rank: RankAnswer, Status: dnssec.Secure})
		for range 300 {
			n := randomName(rng, least)
			rrtype := []uint16{dns.TypeA, dns.TypeTXT, dns.TypeDS, dns.TypeMX}[rng.IntN(4)]
			want := z.truth(n, rrtype)
			if n == z.apex && rrtype == dns.TypeDS {
				want = isElsewhere // the parent knows
			}
			s, ok := v.Synthesise(start, n, rrtype)
			got := "nothing"
			switch {
			case ok && !s.Denied:
				got = isWildcard
			case ok && s.Negative.NameError:
				got = isNameError
			case ok:
				got = isNoData
			}
			// The NODATA of a wildcard that is an empty non-terminal is left to be asked.
			required := want == isNameError || want == isNoData && z.exists(n) && !madeUp
			if ok && got != want || required && !ok {
				t.Fatalf("seed %d, nsec3 %v: Synthesise(%s %s) = %s, want %s\nzone %s", seed, z.nsec3 != nil, n, dns.TypeToString[rrtype], got, want, z)
			}
			if ok {
				checkProof(t, z, n, rrtype, s)
			}
		}
	}
}

// checkProof lets the validator's own prover judge what was synthesised: a client that
// validates must come to the same end.
func checkProof(t *testing.T, z *signedZone, n dnsname.Name, rrtype uint16, s Synthesis) {
	t.Helper()
	records := s.Negative.Proof
	if !s.Denied {
		records = s.Proof
	}
	d, err := dnssec.Synthesise(z.apex, n, rrtype, records, dnssec.NewWork(dnssec.Limits{}))
	if err != nil || d == nil || s.Denied && (d.NameError != s.Negative.NameError || d.Wildcard != "") || !s.Denied && d.Wildcard == "" {
		t.Fatalf("%s %s: the validator makes %+v, %v of the proof of %+v\nzone %s", n, dns.TypeToString[rrtype], d, err, s, z)
	}
}

func (z *signedZone) String() string {
	var lines []string
	for n, types := range z.names {
		var line strings.Builder
		line.WriteString(n.String())
		for _, rrtype := range types {
			line.WriteString(" " + dns.TypeToString[rrtype])
		}
		lines = append(lines, line.String())
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// randomName has one label of least among those it is made of.
func randomName(rng *rand.Rand, least string) dnsname.Name {
	n := name("example.com")
	for range rng.IntN(4) {
		n, _ = n.Child([]string{"a", "b", "c", "*", "zz", least}[rng.IntN(6)])
	}
	return n
}

func randomZone(rng *rand.Rand, least string) *signedZone {
	z := &signedZone{apex: name("example.com"), names: map[dnsname.Name][]uint16{
		name("example.com"): {dns.TypeSOA, dns.TypeNS, dns.TypeA},
	}}
	sorts := [][]uint16{{dns.TypeA}, {dns.TypeTXT}, {dns.TypeA, dns.TypeMX}, {dns.TypeCNAME}, {dns.TypeNS}, {dns.TypeNS, dns.TypeDS}, {dns.TypeDNAME}, {dns.TypeTXT, dns.TypeA}}
	for range rng.IntN(9) {
		if n := randomName(rng, least); n != z.apex {
			z.names[n] = sorts[rng.IntN(len(sorts))]
		}
	}
	return z
}

func mustRR(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// Random names below a signed zone of 1,000 names cost about one query for each gap,
// and nothing once all are known.
func TestRandomNamesCostOneQueryAGap(t *testing.T) {
	const names = 1000
	asked := 100_000
	if raceDetector || testing.Short() {
		asked = 20_000
	}
	for _, z := range []*signedZone{
		{nsec3: nil},
		{nsec3: &nsec3Params{used: true}},
	} {
		z.apex = name("example.com")
		z.names = map[dnsname.Name][]uint16{z.apex: {dns.TypeSOA, dns.TypeNS}}
		for len(z.names) < names {
			z.names[numbered(len(z.names)*9973%1000000)] = []uint16{dns.TypeA}
		}
		server := newView(Options{MaxBytes: -1}) // knows all gaps, so its proofs are what a server would send
		learnAll(t, server, "example.com", z.ranges(t))
		v := newView(Options{})
		for pass, limit := range []int{1050, 0} {
			rng, queries := rand.New(rand.NewPCG(7, 7)), 0
			for range asked {
				n := numbered(1000000 + rng.IntN(1<<30))
				if rng.IntN(2) == 0 {
					n, _ = name("example.com").Child(fmt.Sprintf("%x", rng.Uint64()))
				}
				if s, ok := v.Synthesise(start, n, dns.TypeA); ok {
					if !s.Denied || !s.Negative.NameError {
						t.Fatalf("Synthesise(%s) = %+v, want a name error", n, s)
					}
					continue
				}
				queries++
				s, ok := server.Synthesise(start, n, dns.TypeA)
				if !ok || !v.PutNegative(start, s.Negative, Meta{}) {
					t.Fatalf("the server's denial of %s: %+v, %v", n, s, ok)
				}
			}
			if queries > limit {
				t.Errorf("nsec3 %v, pass %d: %d queries for %d names, want at most %d", z.nsec3 != nil, pass+1, queries, asked, limit)
			}
		}
	}
}

// What must not be used for other names is not.
func TestRangesRefused(t *testing.T) {
	zone := name("example.com")
	n := name("m.example.com")
	good := nsecSet(t, zone, name("a.example.com"), name("z.example.com"), dns.TypeA)
	apex := nsecSet(t, zone, zone, name("a.example.com"), dns.TypeSOA, dns.TypeNS)
	// The hashes of the zone's two names divide the ring: m3 is in the part before the
	// apex, which is the gap, and the wildcard in the part behind it.
	p, low := nsec3Params{used: true}, strings.Repeat("\x00", hashLength)
	for p.hash(name("*.example.com")) < p.hash(zone) {
		p.salt += "s"
	}
	m3 := numbered(0)
	for at := 0; p.hash(m3) > p.hash(zone); at++ {
		m3 = numbered(at)
	}
	encloserWith := func(flags uint8) *dnssec.RRset {
		return nsec3Set(t, zone, p, flags, p.hash(zone), low, dns.TypeSOA, dns.TypeNS)
	}
	encloser := encloserWith(0)
	gap := func(flags uint8, with nsec3Params, in dnsname.Name) *dnssec.RRset {
		return nsec3Set(t, in, with, flags, low, p.hash(zone))
	}
	resign := func(s *dnssec.RRset, labels int, signer dnsname.Name) *dnssec.RRset {
		c := *s
		sig := packSet(t, mustRR(t, s.Owner.String()+" 1 IN TXT x"), signatureOver(t, dns.TypeTXT, s.Owner, labels, signer))
		c.Signatures = sig.Signatures
		return &c
	}
	change := func(s *dnssec.RRset, f func(*dnssec.RRset)) *dnssec.RRset {
		c := *s
		f(&c)
		return &c
	}
	for _, tt := range []struct {
		about string
		sets  []*dnssec.RRset
		meta  Meta
		want  bool
	}{
		{"nothing wrong", []*dnssec.RRset{good, apex}, Meta{Status: dnssec.Secure}, true},
		{"insecure", []*dnssec.RRset{good, apex}, Meta{Status: dnssec.Insecure}, false},
		{"unchecked", []*dnssec.RRset{good, apex}, Meta{Status: dnssec.Secure, Trust: Unchecked}, false},
		{"no signature", []*dnssec.RRset{change(good, func(s *dnssec.RRset) { s.Signatures = "" }), apex}, Meta{Status: dnssec.Secure}, false},
		{"another signer", []*dnssec.RRset{resign(good, 3, name("com")), apex}, Meta{Status: dnssec.Secure}, false},
		{"fewer labels: a wildcard's expansion", []*dnssec.RRset{resign(good, 2, zone), apex}, Meta{Status: dnssec.Secure}, false},
		{"next name outside the zone", []*dnssec.RRset{nsecSet(t, zone, name("a.example.com"), name("z.example.net"), dns.TypeA), apex}, Meta{Status: dnssec.Secure}, false},
		{"owner outside the zone", []*dnssec.RRset{nsecSet(t, zone, name("a.example.bet"), name("z.example.com"), dns.TypeA), apex}, Meta{Status: dnssec.Secure}, false},
		{"next name before the owner", []*dnssec.RRset{nsecSet(t, zone, name("l.example.com"), name("b.example.com"), dns.TypeA), apex}, Meta{Status: dnssec.Secure}, false},
		{"the last name", []*dnssec.RRset{nsecSet(t, zone, name("l.example.com"), zone, dns.TypeA), apex}, Meta{Status: dnssec.Secure}, true},
		{"compact denial", []*dnssec.RRset{nsecSet(t, zone, n, name("\\000.m.example.com"), typeNXNAME), apex}, Meta{Status: dnssec.Secure}, false},
		{"two records", []*dnssec.RRset{change(good, func(s *dnssec.RRset) { s.Records += nsecSet(t, zone, s.Owner, n).Records }), apex}, Meta{Status: dnssec.Secure}, false},
		{"no proof about the wildcard", []*dnssec.RRset{good}, Meta{Status: dnssec.Secure}, false},
		{"the zone has changed to NSEC3", []*dnssec.RRset{good, apex, gap(0, p, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, nothing wrong", []*dnssec.RRset{encloser, gap(0, p, zone)}, Meta{Status: dnssec.Secure}, true},
		{"NSEC3, opt-out of the next closer name", []*dnssec.RRset{encloser, gap(nsec3OptOut, p, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, opt-out of the wildcard", []*dnssec.RRset{encloserWith(nsec3OptOut), gap(0, p, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, unknown flag", []*dnssec.RRset{encloser, gap(2, p, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, other parameters", []*dnssec.RRset{encloser, gap(0, nsec3Params{used: true, salt: p.salt, iterations: 1}, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, too many iterations", []*dnssec.RRset{encloser, gap(0, nsec3Params{used: true, salt: p.salt, iterations: 51}, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, hash not directly below the zone", []*dnssec.RRset{encloser, resign(gap(0, p, name("sub.example.com")), 4, zone)}, Meta{Status: dnssec.Secure}, false},
		{"NSEC3, encloser missing", []*dnssec.RRset{gap(0, p, zone)}, Meta{Status: dnssec.Secure}, false},
	} {
		v := newView(Options{})
		v.PutDenial(start, zone, tt.sets, tt.meta)
		v.learnSOA(v.cache.at(start), soa(t, "example.com", 3600, 3600), time.Hour)
		asked := n
		if strings.HasPrefix(tt.about, "NSEC3") {
			asked = m3
		}
		if s, ok := v.Synthesise(start, asked, dns.TypeA); ok != tt.want {
			t.Errorf("%s: Synthesise = %+v, %v; want %v", tt.about, s, ok, tt.want)
		}
	}
}

// A zone that makes up a gap for each question fills its part of the memory and no
// more, and what is kept of it stays in order.
func TestGapsOfOneZoneAreBounded(t *testing.T) {
	zone := name("example.com")
	for _, tt := range []struct {
		limit int64
		made  int
	}{{64 << 20, 40_000}, {4 << 20, 10_000}} {
		v := newView(Options{MaxBytes: tt.limit})
		at := v.cache.at(start)
		for n := range tt.made {
			owner := numbered(n * 7919 % 1_000_000)
			next, _ := owner.Child("\x00")
			v.learn(at, zone, nsecSet(t, zone, owner, next, dns.TypeA), time.Duration(1+n%300)*time.Second)
		}
		hash := v.zoneHash(zone)
		s := v.cache.ranges.shard(hash)
		z := s.zone(hash, zone, v.id)
		if len(z.ranges) > maxRanges || z.bytes > s.limit/2 || s.total() > s.limit || len(z.ranges) < 500 {
			t.Errorf("limit %d: %d gaps and %d bytes kept, want at most %d and %d, and not too few", tt.limit, len(z.ranges), z.bytes, maxRanges, s.limit/2)
		}
		bytes := int64(listOverhead+zoneSize) + allocated(len(zone)) + allocated(cap(z.ranges)*rangeSize)
		for i, r := range z.ranges {
			bytes += r.size()
			if i > 0 && z.order(z.ranges[i-1].lo, r.lo) >= 0 {
				t.Fatalf("gap %d begins at %q, the one before at %q", i, r.lo, z.ranges[i-1].lo)
			}
		}
		if bytes != z.bytes || s.entries != len(z.ranges) || s.evictions == 0 {
			t.Errorf("limit %d: %d bytes and %d gaps counted, %d evicted; there are %d and %d", tt.limit, z.bytes, s.entries, s.evictions, bytes, len(z.ranges))
		}
	}
}

// A newer gap ends older ones whose names it says are gone, and a zone that changes to
// NSEC3 or to other parameters starts anew.
func TestNewerGapsReplaceOlder(t *testing.T) {
	v, zone := newView(Options{}), name("example.com")
	learn := func(sets ...*dnssec.RRset) int {
		v.PutDenial(start, zone, sets, Meta{Status: dnssec.Secure})
		return v.cache.Len()
	}
	gap := func(from, to string) *dnssec.RRset {
		return nsecSet(t, zone, name(from+"example.com"), name(to+"example.com"), dns.TypeA)
	}
	p, salted := nsec3Params{used: true}, nsec3Params{used: true, salt: "x"}
	hash := func(b byte) string { return strings.Repeat(string(rune(b)), hashLength) }
	for _, tt := range []struct {
		about string
		sets  []*dnssec.RRset
		want  int // gaps known afterwards
	}{
		{"three in a row", []*dnssec.RRset{gap("a.", "b."), gap("b.", "c."), gap("c.", "d.")}, 3},
		{"the same again", []*dnssec.RRset{gap("b.", "c.")}, 3},
		{"b is gone", []*dnssec.RRset{gap("a.", "c.")}, 2},
		{"aa is new", []*dnssec.RRset{gap("a.", "aa.")}, 2},
		{"all after aa are gone", []*dnssec.RRset{gap("aa.", "")}, 2},
		{"NSEC3", []*dnssec.RRset{nsec3Set(t, zone, p, 0, hash(1), hash(2)), nsec3Set(t, zone, p, 0, hash(3), hash(1))}, 2},
		{"other parameters", []*dnssec.RRset{nsec3Set(t, zone, salted, 0, hash(1), hash(2))}, 1},
		{"the chain closed over all others", []*dnssec.RRset{nsec3Set(t, zone, salted, 0, hash(2), hash(3)), nsec3Set(t, zone, salted, 0, hash(1), hash(1))}, 1},
	} {
		if got := learn(tt.sets...); got != tt.want {
			t.Errorf("%s: %d gaps, want %d", tt.about, got, tt.want)
		}
	}
}

// Records that do not fit together, as leftovers of a zone that changed, prove nothing
// below a delegation that one of them shows.
func TestLeftoversBelowADelegation(t *testing.T) {
	zone, sub := name("example.com"), name("sub.example.com")
	cut := nsecSet(t, zone, sub, name("z.example.com"), dns.TypeNS)
	for _, tt := range []struct {
		about    string
		leftover *dnssec.RRset
		name     string
	}{
		{"the gap is the delegation's, the wildcard's is not", nsecSet(t, zone, name("!.sub.example.com"), name("+.sub.example.com"), dns.TypeA), "\\032.sub.example.com"},
		{"the wildcard's gap is the delegation's", nsecSet(t, zone, name("+.sub.example.com"), name("y.sub.example.com"), dns.TypeA), "m.sub.example.com"},
	} {
		v := newView(Options{})
		v.PutDenial(start, zone, []*dnssec.RRset{cut, tt.leftover}, Meta{Status: dnssec.Secure})
		v.learnSOA(v.cache.at(start), soa(t, "example.com", 3600, 3600), time.Hour)
		if s, ok := v.Synthesise(start, name(tt.name), dns.TypeA); ok || v.cache.Len() != 2 {
			t.Errorf("%s: Synthesise(%s) = %+v, %v of %d gaps; want nothing", tt.about, tt.name, s, ok, v.cache.Len())
		}
	}
}

func TestSynthesisLivesAsLongAsItsParts(t *testing.T) {
	v, zone := newView(Options{}), name("example.com")
	v.PutDenial(start, zone, []*dnssec.RRset{nsecSet(t, zone, zone, name("z.example.com"), dns.TypeSOA)}, Meta{Status: dnssec.Secure, NotAfter: start.Add(100 * time.Second)})
	if s, ok := v.Synthesise(start, name("m.example.com"), dns.TypeA); ok {
		t.Errorf("without an SOA: %+v, want nothing", s)
	}
	v.learnSOA(v.cache.at(start), soa(t, "example.com", 200, 200), 200*time.Second)
	s, ok := v.Synthesise(start.Add(10*time.Second), name("m.example.com"), dns.TypeA)
	if !ok || s.Negative.TTL != 90 || s.Negative.SOA.TTL != 90 || len(s.Negative.Proof) != 1 || s.Negative.Proof[0].TTL != 90 ||
		s.Negative.Status != dnssec.Secure || !s.Negative.Synthesised || s.Negative.Zone != zone {
		t.Errorf("after 10 s: %+v, %v; want a TTL of 90", s.Negative, ok)
	}
	if s, ok := v.Synthesise(start.Add(100*time.Second), name("m.example.com"), dns.TypeA); ok {
		t.Errorf("after 100 s: %+v, want nothing", s)
	}
	// A delegation that is known stands between the zone and the name.
	v.PutCut(start, delegation("sub.example.com", 3600, "ns", "192.0.2.1"), referral)
	if s, ok := v.Synthesise(start, name("m.sub.example.com"), dns.TypeA); ok {
		t.Errorf("below a delegation: %+v, want nothing", s)
	}
}

func TestWildcardAnswer(t *testing.T) {
	v, zone := newView(Options{}), name("example.com")
	v.PutDenial(start, zone, []*dnssec.RRset{
		nsecSet(t, zone, zone, name("*.example.com"), dns.TypeSOA),
		nsecSet(t, zone, name("*.example.com"), name("k.example.com"), dns.TypeTXT),
		nsecSet(t, zone, name("k.example.com"), zone, dns.TypeA),
	}, Meta{Status: dnssec.Secure})
	v.learnSOA(v.cache.at(start), soa(t, "example.com", 3600, 3600), time.Hour)
	v.Put(start, packSet(t, mustRR(t, "first.example.com. 60 IN TXT \"wild\""), signatureOver(t, dns.TypeTXT, name("first.example.com"), 2, zone)),
		Meta{Rank: RankAnswer, Status: dnssec.Secure})
	second := name("second.example.com")
	s, ok := v.Synthesise(start.Add(20*time.Second), second, dns.TypeTXT)
	if !ok || s.Denied || s.Answer.Set.Owner != second || s.Answer.TTL != 40 || s.Answer.Set.TTL != 40 || len(s.Proof) != 1 || s.Proof[0].Owner != name("k.example.com") || s.Proof[0].TTL != 40 {
		t.Fatalf("Synthesise(%s TXT) = %+v, %v; want the wildcard's text with a proof", second, s, ok)
	}
	if got, want := s.Answer.Set.Records, dnssec.Pack("\x04wild"); got != want {
		t.Errorf("records %q, want %q", got, want)
	}
	if s, ok := v.Synthesise(start, name("k.example.com"), dns.TypeTXT); !ok || !s.Denied || s.Negative.NameError {
		t.Errorf("a name that exists: %+v, %v; want NODATA", s, ok)
	}
	if s, ok := v.Synthesise(start, name("a.k.example.com"), dns.TypeTXT); ok && !s.Denied {
		t.Errorf("below a name that exists, which blocks the wildcard: %+v", s)
	}
	if s, ok := v.Synthesise(start.Add(60*time.Second), second, dns.TypeTXT); ok {
		t.Errorf("after the wildcard's end: %+v, want nothing", s)
	}
}

// A wildcard's data of another zone with the same name in it is not this zone's.
func TestWildcardOfAnotherSigner(t *testing.T) {
	zone, n := name("example.com"), name("second.example.com")
	for signer, want := range map[dnsname.Name]bool{zone: true, name("com"): false} {
		v := newView(Options{})
		v.PutDenial(start, zone, []*dnssec.RRset{
			nsecSet(t, zone, zone, name("*.example.com"), dns.TypeSOA),
			nsecSet(t, zone, name("*.example.com"), zone, dns.TypeTXT),
		}, Meta{Status: dnssec.Secure})
		v.Put(start, packSet(t, mustRR(t, "first.example.com. 60 IN TXT \"wild\""), signatureOver(t, dns.TypeTXT, name("first.example.com"), 2, signer)),
			Meta{Rank: RankAnswer, Status: dnssec.Secure})
		if s, ok := v.Synthesise(start, n, dns.TypeTXT); ok != want {
			t.Errorf("signed by %s: Synthesise = %+v, %v; want %v", signer, s, ok, want)
		}
	}
}

func TestHash(t *testing.T) {
	// RFC 5155 appendix A.
	p := nsec3Params{used: true, iterations: 12, salt: "\xaa\xbb\xcc\xdd"}
	for owner, want := range map[string]string{
		"example":       "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
		"a.example":     "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"*.w.example":   "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s",
	} {
		if got := strings.ToLower(base32.HexEncoding.EncodeToString([]byte(p.hash(name(owner))))); got != want {
			t.Errorf("hash of %s = %s, want %s", owner, got, want)
		}
	}
}

// Signatures that do not agree on which name was expanded say nothing: one of them may be
// anybody's, who would so make the answer one of a wildcard above.
func TestWildcardOfUnlikeSignatures(t *testing.T) {
	zone, owner := name("example.com"), name("any.w.example.com")
	lower, upper := signatureOver(t, dns.TypeTXT, owner, 3, zone), signatureOver(t, dns.TypeTXT, owner, 2, zone)
	for about, c := range map[string]struct {
		signatures []dns.RR
		want       string
	}{
		"one":              {[]dns.RR{lower}, "*.w.example.com."},
		"another above":    {[]dns.RR{lower, upper}, ""},
		"another in front": {[]dns.RR{upper, lower}, ""},
	} {
		cache := New(Options{})
		v := cache.View([32]byte{})
		records := append([]dns.RR{mustRR(t, "any.w.example.com. 300 IN TXT x")}, c.signatures...)
		v.Put(start, packSet(t, records...), Meta{Rank: RankAnswer, Status: dnssec.Secure})
		got := ""
		cache.Walk(start, func(e Entry) bool {
			if e.Kind == KindWildcard {
				got = e.Name.String()
			}
			return true
		})
		if got != c.want {
			t.Errorf("%s: got the wildcard %q, want %q", about, got, c.want)
		}
	}
}
