package dnssec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// verifyAuthenticationChain has what is Secure, or denied by records that all are signed, written
// and read in the form of RFC 9102, with the same verdict whatever the order of the records.
func (w *world) verifyAuthenticationChain(v *Verdict, chain []Link) {
	w.t.Helper()
	last := &chain[len(chain)-1]
	form, err := AppendAuthenticationChain(nil, chain)
	if v.Status != Secure || last.Type == dns.TypeANY || w.plainForms {
		return
	}
	if err != nil {
		w.t.Errorf("%v: written in the form of RFC 9102: %v", last, err)
		return
	}
	links, err := ParseAuthenticationChain(form, last.Name, last.Type)
	if err != nil {
		w.t.Fatal(err)
	}
	read := &links[len(links)-1]
	if read.Kind != last.Kind && (read.Kind != KindNoData || last.Kind != KindNameError) && last.Kind != KindAlias {
		w.t.Errorf("%v was read as %v", last, read.Kind)
	}
	if last.Kind == KindAlias { // its end is not known
		read.Kind = KindAlias
	} else if last.Kind == KindNameError {
		read.Kind = KindNameError
	}
	again, err := w.v.VerifyChain(links, testTime)
	if err != nil || again.Status != v.Status {
		w.t.Errorf("%v, in the form of RFC 9102: got %v, %v, want %v", last, again, err, v.Status)
	}
}

// rfc9102 is the chain of RFC 9102 appendix A.1 without its ExtSupportLifetime.
func rfc9102(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/rfc9102-a1.hex")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// rfc9102Anchor is the trust anchor of the RFC's test vectors.
func rfc9102Anchors(t testing.TB) []Anchor {
	t.Helper()
	anchors, err := ParseAnchors(strings.NewReader(". DS 47005 13 2 2eb6e9f2480126691594d649a5a613de3052e37861634641bb568746f2ffc4d4"))
	if err != nil {
		t.Fatal(err)
	}
	return anchors
}

const rfc9102Name = "_443._tcp.www.example.com."

// RFC 9102 appendix A.1: the chain is valid while its signatures are, from 2018-11-28 to
// 2020-12-02, and then only with the RFC's anchor.
func TestRFC9102AppendixA1(t *testing.T) {
	chain, anchors, during := rfc9102(t), rfc9102Anchors(t), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	v, err := VerifyAuthenticationChain(chain, name(rfc9102Name), dns.TypeTLSA, anchors, during)
	if err != nil || v.Status != Secure || v.Zone != name("example.com.") {
		t.Fatalf("got %v, %v, want secure", v, err)
	}
	records, err := v.Sets[0].Set.AppendRRs(nil, 0, false)
	const certificate = "8bd1da95272f7fa4ffb24137fc0ed03aae67e5c4d8b3c50734e1050a7920b922"
	if err != nil || len(records) != 1 || records[0].(*dns.TLSA).Certificate != certificate {
		t.Errorf("got %v, %v", records, err)
	}
	var bogus *BogusError
	for _, at := range []time.Time{{}, during.AddDate(1, 0, 0), during.AddDate(-2, 0, 0)} {
		if v, err := VerifyAuthenticationChain(chain, name(rfc9102Name), dns.TypeTLSA, anchors, at); !errors.As(err, &bogus) {
			t.Errorf("at %v: got %v, %v, want bogus", at, v, err)
		}
	}
	if v, err := VerifyAuthenticationChain(chain, name(rfc9102Name), dns.TypeTLSA, nil, during); !errors.As(err, &bogus) {
		t.Errorf("with the anchors of the root: got %v, %v, want bogus", v, err)
	}
	// It proves nothing about other names and types.
	for _, q := range []linkName{{name("_25._tcp.www.example.com."), dns.TypeTLSA}, {name(rfc9102Name), dns.TypeA}, {name("org."), dns.TypeDS}} {
		if v, err := VerifyAuthenticationChain(chain, q.name, q.rrtype, anchors, during); err == nil {
			t.Errorf("%s %d: got %v, want an error", q.name, q.rrtype, v.Status)
		}
	}
	// What is read is written as it was: the RFC has the same order.
	links, err := ParseAuthenticationChain(chain, name(rfc9102Name), dns.TypeTLSA)
	if err != nil {
		t.Fatal(err)
	}
	written, err := AppendAuthenticationChain(nil, links)
	if err != nil || len(written) != len(chain) {
		t.Errorf("written again: %d bytes, %v, want %d", len(written), err, len(chain))
	}
	if got, err := VerifyAuthenticationChain(written, name(rfc9102Name), dns.TypeTLSA, anchors, during); err != nil || got.Status != Secure {
		t.Errorf("written again: got %v, %v", got, err)
	}
}

// signedTree is a root with a signed zone, an unsigned one, and what aliases, wildcards and denials
// take.
func signedTree(t testing.TB, o zoneOptions) *world {
	root := newTestZone(t, ".", "example. NS ns.example.\n"+dsText(t, "example.", o)+"\nplain. NS ns.plain.\n", o)
	zone := newTestZone(t, "example.", childText+"old DNAME new\nwww.new A 192.0.2.4\ncaa CAA 0 issue \"ca.example\"\n", o)
	w := newWorld(t, root, zone)
	w.zones["plain."] = newTestZone(t, "plain.", childText, zoneOptions{unsigned: true})
	return w
}

// Each kind of answer and of denial, with NSEC and NSEC3, is Secure in the form of RFC 9102 too.
func TestAuthenticationChainKinds(t *testing.T) {
	for _, o := range []zoneOptions{{}, {nsec3: true}, {compact: true}} {
		w := signedTree(t, o)
		for _, q := range []struct {
			name string
			kind uint16
		}{
			{"caa.example.", dns.TypeCAA}, {"www.example.", dns.TypeCAA}, {"a.wild.example.", dns.TypeA},
			{"missing.example.", dns.TypeCAA}, {"example.", dns.TypeDS}, {"example.", dns.TypeDNSKEY}, {"plain.", dns.TypeDS},
		} {
			if o.compact && q.name == "missing.example." {
				continue // there the name has no data
			}
			v := w.expect(q.name, q.kind, Secure, ReasonNone)
			form, err := AppendAuthenticationChain([]byte("before"), v.Chain(w.final))
			if err != nil || !strings.HasPrefix(string(form), "before") {
				t.Fatal(err)
			}
			again, err := VerifyAuthenticationChain(form[len("before"):], name(q.name), q.kind, []Anchor{w.zones["."].anchor()}, testTime)
			if err != nil || again.Status != Secure || (again.Denial == nil) != (v.Denial == nil) ||
				v.Denial != nil && again.Denial.NameError != v.Denial.NameError {
				t.Errorf("%s %s: got %+v, %v", q.name, typeName(q.kind), again, err)
			}
		}
	}
}

// rfc9102Chain has parts of the RFC's test vectors, in the order of names.
func rfc9102Chain(t testing.TB, names ...string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/rfc9102.txt")
	if err != nil {
		t.Fatal(err)
	}
	var chain []byte
	for _, part := range names {
		_, rest, ok := strings.Cut(string(text), "; part "+part+"\n")
		if !ok {
			t.Fatal(part)
		}
		zone, _, _ := strings.Cut(rest, "; part ")
		p := dns.NewZoneParser(strings.NewReader(zone), ".", "")
		for rr, ok := p.Next(); ok; rr, ok = p.Next() {
			b := make([]byte, dns.Len(rr)+1)
			n, err := dns.PackRR(rr, b, 0, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, b[:n]...)
		}
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return chain
}

// RFC 9102 appendix A: all its test vectors, as they are and written again. Without any one of their
// parts they prove nothing.
func TestRFC9102AppendixA(t *testing.T) {
	during, anchors := time.Date(2019, 6, 1, 0, 0, 0, 0, time.UTC), rfc9102Anchors(t)
	for _, c := range []struct {
		name   string
		parts  string
		status Status
		denied bool // and so without an answer
	}{
		{"_443._tcp.www.example.com.", "A.1 com root", Secure, false},
		{"_25._tcp.example.com.", "A.2 com root", Secure, false},
		{"_25._tcp.example.org.", "A.3 org root", Secure, false},
		{"_443._tcp.www.example.org.", "A.4 org root", Secure, false},
		{"_443._tcp.www.example.net.", "A.1 net root com", Secure, false},
		{"_25._tcp.smtp.example.com.", "A.6 com root", Secure, true},
		{"_25._tcp.smtp.example.org.", "A.7 org root", Secure, true},
		{"_443._tcp.www.insecure.example.", "A.8 root", Insecure, false},
	} {
		parts := strings.Fields(c.parts)
		chain := rfc9102Chain(t, parts...)
		// The RFC has this one as bytes too, with signatures made another time.
		if hex := rfc9102(t); c.parts == "A.1 com root" && (len(chain) != len(hex) || !bytes.HasPrefix(hex, chain[:140])) {
			t.Errorf("the parts are not the RFC's own bytes:\n%x\n%x", chain, hex)
		}
		v, err := VerifyAuthenticationChain(chain, name(c.name), dns.TypeTLSA, anchors, during)
		if err != nil || v.Status != c.status || c.status == Secure && (v.Denial != nil) != c.denied {
			t.Errorf("%s: got %+v, %v", c.name, v, err)
			continue
		}
		if answered := c.status == Secure && !c.denied; answered && v.Sets[len(v.Sets)-1].Set.Type != dns.TypeTLSA && v.Sets[0].Set.Type != dns.TypeTLSA {
			t.Errorf("%s: got %+v, want the TLSA records", c.name, v.Sets)
		}
		for i := range parts {
			less := rfc9102Chain(t, slices.Delete(slices.Clone(parts), i, i+1)...)
			if v, err := VerifyAuthenticationChain(less, name(c.name), dns.TypeTLSA, anchors, during); err == nil {
				t.Errorf("%s, without %s: got %v", c.name, parts[i], v.Status)
			}
		}
		if v, err := VerifyAuthenticationChain(chain, name(c.name), dns.TypeTLSA, anchors, during.AddDate(2, 0, 0)); err == nil {
			t.Errorf("%s, in 2021: got %v", c.name, v.Status)
		}
	}
	// What proves that one delegation has no DS proves nothing about names beside it.
	for _, other := range []string{"www.example.", "_443._tcp.secure.example.", "www.example.com."} {
		if v, err := VerifyAuthenticationChain(rfc9102Chain(t, "A.8", "root"), name(other), dns.TypeTLSA, anchors, during); err == nil && v.Status != Insecure {
			t.Errorf("%s: got %v", other, v.Status)
		}
	}
}

// Of an unsigned zone the form has the proof that it is unsigned, behind signed aliases too, and
// nothing that is not signed.
func TestAuthenticationChainUnsigned(t *testing.T) {
	for _, o := range []zoneOptions{{}, {nsec3: true}, {nsec3: true, optOut: true}} {
		w := signedTree(t, o)
		anchors := []Anchor{w.zones["."].anchor()}
		for _, q := range []string{"www.plain.", "missing.plain.", "a.b.c.d.plain.", "plain."} {
			v, err := w.resolve(q, dns.TypeCAA)
			if err != nil || v.Status != Insecure {
				t.Fatal(q, v, err)
			}
			form, err := AppendAuthenticationChain(nil, v.Chain(w.final))
			if err != nil {
				t.Errorf("%s: %v", q, err)
				continue
			}
			again, err := VerifyAuthenticationChain(form, name(q), dns.TypeCAA, anchors, testTime)
			if err != nil || again.Status != Insecure || len(again.Sets) > 0 && again.Sets[0].Set.Signatures == "" {
				t.Errorf("%s: got %+v, %v", q, again, err)
			}
			if v, err := VerifyAuthenticationChain(form, name("www.example."), dns.TypeCAA, anchors, testTime); err == nil {
				t.Errorf("%s: proves that www.example. is %v", q, v.Status)
			}
		}
	}
	deep := name(strings.Repeat("a.", maxCutsTried) + "plain.")
	if chains := insecureDelegations([]Link{{Name: name("."), Type: dns.TypeDNSKEY}, {Name: deep, Type: dns.TypeA, Kind: KindNoData}}); len(chains) != maxCutsTried {
		t.Errorf("%d names are tried, want %d", len(chains), maxCutsTried)
	}
}

// What is not signed has no place in the form, and what is too long neither; a chain as long as
// the form allows has.
func TestAuthenticationChainRefuses(t *testing.T) {
	w := signedTree(t, zoneOptions{})
	v := w.expect("www.plain.", dns.TypeA, Insecure, ReasonUnsigned)
	chain := v.Chain(w.final)
	if form, err := AppendAuthenticationChain(nil, slices.Delete(chain, len(chain)-2, len(chain)-1)); !errors.Is(err, ErrAuthenticationChain) || form != nil {
		t.Errorf("of an unsigned zone, without the proof: got %d bytes, %v", len(form), err)
	}
	v = w.expect("www.example.", dns.TypeANY, Secure, ReasonNone)
	if _, err := AppendAuthenticationChain(nil, v.Chain(w.final)); !errors.Is(err, ErrAuthenticationChain) {
		t.Errorf("of ANY: got %v", err)
	}
	if _, err := ParseAuthenticationChain(rfc9102(t), name(rfc9102Name), dns.TypeANY); !errors.Is(err, ErrAuthenticationChain) {
		t.Errorf("read for ANY: got %v", err)
	}
	if _, err := AppendAuthenticationChain(nil, nil); !errors.Is(err, ErrAuthenticationChain) {
		t.Errorf("of nothing: got %v", err)
	}
	signature := "\xff\x00" + strings.Repeat("s", rrsigFixed-2) + "\x00y" // of type 65280 by the root
	link := func(rdata int) []Link {
		set := &RRset{Owner: name("."), Type: 65280, Class: dns.ClassINET, Records: Pack(strings.Repeat("x", rdata)), Signatures: Pack(signature)}
		return []Link{{Name: name("."), Type: 65280, Answer: sets(set)}}
	}
	const around = 11 + 11 + rrsigFixed + 2 // owner, fields and length of both records, and the signature
	form, err := AppendAuthenticationChain(nil, link(MaxAuthenticationChain-around))
	if err != nil || len(form) != MaxAuthenticationChain {
		t.Errorf("the longest: got %d bytes, %v", len(form), err)
	}
	if _, err := AppendAuthenticationChain(nil, link(MaxAuthenticationChain-around+1)); !errors.Is(err, ErrAuthenticationChain) {
		t.Errorf("one byte more: got %v", err)
	}
	if _, err := ParseAuthenticationChain(make([]byte, MaxAuthenticationChain+1), name("."), dns.TypeA); !errors.Is(err, ErrAuthenticationChain) {
		t.Errorf("read: one byte more: got %v", err)
	}
}

// A chain that is cut off anywhere is malformed, or lacks something; one with a byte changed never
// says more than before.
func TestAuthenticationChainDamaged(t *testing.T) {
	chain, anchors, during := rfc9102(t), rfc9102Anchors(t), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	typed := func(err error) bool {
		var bogus *BogusError
		var limit *LimitError
		return errors.Is(err, ErrAuthenticationChain) || errors.Is(err, ErrChain) || errors.As(err, &bogus) || errors.As(err, &limit)
	}
	for n := range chain {
		if v, err := VerifyAuthenticationChain(chain[:n], name(rfc9102Name), dns.TypeTLSA, anchors, during); !typed(err) {
			t.Errorf("%d bytes: got %v, %v", n, v, err)
		}
	}
	rdata := string(chain[37:72]) // of the TLSA record
	for i := range chain {
		damaged := []byte(string(chain))
		damaged[i] ^= 0x01
		v, err := VerifyAuthenticationChain(damaged, name(rfc9102Name), dns.TypeTLSA, anchors, during)
		if err != nil {
			if !typed(err) {
				t.Errorf("byte %d: got %v", i, err)
			}
			continue
		}
		for got := range v.Sets[0].Set.Records.All() {
			if v.Status != Secure || got != rdata {
				t.Errorf("byte %d: got %v, %x", i, v.Status, got)
			}
		}
	}
}

// FuzzAuthenticationChain reads anything. What was read can be verified, with an error or not, and
// is the same when it is written and read again.
func FuzzAuthenticationChain(f *testing.F) {
	chain := rfc9102(f)
	f.Add(chain, rfc9102Name, dns.TypeTLSA)
	f.Add(chain[:400], rfc9102Name, dns.TypeTLSA)
	f.Add([]byte("\x00\x30\x30\x00\x01\x30\x30\x30\x30\x00\x00"), ".", dns.TypeSOA) // nothing of use
	f.Add([]byte("\x00\x00\x2e\x00\x01\x00\x00\x00\x00\x00\x00"), ".", dns.TypeSOA)
	anchors := rfc9102Anchors(f)
	f.Fuzz(func(t *testing.T, b []byte, qname string, qtype uint16) {
		n, err := ParseName(qname)
		if err != nil {
			return
		}
		links, err := ParseAuthenticationChain(b, n, qtype)
		if err != nil {
			if !errors.Is(err, ErrAuthenticationChain) {
				t.Error(err)
			}
			return
		}
		if v, err := VerifyChain(links, anchors, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil && v.Status == Secure && !n.IsAtOrBelow(v.Zone) && len(v.Sets) < 2 {
			t.Errorf("%s is secure in %s", n, v.Zone)
		}
		form, err := AppendAuthenticationChain(nil, links)
		if err != nil {
			return
		}
		if _, err := ParseAuthenticationChain(form, n, qtype); err != nil {
			t.Errorf("written and read: %v", err)
		}
	})
}
