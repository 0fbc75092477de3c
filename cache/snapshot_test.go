package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// at returns options of a small cache whose clock stands at a moment.
func at(now time.Time) Options {
	return Options{MaxBytes: 8 << 20, Now: func() time.Time { return now }}
}

func snapshot(t testing.TB, c *Cache) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo = %d, %v; wrote %d", n, err, b.Len())
	}
	return b.Bytes()
}

func TestSnapshotRestores(t *testing.T) {
	old := New(Options{})
	old.View([32]byte{7}) // so that numbers of views differ
	fill(t, old.View([32]byte{1}), start)
	old.View([32]byte{2}).Put(start, addressSet(name("other.example.com"), 100, nextAddr), answer)
	data := snapshot(t, old)
	for _, after := range []time.Duration{0, 50 * time.Second, 100 * time.Second, 300 * time.Second, -time.Hour} {
		now := start.Add(after)
		c := New(at(now))
		if n, err := c.ReadFrom(iotest.OneByteReader(bytes.NewReader(data))); err != nil || n != int64(len(data)) {
			t.Fatalf("ReadFrom = %d, %v; want %d", n, err, len(data))
		}
		var want []string
		counted := max(now.Sub(start), 0) // a clock that went back adds nothing
		for _, line := range shown(old, start.Add(counted)) {
			if !strings.HasPrefix(line, "failure") && !strings.HasPrefix(line, "claim") && !strings.Contains(line, " 0 ") {
				want = append(want, line)
			}
		}
		if got := shown(c, now); !slices.Equal(got, want) {
			t.Errorf("after %s the restored cache shows\n%q\nwant\n%q", after, got, want)
		}
		if _, ok := c.View([32]byte{1}).Get(now, name("other.example.com"), dns.TypeA, Checked, RankAnswer); ok {
			t.Errorf("after %s: what was in one view is in another", after)
		}
	}
}

func TestSnapshotKeepsWhatMayBeStale(t *testing.T) {
	old := New(Options{})
	n := name("www.example.com")
	old.View([32]byte{}).Put(start, addressSet(n, 60, anyAddr), answer)
	now := start.Add(2 * time.Minute)
	o := at(now)
	o.KeepStale = time.Hour
	c := New(o)
	if _, err := c.ReadFrom(bytes.NewReader(snapshot(t, old))); err != nil {
		t.Fatal(err)
	}
	if item, ok := c.View([32]byte{}).GetStale(now, n, dns.TypeA, Checked, RankAnswer); !ok {
		t.Errorf("GetStale = %+v, %v; want the set", item, ok)
	}
	if item, ok := c.View([32]byte{}).Get(now, n, dns.TypeA, Checked, RankAnswer); ok {
		t.Errorf("Get = %+v, want nothing", item)
	}
}

// What a running cache has learnt since is not undone by an older snapshot.
func TestSnapshotYieldsToLaterWords(t *testing.T) {
	old := New(Options{})
	n, zone := name("www.example.com"), name("example.com")
	past, later := old.View([32]byte{}), start.Add(time.Minute)
	past.Put(start, addressSet(n, 3600, anyAddr), answer)
	past.PutCut(start, delegation("example.com", 3600, "ns", "192.0.2.1"), referral)
	past.Put(start, addressSet(name("gone.example.com"), 3600, anyAddr), answer)
	past.Put(start, addressSet(name("old.example.com"), 3600, anyAddr), answer)

	c := New(at(later))
	v := c.View([32]byte{})
	v.Put(later, addressSet(n, 300, nextAddr), answer)
	v.PutCut(later, delegation("example.com", 300, "ns", "192.0.2.2"), referral)
	v.PutNegative(later, Negative{Name: name("gone.example.com"), Type: dns.TypeA, NameError: true, SOA: soa(t, "example.com", 60, 60)}, Meta{})
	if _, err := c.ReadFrom(bytes.NewReader(snapshot(t, old))); err != nil {
		t.Fatal(err)
	}
	if item, ok := v.Get(later, n, dns.TypeA, Checked, RankAnswer); !ok || item.TTL != 300 || item.Set.Records != addressSet(n, 0, nextAddr).Records {
		t.Errorf("Get = %+v, %v; want the later address for 300 s", item, ok)
	}
	if cut, ok := v.GetCut(later, n); !ok || cut.Zone != zone || cut.Expires.Sub(later) != 300*time.Second {
		t.Errorf("GetCut = %+v, %v; want the later delegation for 300 s", cut, ok)
	}
	if item, ok := v.Get(later, name("gone.example.com"), dns.TypeA, Checked, RankAnswer); ok {
		t.Errorf("Get of a name denied since = %+v, want nothing", item)
	}
	if _, ok := v.Get(later, name("old.example.com"), dns.TypeA, Checked, RankAnswer); !ok {
		t.Error("what only the snapshot has was not loaded")
	}
}

// Nothing lives longer than the options of the cache that reads the snapshot allow.
func TestSnapshotHoldsToTTLs(t *testing.T) {
	old := New(Options{MaxTTL: -1, MaxNegativeTTL: -1})
	fill(t, old.View([32]byte{1}), start)
	past := old.View([32]byte{1})
	past.PutNegative(start, Negative{Name: name("nope.example.com"), Type: dns.TypeA, NameError: true, SOA: soa(t, "example.com", 7200, 7200)}, Meta{})
	past.PutNegative(start, Negative{Name: name("www.example.com"), Type: dns.TypeMX, SOA: soa(t, "example.com", 7200, 7200)}, Meta{})
	past.PutChain(start, Chain{
		Name: name("a.example.com"), Type: dns.TypeA, Answer: []*dnssec.RRset{addressSet(name("a.example.com"), 7200, anyAddr)},
		Authority: []*dnssec.RRset{soa(t, "example.com", 7200, 7200)},
	}, answer)
	o := at(start)
	o.MaxTTL, o.MaxNegativeTTL = 50*time.Second, 20*time.Second
	c := New(o)
	if _, err := c.ReadFrom(bytes.NewReader(snapshot(t, old))); err != nil {
		t.Fatal(err)
	}
	seen := make(map[Kind]int)
	c.Walk(start, func(e Entry) bool {
		seen[e.Kind]++
		longest := uint32(50)
		denies := e.Kind == KindNoData || e.Kind == KindNameError || e.Kind == KindRange
		if denies || e.Kind == KindChain && e.Name == name("a.example.com") {
			longest = 20
		}
		if e.TTL > longest {
			t.Errorf("%v %s %d lives for %d s, want at most %d", e.Kind, e.Name, e.Type, e.TTL, longest)
		}
		return true
	})
	for _, kind := range []Kind{KindRRset, KindNoData, KindNameError, KindRange, KindChain, KindCut} {
		if seen[kind] == 0 {
			t.Errorf("no %v was restored", kind)
		}
	}
}

// Every byte counts: no damage goes unnoticed, and none leaves anything behind.
func TestDamagedSnapshot(t *testing.T) {
	c := New(at(start))
	v := c.View([32]byte{1})
	fill(t, v, start)
	data := snapshot(t, c)
	check := func(about string, damaged []byte) {
		t.Helper()
		fill(t, v, start)
		n, err := c.ReadFrom(bytes.NewReader(damaged))
		if !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%s: ReadFrom = %d, %v; want ErrSnapshot", about, n, err)
		}
		if c.Len() != 0 {
			t.Fatalf("%s: %d entries left", about, c.Len())
		}
	}
	for at := range data {
		damaged := slices.Clone(data)
		damaged[at] ^= 0x20
		check(fmt.Sprintf("byte %d changed", at), damaged)
		check(fmt.Sprintf("cut off after %d bytes", at), data[:at])
	}
	check("foreign", []byte("<!DOCTYPE html>\n<html><head><title>"))
	check("a later version", bytes.Replace(data, []byte("snapshot 1"), []byte("snapshot 2"), 1))
	check("empty", nil)
}

func TestSnapshotErrors(t *testing.T) {
	c := New(at(start))
	fill(t, c.View([32]byte{1}), start)
	broken := errors.New("broken")
	if _, err := c.WriteTo(failingWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("WriteTo = %v, want the writer's error", err)
	}
	if _, err := c.ReadFrom(io.MultiReader(bytes.NewReader(snapshot(t, c)[:100]), iotest.ErrReader(broken))); !errors.Is(err, broken) || c.Len() != 0 {
		t.Errorf("ReadFrom = %v with %d entries left, want the reader's error and none", err, c.Len())
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// A snapshot of many blocks comes back whole.
func TestLargeSnapshot(t *testing.T) {
	const names = 20_000
	old := New(Options{})
	v := old.View([32]byte{})
	for n := range names {
		v.Put(start, addressSet(numbered(n), 300, anyAddr), answer)
	}
	c := New(at(start))
	if _, err := c.ReadFrom(bytes.NewReader(snapshot(t, old))); err != nil || c.Len() != names {
		t.Errorf("ReadFrom: %v, %d entries; want %d", err, c.Len(), names)
	}
}

// sealed makes a snapshot of one block with these bytes in it.
func sealed(block []byte) []byte {
	var b bytes.Buffer
	w := snapshotWriter{w: &b, block: block}
	w.raw([]byte(snapshotMagic))
	w.flush()
	w.flush()
	return b.Bytes()
}

// sealedEntry makes a snapshot of one entry in one view.
func sealedEntry(e []byte) []byte {
	var w snapshotWriter
	if len(e) >= 8 {
		e = slices.Clone(e)
		binary.BigEndian.PutUint32(e[4:], 0)
	}
	w.record(snapshotView, string(make([]byte, 4+32)))
	w.record(snapshotEntry, string(e))
	return sealed(w.block)
}

// What has the right checksum but not the form of an entry is refused all the same, and
// what is cut off anywhere does no harm.
func TestMalformedEntries(t *testing.T) {
	c := New(at(start))
	fill(t, c.View([32]byte{}), start)
	byKind := map[Kind]entry{}
	keep := func(e entry) bool {
		if e.kind() != KindRRset || e.name() == name("www.example.com") { // always the same
			byKind[e.kind()] = e
		}
		return true
	}
	_ = c.answers.each(keep) && c.ranges.each(keep)
	c.cuts.each(func(e *cutEntry) bool { return e.kind != KindCut || keep(e.packed()) })
	for _, tt := range []struct {
		about  string
		kind   Kind
		change func(e []byte)
	}{
		{"unknown kind", KindRRset, func(e []byte) { e[0] = 15 }},
		{"a failure", KindRRset, func(e []byte) { e[0] = byte(KindFailure) }},
		{"leases", KindRRset, func(e []byte) { e[0] = byte(KindGlue) }},
		{"unknown trust", KindRRset, func(e []byte) { e[0] |= 0x20 }},
		{"unknown rank", KindRRset, func(e []byte) { e[1] |= 0x0F }},
		{"unknown status", KindRRset, func(e []byte) { e[1] |= 0x70 }},
		{"bogus yet checked", KindRRset, func(e []byte) { e[1] |= 0x30 }},
		{"meta type", KindRRset, func(e []byte) { e[2], e[3] = 0, 255 }},
		{"no life", KindRRset, func(e []byte) { clear(e[19:23]) }},
		{"name too long", KindRRset, func(e []byte) { e[23] = 255 }},
		{"name not canonical", KindRRset, func(e []byte) { e[25] = 'W' }},
		{"name malformed", KindRRset, func(e []byte) { e[24] = 5 }},
		{"records too long", KindRRset, func(e []byte) { e[len(e)-10] = 1 }},
		{"record too long", KindRRset, func(e []byte) { e[len(e)-6] = 1 }},
		{"no sets in a denial", KindNoData, func(e []byte) { e[entryHeader+int(e[23])+14] = 0 }},
		{"too many sets in a denial", KindNoData, func(e []byte) { e[entryHeader+int(e[23])+14] = 2 }},
		{"no answer in a chain", KindChain, func(e []byte) { e[entryHeader+int(e[23])+2] = 0 }},
		{"no servers in a cut", KindCut, func(e []byte) { clear(e[entryHeader+int(e[23]):][:2]) }},
		{"too many servers in a cut", KindCut, func(e []byte) { e[entryHeader+int(e[23])] = 1 }},
	} {
		e, ok := byKind[tt.kind]
		if !ok {
			t.Fatalf("%s: no entry of kind %s to change", tt.about, tt.kind)
		}
		if _, err := New(at(start)).ReadFrom(bytes.NewReader(sealedEntry([]byte(e)))); err != nil {
			t.Fatalf("kind %s as it is: %v", tt.kind, err)
		}
		changed := []byte(e)
		tt.change(changed)
		if _, err := New(at(start)).ReadFrom(bytes.NewReader(sealedEntry(changed))); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: ReadFrom = %v, want ErrSnapshot", tt.about, err)
		}
	}
	for _, e := range byKind {
		for end := range len(e) {
			c := New(at(start))
			if _, err := c.ReadFrom(bytes.NewReader(sealedEntry([]byte(e[:end])))); err == nil {
				useAll(t, c)
			}
		}
	}
	var w snapshotWriter
	w.record(snapshotEntry, string(byKind[KindRRset]))
	if _, err := New(at(start)).ReadFrom(bytes.NewReader(sealed(w.block))); !errors.Is(err, ErrSnapshot) {
		t.Errorf("entry of a view that was not told: %v, want ErrSnapshot", err)
	}
}

// Whatever the bytes: an error and an empty cache, or a cache that can be used.
func FuzzReadFrom(f *testing.F) {
	c := New(at(start))
	fill(f, c.View([32]byte{}), start)
	f.Add(snapshot(f, c))                                        // a whole one
	f.Add([]byte(snapshotMagic))                                 // ends after the first line
	f.Add(sealed(nil))                                           // holds nothing
	f.Add(sealed([]byte{snapshotEntry}))                         // a record that ends early
	f.Add(sealed([]byte("x\x00\x00\x00\x00")))                   // a record of an unknown sort
	f.Add(append([]byte(snapshotMagic), 0xFF, 0xFF, 0xFF, 0xFF)) // a block that is too long
	f.Fuzz(func(t *testing.T, data []byte) {
		c := New(at(start))
		n, err := c.ReadFrom(bytes.NewReader(data))
		if n > int64(len(data)) || err != nil && c.Len() != 0 {
			t.Errorf("ReadFrom took %d of %d bytes, error %v, %d entries", n, len(data), err, c.Len())
		}
		useAll(t, c)
	})
}

// As FuzzReadFrom, but behind the checksums.
func FuzzLoadEntry(f *testing.F) {
	c := New(at(start))
	fill(f, c.View([32]byte{}), start)
	add := func(e entry) bool { f.Add([]byte(e)); return true } // one of each kind
	_ = c.answers.each(add) && c.keys.each(add) && c.ranges.each(add)
	addCut := func(e *cutEntry) bool { return e.kind != KindCut || add(e.packed()) }
	_ = c.top.each(addCut) && c.cuts.each(addCut)
	f.Add(make([]byte, entryHeader)) // nothing but a head
	f.Fuzz(func(t *testing.T, e []byte) {
		c := New(at(start))
		if _, err := c.ReadFrom(bytes.NewReader(sealedEntry(e))); err != nil && c.Len() != 0 {
			t.Errorf("error %v, %d entries", err, c.Len())
		}
		useAll(t, c)
	})
}

// useAll reads everything that is in a cache in every way there is.
func useAll(t *testing.T, c *Cache) {
	var entries []Entry
	c.Walk(start, func(e Entry) bool { entries = append(entries, e); return true })
	for _, e := range entries {
		v := c.View(e.View)
		for _, trust := range []Trust{Checked, Unchecked} {
			v.Get(start, e.Name, e.Type, trust, RankGlue)
			v.GetNegative(start, e.Name, e.Type, trust)
			v.GetChain(start, e.Name, e.Type, trust)
			v.GetStale(start, e.Name, e.Type, trust, RankGlue)
			v.GetStaleNegative(start, e.Name, e.Type, trust)
			v.AppendReply(nil, start, ReplyTo{Name: e.Name, Type: e.Type, CD: trust == Unchecked, DO: true, EDNS: true, Turn: turned(1)})
		}
		v.Synthesise(start, e.Name, e.Type)
		if child, err := e.Name.Child("\xff"); err == nil {
			v.Synthesise(start, child, dns.TypeA)
			v.GetNegative(start, child, dns.TypeA, Checked)
			v.GetCut(start, child)
		}
		v.Glue(start, e.Name)
		if e.Set.Records != "" {
			_, _ = e.Set.AppendRRs(nil, e.TTL, true) // an error is as good: RDATA is not looked into
		}
	}
	if _, err := c.WriteTo(io.Discard); err != nil {
		t.Error(err)
	}
}
