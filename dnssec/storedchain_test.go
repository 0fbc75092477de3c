package dnssec

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// stored is the evidence of a verdict as a program would keep it.
func stored(v *Verdict, chain []Link) *StoredChain {
	last := &chain[len(chain)-1]
	return &StoredChain{
		Name: last.Name, Type: last.Type, Asked: testTime.UTC(), Answered: testTime.Add(time.Second).UTC(), Status: v.Status,
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:53")},
		Note:    "a note with \"quotes\",\nlines and \x01", Chain: chain,
	}
}

// verifyStored has a chain stored, read and verified, with the same verdict.
func (w *world) verifyStored(v *Verdict, chain []Link) {
	w.t.Helper()
	s := stored(v, chain)
	b, err := s.MarshalBinary()
	if err != nil {
		w.t.Errorf("%v: %v", s, err)
		return
	}
	var read StoredChain
	if err := read.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(&read, s) {
		w.t.Errorf("%v: stored and read: %v\ngot  %+v\nwant %+v", s, err, &read, s)
		return
	}
}

// A stored chain is verified years later by what it says and by what the reader trusts: at the
// time that the reader states, about its question only, and with the status that its author found.
func TestStoredChainVerify(t *testing.T) {
	w := signedTree(t, zoneOptions{})
	anchors := []Anchor{w.zones["."].anchor()}
	for _, q := range []struct {
		name   string
		kind   uint16
		status Status
		reason ReasonCode
	}{
		{"caa.example.", dns.TypeCAA, Secure, ReasonNone},
		{"missing.example.", dns.TypeCAA, Secure, ReasonNone},
		{"www.plain.", dns.TypeCAA, Insecure, ReasonUnsigned},
	} {
		v := w.expect(q.name, q.kind, q.status, q.reason)
		b, err := stored(v, v.Chain(w.final)).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		read := func() *StoredChain {
			chains, err := ReadStoredChains(bytes.NewReader(b))
			if err != nil || len(chains) != 1 {
				t.Fatal(chains, err)
			}
			return &chains[0]
		}
		for _, at := range []time.Time{{}, testTime} {
			if got, err := read().Verify(anchors, at); err != nil || got.Status != q.status {
				t.Errorf("%s at %v: got %v, %v, want %v", q.name, at, got, err, q.status)
			}
		}
		from, until := read().Valid()
		if !from.Before(testTime) || !until.After(testTime) {
			t.Errorf("%s: valid from %v until %v", q.name, from, until)
		}
		var bogus *BogusError
		if got, err := read().Verify(anchors, until.Add(time.Second)); !errors.As(err, &bogus) {
			t.Errorf("%s, when a signature has expired: got %v, %v", q.name, got, err)
		}
		if got, err := read().Verify(nil, time.Time{}); !errors.As(err, &bogus) {
			t.Errorf("%s, with the anchors of the real root: got %v, %v", q.name, got, err)
		}
		for what, change := range map[string]func(*StoredChain){
			"another name":   func(s *StoredChain) { s.Name = name("other.example.") },
			"another type":   func(s *StoredChain) { s.Type = dns.TypeA },
			"another status": func(s *StoredChain) { s.Status = Indeterminate },
		} {
			s := read()
			change(s)
			if got, err := s.Verify(anchors, time.Time{}); !errors.Is(err, ErrStoredChain) || got != nil {
				t.Errorf("%s, with %s: got %v, %v", q.name, what, got, err)
			}
		}
		s := read()
		s.Chain = nil
		if got, err := s.Verify(anchors, time.Time{}); !errors.Is(err, ErrChain) {
			t.Errorf("%s, without a chain: got %v, %v", q.name, got, err)
		}
	}
}

// No bit of a file can change, and no byte be missing or one too many, without an error.
func TestStoredChainDamaged(t *testing.T) {
	w := signedTree(t, zoneOptions{})
	v := w.expect("missing.example.", dns.TypeCAA, Secure, ReasonNone)
	b, err := stored(v, v.Chain(w.final)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	kept := StoredChain{Note: "kept"}
	for i := range b {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			damaged := bytes.Clone(b)
			damaged[i] ^= flip
			if err := kept.UnmarshalBinary(damaged); !errors.Is(err, ErrStoredChain) {
				t.Errorf("byte %d, %#02x changed: got %v", i, flip, err)
			}
		}
		if err := kept.UnmarshalBinary(b[:i]); !errors.Is(err, ErrStoredChain) {
			t.Errorf("%d bytes: got %v", i, err)
		}
		if chains, err := ReadStoredChains(bytes.NewReader(append(bytes.Clone(b), b[:i]...))); i > 0 && (!errors.Is(err, ErrStoredChain) || chains != nil) {
			t.Errorf("a second one of %d bytes: got %d, %v", i, len(chains), err)
		}
	}
	if err := kept.UnmarshalBinary(append(b, 'x')); !errors.Is(err, ErrStoredChain) || kept.Note != "kept" {
		t.Errorf("a byte more: got %v, %+v", err, kept)
	}
	failed := errors.New("disk")
	if _, err := ReadStoredChains(io.MultiReader(bytes.NewReader(b[:100]), iotest.ErrReader(failed))); !errors.Is(err, failed) || errors.Is(err, ErrStoredChain) {
		t.Errorf("a disk that fails: got %v", err)
	}
}

// Files of others are bounded in everything, and a file that is as large as it may be is read.
func TestStoredChainLimits(t *testing.T) {
	root := name(".")
	big := func(records, size int) *StoredChain {
		set := &RRset{Owner: root, Type: 65280, Class: dns.ClassINET}
		var all []string
		for i := range records {
			all = append(all, strings.Repeat(string(rune('a'+i)), size))
		}
		set.Records = Pack(all...)
		return &StoredChain{Name: root, Type: 65280, Status: Insecure, Chain: []Link{{Name: root, Type: 65280, Answer: sets(set)}}}
	}
	const around = 11
	full := big(16, MaxStoredRecords/16-around)
	full.Failure, full.Note = strings.Repeat("f", MaxStoredText), strings.Repeat("n", MaxStoredText)
	for range MaxStoredServers {
		full.Servers = append(full.Servers, netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:65535"))
	}
	b, err := full.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var read StoredChain
	if err := read.UnmarshalBinary(b); err != nil || len(read.Servers) != MaxStoredServers {
		t.Errorf("the largest: got %v", err)
	}
	many, err := ReadStoredChains(bytes.NewReader(bytes.Repeat(b, 2)))
	if err != nil || len(many) != 2 {
		t.Errorf("two of them: got %d, %v", len(many), err)
	}
	for what, change := range map[string]func(*StoredChain){
		"records": func(s *StoredChain) { s.Chain = big(16, MaxStoredRecords/16-around+1).Chain },
		"failure": func(s *StoredChain) { s.Failure += "f" },
		"note":    func(s *StoredChain) { s.Note += "n" },
		"servers": func(s *StoredChain) { s.Servers = append(s.Servers, s.Servers[0]) },
		"links": func(s *StoredChain) {
			s.Chain = make([]Link, MaxStoredLinks+1)
			for i := range s.Chain {
				s.Chain[i].Name = root
			}
		},
		"header": func(s *StoredChain) {
			s.Note = strings.Repeat("\x01", MaxStoredText)
			s.Failure = s.Note
			s.Chain = manyLinks()
		},
		"class": func(s *StoredChain) { s.Chain[0].Answer[0].Class = dns.ClassCHAOS },
		"name":  func(s *StoredChain) { s.Name = "" },
	} {
		s := full
		copied := *s
		set := *s.Chain[0].Answer[0]
		copied.Chain = []Link{{Name: root, Type: 65280, Answer: sets(&set)}}
		change(&copied)
		if b, err := copied.MarshalBinary(); !errors.Is(err, ErrStoredChain) || b != nil {
			t.Errorf("too much: %s: got %d bytes, %v", what, len(b), err)
		}
	}
	small, err := big(1, 1).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := ReadStoredChains(bytes.NewReader(bytes.Repeat(small, MaxStoredChains))); err != nil || len(all) != MaxStoredChains {
		t.Errorf("as many as are read: got %d, %v", len(all), err)
	}
	if all, err := ReadStoredChains(bytes.NewReader(bytes.Repeat(small, MaxStoredChains+1))); !errors.Is(err, ErrStoredChain) || all != nil {
		t.Errorf("one more: got %d, %v", len(all), err)
	}
}

// manyLinks are as many links as are allowed, with long names.
func manyLinks() []Link {
	long := name(strings.Repeat(strings.Repeat("a", 61)+".", 4))
	links := make([]Link, MaxStoredLinks)
	for i := range links {
		links[i] = Link{Name: long, Type: dns.TypeDS}
	}
	return links
}

// Headers that contradict themselves, or claim what is not there, are refused before anything is
// made of them.
func TestStoredChainRefuses(t *testing.T) {
	const records = "\x00\x00\x10\x00\x01\x00\x00\x00\x01\x00\x02\x01x" // . 1 IN TXT "x"
	good := `{"name":".","type":"TXT","asked":"2026-01-01T00:00:00Z","answered":"2026-01-01T00:00:00Z","status":"insecure","links":[{"name":".","type":"TXT","kind":"answer","answer":[[1,0]]}]}`
	if s, err := decodeStored([]byte(good+"\n"), records); err != nil || len(s.Chain) != 1 {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"no JSON":            {`{"name"`, `"name"`},
		"an unknown field":   {`"status"`, `"state":1,"status"`},
		"text behind":        {`]}]}`, `]}]}{}`},
		"an unknown status":  {"insecure", "fine"},
		"an unknown kind":    {`"answer",`, `"reply",`},
		"an unknown type":    {`"type":"TXT","kind"`, `"type":"TXTX","kind"`},
		"no type":            {`"type":"TXT","asked"`, `"type":"TYPE016","asked"`},
		"no name":            {`"name":".","type":"TXT","asked"`, `"name":"a..b","type":"TXT","asked"`},
		"a name too long":    {`[{"name":"."`, `[{"name":"` + strings.Repeat("a", 64) + `"`},
		"records too many":   {`[[1,0]]`, `[]`},
		"records too few":    {`[[1,0]]`, `[[1,0],[1,0]]`},
		"a set of none":      {`[[1,0]]`, `[[0,1]]`},
		"less than none":     {`[[1,0]]`, `[[1,-1]]`},
		"a huge count":       {`[[1,0]]`, `[[9223372036854775807,9223372036854775807]]`},
		"no signature there": {`[[1,0]]`, `[[1,1]]`},
		"a server of none":   {`"status"`, `"servers":["nowhere"],"status"`},
	} {
		header := strings.Replace(good, change[0], change[1], 1)
		if header == good {
			t.Fatal(what)
		}
		if s, err := decodeStored([]byte(header), records); err == nil {
			t.Errorf("%s: got %+v", what, s)
		}
	}
	for what, text := range map[string]string{
		"another class":     "\x00\x00\x10\x00\x03\x00\x00\x00\x01\x00\x02\x01x",
		"a compressed name": "\xc0\x00\x00\x10\x00\x01\x00\x00\x00\x01\x00\x02\x01x",
		"cut off":           records[:12],
	} {
		if s, err := decodeStored([]byte(good), text); err == nil {
			t.Errorf("%s: got %+v", what, s)
		}
	}
	two := strings.Replace(good, "[[1,0]]", "[[2,0]]", 1)
	if s, err := decodeStored([]byte(two), records+strings.Replace(records, "\x00\x00\x10", "\x01a\x00\x00\x10", 1)); err == nil {
		t.Errorf("two owners in a set: got %+v", s)
	}
}

// A first line that claims gigabytes costs none, and what has no first line is not read on.
func TestStoredChainHuge(t *testing.T) {
	digest := strings.Repeat("0", 64)
	for _, claim := range []string{
		"iterdns evidence 1 1000000000 10 " + digest + "\n", "iterdns evidence 1 10 1000000000 " + digest + "\n",
		"iterdns evidence 1 65537 0 " + digest + "\n", "iterdns evidence 1 0 1048577 " + digest + "\n",
		"iterdns evidence 1 -1 1 " + digest + "\n", "iterdns evidence 2 1 1 " + digest + "\n",
		"iterdns evidence 1 1 1 " + digest + strings.Repeat(" ", 1000), "\x7fELF" + strings.Repeat("x", 1000),
	} {
		r := strings.NewReader(claim + strings.Repeat("x", 1<<20))
		before := r.Len()
		allocated := testing.AllocsPerRun(1, func() {
			if _, err := ReadStoredChains(strings.NewReader(claim)); !errors.Is(err, ErrStoredChain) {
				t.Errorf("%.60q: got %v", claim, err)
			}
		})
		if _, err := ReadStoredChains(r); !errors.Is(err, ErrStoredChain) || before-r.Len() > maxFrame || allocated > 100+maxFrame {
			t.Errorf("%.60q: got %v, %d bytes read, %v allocations", claim, err, before-r.Len(), allocated)
		}
	}
}

// FuzzStoredChain reads anything. What was read is the same when it is written and read again.
func FuzzStoredChain(f *testing.F) {
	w := signedTree(f, zoneOptions{})
	for _, q := range []string{"caa.example.", "missing.example.", "www.plain."} {
		v, err := w.resolve(q, dns.TypeCAA)
		if err != nil {
			f.Fatal(err)
		}
		header, records, err := stored(v, v.Chain(w.final)).encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(header, string(records))
	}
	anchors := []Anchor{w.zones["."].anchor()}
	f.Fuzz(func(t *testing.T, header []byte, records string) {
		if len(header) > MaxStoredHeader || len(records) > MaxStoredRecords {
			return
		}
		s, err := decodeStored(header, records)
		if err != nil {
			return
		}
		b, err := s.MarshalBinary()
		if err != nil {
			return // the form that we write may be longer
		}
		var read StoredChain
		if err := read.UnmarshalBinary(b); err != nil || len(read.Chain) != len(s.Chain) {
			t.Errorf("written and read: %v\n%q", err, header)
		}
		if v, err := read.Verify(anchors, testTime); err == nil && v.Status != read.Status {
			t.Errorf("got %v, want %v", v.Status, read.Status)
		}
	})
}

// What could not be read again is not written.
func TestStoredChainWritesWhatIsRead(t *testing.T) {
	good := func() *StoredChain {
		text := strings.Repeat("é", MaxStoredText/len("é"))
		set := &RRset{Owner: dnsname.Root, Type: dns.TypeTXT, Class: dns.ClassINET, TTL: 1, Records: Packed(appendField(nil, "\x01x"))}
		return &StoredChain{
			Name: dnsname.Root, Type: dns.TypeTXT, Asked: testTime.UTC(), Answered: testTime.UTC(), Failure: text, Note: text,
			Chain: []Link{{Name: dnsname.Root, Type: dns.TypeTXT, Kind: KindAnswer, Answer: []*RRset{set}}},
		}
	}
	for what, change := range map[string]func(s *StoredChain){
		"":                    func(*StoredChain) {},
		"a note cut off":      func(s *StoredChain) { s.Note = s.Note[:MaxStoredText-1] },
		"a failure of bytes":  func(s *StoredChain) { s.Failure = strings.Repeat("\xff", MaxStoredText) },
		"no status":           func(s *StoredChain) { s.Status = Bogus + 1 },
		"no kind":             func(s *StoredChain) { s.Chain[0].Kind = KindReferral + 1 },
		"a link without name": func(s *StoredChain) { s.Chain[0].Name = "" },
		"a set without owner": func(s *StoredChain) { s.Chain[0].Answer[0].Owner = "" },
		"a set of none":       func(s *StoredChain) { s.Chain[0].Answer[0].Records = "" },
		"a year of none":      func(s *StoredChain) { s.Asked = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		s := good()
		change(s)
		b, err := s.MarshalBinary()
		if what != "" {
			if !errors.Is(err, ErrStoredChain) || b != nil {
				t.Errorf("%s: got %d bytes, %v", what, len(b), err)
			}
			continue
		}
		var read StoredChain
		if err != nil || read.UnmarshalBinary(b) != nil || !reflect.DeepEqual(&read, s) {
			t.Errorf("got %v, %+v", err, read)
		}
	}
}

// Every type has a text of the form that zone files use, and reads back from it.
func TestStoredTypes(t *testing.T) {
	form := regexp.MustCompile(`^[A-Z][A-Z0-9-]*$`)
	for rrtype := range 1 << 16 {
		text := typeName(uint16(rrtype))
		if _, got, err := parseQuestion("example.", text); !form.MatchString(text) || err != nil || got != uint16(rrtype) {
			t.Errorf("type %d: %q reads back as %d, %v", rrtype, text, got, err)
		}
	}
}
