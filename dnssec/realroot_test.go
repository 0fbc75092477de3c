package dnssec

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realdata"
)

// realData opens a file of the archive of real zones and answers.
func realData(t testing.TB, name ...string) *os.File {
	t.Helper()
	f, err := os.Open(realdata.Path(t, path.Join(name...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// parseZone reads the records of a zone file.
func parseZone(t testing.TB, r io.Reader) []dns.RR {
	t.Helper()
	var records []dns.RR
	p := dns.NewZoneParser(r, ".", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		records = append(records, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

// realRoot is the root zone of 5 January 2026 with all its RRsets.
type realRoot struct {
	sets  map[setName]*RRset
	nsec  []*RRset // in canonical order of owners
	names []dnsname.Name
}

var rootTime = time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)

var loadRoot = sync.OnceValue(func() *realRoot { return new(realRoot) })

func newRealRoot(t testing.TB) *realRoot {
	t.Helper()
	root := loadRoot()
	if root.sets != nil {
		return root
	}
	zip, err := gzip.NewReader(realData(t, "root", "root-2026010500.zone.gz"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := GroupRRsets(parseZone(t, zip), false)
	if err != nil {
		t.Fatal(err)
	}
	root.sets = make(map[setName]*RRset)
	for _, s := range all {
		root.sets[setName{s.Owner.String(), s.Type}] = s
		if s.Type == dns.TypeNSEC {
			root.nsec = append(root.nsec, s)
		}
	}
	slices.SortFunc(root.nsec, func(a, b *RRset) int { return dnsname.Compare(a.Owner, b.Owner) })
	for _, s := range root.nsec {
		root.names = append(root.names, s.Owner)
	}
	return root
}

// covering returns the NSEC RRset at or before a name.
func (z *realRoot) covering(n dnsname.Name) *RRset {
	i, found := slices.BinarySearchFunc(z.names, n, dnsname.Compare)
	if !found {
		i--
	}
	return z.nsec[i]
}

func (z *realRoot) evidence(t testing.TB) *Evidence {
	t.Helper()
	v := mustValidator(t, Options{})
	e := v.Evidence(rootTime, rootTime, NewWork(Limits{SignatureChecks: -1, CostUnits: -1, FailedChecks: -1}))
	e.Add(&Response{Type: dns.TypeDNSKEY, Name: dnsname.Root, Answer: sets(z.sets[setName{".", dns.TypeDNSKEY}])})
	return e
}

// TestRealRootDelegations classifies all delegations of the root zone.
func TestRealRootDelegations(t *testing.T) {
	z := newRealRoot(t)
	e := z.evidence(t)
	count := make(map[DelegationKind]int)
	for id, s := range z.sets {
		if s.Type != dns.TypeNS || id.owner == "." {
			continue
		}
		r := &Response{Name: s.Owner, Kind: KindReferral, Zone: dnsname.Root}
		if ds := z.sets[setName{id.owner, dns.TypeDS}]; ds != nil {
			r.Authority = sets(ds)
		} else {
			r.Authority = sets(z.covering(s.Owner))
		}
		e.Add(r)
		d, needs, err := e.Judge(s.Owner)
		if err != nil || needs != nil {
			t.Fatal(s.Owner, needs, err)
		}
		count[d.Kind]++
	}
	want := map[DelegationKind]int{DelegationSigned: 1346, DelegationUnsigned: 92}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", count, want)
	}
}

// TestRealRootNameErrors proves 1,000 names to be missing from the root zone.
func TestRealRootNameErrors(t *testing.T) {
	z := newRealRoot(t)
	e := z.evidence(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		label := make([]byte, 1+random.IntN(12))
		for i := range label {
			label[i] = "abcdefghijklmnopqrstuvwxyz0123456789-"[random.IntN(37)]
		}
		qname, err := dnsname.Root.Child("x" + string(label) + "-")
		if err != nil {
			t.Fatal(err)
		}
		r := &Response{
			Name: qname, Type: dns.TypeA, Kind: KindNameError,
			Authority: sets(z.sets[setName{".", dns.TypeSOA}], z.covering(qname), z.covering(dnsname.Root)),
		}
		v, needs, err := e.Validate(r)
		if err != nil || needs != nil || v.Status != Secure || !v.Denial.NameError {
			t.Fatalf("%s: %+v, %v, %v", qname, v, needs, err)
		}
		if len(v.Denial.Records) == 2 {
			v, _, err = e.Validate(without(r, z.covering(qname)))
			if err != nil || v.Status != Bogus {
				t.Fatalf("%s without its covering record: %+v, %v", qname, v, err)
			}
		}
	}
}

// TestRealRootBitFlips changes 500 single bits of signed sets of the root zone.
func TestRealRootBitFlips(t *testing.T) {
	z := newRealRoot(t)
	var signed []*RRset
	for _, s := range z.sets {
		if s.Signatures != "" && s.Type != dns.TypeDNSKEY {
			signed = append(signed, s)
		}
	}
	slices.SortFunc(signed, func(a, b *RRset) int {
		return 100_000*dnsname.Compare(a.Owner, b.Owner) + int(a.Type) - int(b.Type)
	})
	random := rand.New(rand.NewPCG(5, 6))
	e := z.evidence(t)
	for flips := 0; flips < 500; {
		s := signed[random.IntN(len(signed))]
		c := *s
		bit := byte(1) << random.IntN(8)
		where := random.IntN(len(s.Records) + len(s.Signatures))
		if where < len(s.Records) {
			c.Records = flipped(s.Records, random.IntN(s.Len()), where, bit)
		} else {
			c.Signatures = flipped(s.Signatures, 0, where, bit)
		}
		same := equalCanonical(s, &c)
		v, needs, err := e.Validate(&Response{Name: s.Owner, Type: s.Type, Answer: sets(&c)})
		if err != nil {
			t.Fatal(err)
		}
		if len(needs) > 0 { // the flip made another signer, which the root denies
			for _, n := range needs {
				e.Add(&Response{Name: n.Name, Type: n.Type, Kind: KindNameError,
					Authority: sets(z.covering(n.Name), z.covering(dnsname.Root))})
			}
			if v, _, err = e.Validate(&Response{Name: s.Owner, Type: s.Type, Answer: sets(&c)}); v == nil {
				t.Fatal(s.Owner, err)
			}
		}
		if secure := v.Status == Secure; secure != same {
			t.Errorf("%s %s with byte %d ^ %#x: %v (%v), canonical form unchanged: %v",
				s.Owner, typeName(s.Type), where, bit, v.Status, v.Reason, same)
		}
		if !same {
			flips++
		}
	}
	for _, s := range signed[:50] { // TTL and letter case are not signed
		c := *s
		c.TTL = 17
		rrs, err := c.AppendRRs(nil, 17, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, rr := range rrs {
			rr.Header().Name = upper(rr.Header().Name)
			switch rr := rr.(type) {
			case *dns.NS:
				rr.Ns = upper(rr.Ns)
			case *dns.SOA:
				rr.Ns, rr.Mbox = upper(rr.Ns), upper(rr.Mbox)
			}
		}
		v, needs, err := e.Validate(&Response{Name: s.Owner, Type: s.Type, Answer: sets(mustSet(t, rrs...))})
		if err != nil || needs != nil || v.Status != Secure || v.TTL != 17 {
			t.Errorf("%s %s in upper case with another TTL: %+v, %v, %v", s.Owner, typeName(s.Type), v, needs, err)
		}
	}
}

// TestRealRootIsWhole verifies every signed RRset of the zone.
func TestRealRootIsWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("2,789 signatures")
	}
	z := newRealRoot(t)
	e := z.evidence(t)
	good := 0
	for _, s := range z.sets {
		if s.Signatures == "" {
			continue
		}
		v, needs, err := e.Validate(&Response{Name: s.Owner, Type: s.Type, Answer: sets(s)})
		if err != nil || needs != nil || v.Status != Secure {
			t.Fatalf("%s %s: %+v, %v, %v", s.Owner, typeName(s.Type), v, needs, err)
		}
		good++
	}
	if want := 2789; good != want { // one RRSIG each
		t.Errorf("got %d RRsets verified, want %d", good, want)
	}
}
