package dnssec

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestNSEC3Hash: the hashes of RFC 5155 appendix A.
func TestNSEC3Hash(t *testing.T) {
	for owner, want := range map[string]string{
		"example.":       "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
		"a.example.":     "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ai.example.":    "gjeqe526plbf1g8mklp59enfd789njgi",
		"ns1.example.":   "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
		"x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
		"*.w.example.":   "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
	} {
		h := nsec3Hash(hashInput{name(owner), "\xAA\xBB\xCC\xDD", 12})
		if got := base32Hex.EncodeToString(h[:]); got != want {
			t.Errorf("%s: got %s, want %s", owner, got, want)
		}
	}
	for _, salt := range []string{"", "00", strings.Repeat("ab", 255)} {
		for _, iterations := range []uint16{0, 1, 50} {
			raw, err := hex.DecodeString(salt)
			if err != nil {
				t.Fatal(err)
			}
			h := nsec3Hash(hashInput{name("a.b.example."), string(raw), iterations})
			want := dns.HashName("a.b.example.", dns.SHA1, iterations, salt)
			if got := strings.ToUpper(base32Hex.EncodeToString(h[:])); got != want {
				t.Errorf("salt of %d bytes, %d iterations: got %s, want %s", len(raw), iterations, got, want)
			}
		}
	}
}

// nsec3Zone makes NSEC3 records from names: "match NAME TYPES…", "cover NAME", and
// "optout NAME" for a covering record with the flag.
func nsec3Proof(t testing.TB, zone string, roles ...string) *proof {
	t.Helper()
	var all []*RRset
	for _, role := range roles {
		f := strings.Fields(role)
		h := nsec3Hash(hashInput{name(f[1]), "\xAA", 2})
		owner, next, flags := h, h, 0
		if f[0] == "match" {
			next[19]++
		} else {
			owner[19]--
			next[19]++
		}
		if f[0] == "optout" {
			flags = 1
		}
		all = append(all, record(t, fmt.Sprintf("%s.%s 60 IN NSEC3 1 %d 2 AA %s %s",
			base32Hex.EncodeToString(owner[:]), zone, flags, base32Hex.EncodeToString(next[:]), strings.Join(f[2:], " "))))
	}
	p, err := newProof(name(zone), all, NewWork(Limits{}), unchecked)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNSEC3Proofs(t *testing.T) {
	provers := map[string]prover{"nodata": (*proof).noData, "name error": (*proof).nameError, "no DS": (*proof).noDS}
	apex := "match example. SOA NS RRSIG"
	for _, c := range []struct {
		label string
		prove string
		roles []string
		name  string
		qtype uint16
		want  finding
	}{
		{"§8.4", "name error", []string{apex, "cover b.example.", "cover *.example."}, "b.example.", 1, proven},
		{"§8.4 deep", "name error", []string{apex, "cover b.example.", "cover *.example."}, "x.y.b.example.", 1, proven},
		{"§8.4 wildcard not denied", "name error", []string{apex, "cover b.example."}, "b.example.", 1, finding{closestEncloser: "\x07example\x00", nextCloser: "\x01b\x07example\x00"}},
		{"§8.4 next closer not covered", "name error", []string{apex, "cover *.example."}, "b.example.", 1, finding{}},
		{"§8.4 encloser not matched", "name error", []string{"cover b.example.", "cover *.example."}, "b.example.", 1, finding{}},
		{"§8.4 name exists", "name error", []string{apex, "match b.example. A RRSIG", "cover *.example."}, "b.example.", 1, finding{}},
		{"§8.4 encloser is a delegation", "name error", []string{apex, "match a.example. NS", "cover b.a.example.", "cover *.a.example."}, "b.a.example.", 1, finding{}},
		{"§8.4 encloser is a DNAME", "name error", []string{apex, "match a.example. DNAME RRSIG", "cover b.a.example.", "cover *.a.example."}, "b.a.example.", 1, finding{}},
		{"§8.4 opt-out", "name error", []string{apex, "optout b.example.", "cover *.example."}, "b.example.", 1, finding{proven: true, optOut: true}},
		{"§8.5", "nodata", []string{"match a.example. A RRSIG"}, "a.example.", 16, proven},
		{"§8.5 type set", "nodata", []string{"match a.example. TXT RRSIG"}, "a.example.", 16, finding{}},
		{"§8.5 CNAME set", "nodata", []string{"match a.example. CNAME RRSIG"}, "a.example.", 16, finding{}},
		{"§8.5 delegation", "nodata", []string{"match a.example. NS"}, "a.example.", 16, finding{}},
		{"§8.5 empty non-terminal", "nodata", []string{"match a.example. "}, "a.example.", 16, proven},
		{"§8.6", "nodata", []string{"match a.example. NS"}, "a.example.", 43, proven},
		{"§8.6 apex", "nodata", []string{"match a.example. NS SOA RRSIG"}, "a.example.", 43, finding{}},
		{"§8.6 opt-out", "nodata", []string{apex, "optout a.example."}, "a.example.", 43, finding{proven: true, optOut: true}},
		{"§8.6 covered, no opt-out", "nodata", []string{apex, "cover a.example."}, "a.example.", 43, finding{}},
		{"§8.7", "nodata", []string{apex, "cover b.example.", "match *.example. A RRSIG"}, "b.example.", 16, proven},
		{"§8.7 type set", "nodata", []string{apex, "cover b.example.", "match *.example. TXT RRSIG"}, "b.example.", 16, finding{}},
		{"§8.7 CNAME set", "nodata", []string{apex, "cover b.example.", "match *.example. CNAME RRSIG"}, "b.example.", 16, finding{}},
		{"§8.7 encloser missing", "nodata", []string{"cover b.example.", "match *.example. A RRSIG"}, "b.example.", 16, finding{}},
		{"§8.9", "no DS", []string{"match a.example. NS"}, "a.example.", 0, finding{proven: true, unsigned: true}},
		{"§8.9 DS set", "no DS", []string{"match a.example. NS DS RRSIG"}, "a.example.", 0, finding{}},
		{"§8.9 host", "no DS", []string{"match a.example. A RRSIG"}, "a.example.", 0, proven},
		{"§8.9 opt-out", "no DS", []string{apex, "optout a.example."}, "a.example.", 0, finding{proven: true, optOut: true, unsigned: true}},
		{"§8.9 missing name", "no DS", []string{apex, "cover a.example."}, "a.example.", 0, finding{proven: true, absent: true}},
		{"§8.9 below a delegation", "no DS", []string{apex, "match a.example. NS", "optout b.a.example."}, "b.a.example.", 0, finding{}},
	} {
		got, err := provers[c.prove](nsec3Proof(t, "example.", c.roles...), name(c.name), c.qtype)
		if err != nil {
			t.Fatal(err)
		}
		if !got.proven {
			got.closestEncloser, got.nextCloser, got.optOut = "", "", false
			c.want.closestEncloser, c.want.nextCloser = "", ""
		}
		if c.want.closestEncloser == "" {
			got.closestEncloser, got.nextCloser = "", ""
		}
		if got != c.want {
			t.Errorf("%s %s: got %+v, want %+v", c.label, c.prove, got, c.want)
		}
	}
}

func TestNSEC3Wildcard(t *testing.T) {
	for label, c := range map[string]struct {
		roles []string
		want  finding
	}{
		"§8.8":                 {[]string{"cover b.example."}, finding{proven: true}},
		"§8.8 opt-out":         {[]string{"optout b.example."}, finding{proven: true, optOut: true}},
		"deeper covered":       {[]string{"cover c.b.example."}, finding{}},
		"next closer is there": {[]string{"match b.example. A"}, finding{}},
	} {
		f, err := nsec3Proof(t, "example.", c.roles...).noCloser(name("c.b.example."), name("*.example."))
		if err != nil || f.proven != c.want.proven || f.optOut != c.want.optOut {
			t.Errorf("%s: got %+v, %v, want %+v", label, f, err, c.want)
		}
	}
}

// TestOddNSEC3: records that are as good as absent.
func TestOddNSEC3(t *testing.T) {
	hash := strings.Repeat("0", 31) + "1"
	good := "1 0 2 AA " + hash + " A RRSIG"
	for label, c := range map[string]struct {
		owner, rdata string
		ok           bool
	}{
		"as it should be":       {hash + ".example.", good, true},
		"opt-out":               {hash + ".example.", "1 1 2 AA " + hash + " A", true},
		"no salt":               {hash + ".example.", "1 0 2 - " + hash + " A", true},
		"unknown hash":          {hash + ".example.", "2 0 2 AA " + hash + " A", false},
		"unknown flag":          {hash + ".example.", "1 2 2 AA " + hash + " A", false},
		"not below the apex":    {hash + ".sub.example.", good, false},
		"below another zone":    {hash + ".other.", good, false},
		"at the apex":           {"example.", good, false},
		"label too short":       {hash[1:] + ".example.", good, false},
		"label not base 32 hex": {strings.Repeat("z", 32) + ".example.", good, false},
	} {
		rr, err := dns.NewRR(c.owner + " 60 IN NSEC3 " + c.rdata)
		if err != nil {
			t.Fatal(label, err)
		}
		if _, ok := parseNSEC3(mustSet(t, rr), name("example.")); ok != c.ok {
			t.Errorf("%s: got %v, want %v", label, ok, c.ok)
		}
	}
	for label, rdata := range map[string]string{
		"empty":            "",
		"salt cut short":   "\x01\x00\x00\x01\x05ab",
		"hash of 19 bytes": "\x01\x00\x00\x01\x00\x13" + strings.Repeat("a", 19),
		"hash cut short":   "\x01\x00\x00\x01\x00\x14" + strings.Repeat("a", 19),
		"bad bit map":      "\x01\x00\x00\x01\x00\x14" + strings.Repeat("a", 20) + "\x00",
	} {
		set := &RRset{Owner: name(hash + ".example."), Type: dns.TypeNSEC3, Class: dns.ClassINET, Records: Pack(rdata)}
		if _, ok := parseNSEC3(set, name("example.")); ok {
			t.Errorf("%s: was read", label)
		}
	}
}

// TestNSEC3Covers: the order of hashes is a ring.
func TestNSEC3Covers(t *testing.T) {
	for _, c := range []struct {
		owner, next, hash string
		want              bool
	}{
		{"b", "d", "c", true}, {"b", "d", "b", false}, {"b", "d", "d", false}, {"b", "d", "a", false}, {"b", "d", "e", false},
		{"d", "b", "e", true}, {"d", "b", "a", true}, {"d", "b", "c", false}, {"d", "b", "d", false}, {"d", "b", "b", false},
		{"b", "b", "a", true}, {"b", "b", "c", true}, {"b", "b", "b", false},
	} {
		n := nsec3{owner: c.owner, next: c.next}
		if got := n.covers(c.hash); got != c.want {
			t.Errorf("%s between %s and %s: got %v", c.hash, c.owner, c.next, got)
		}
	}
}

// TestMixedParameters: one proof, one set of parameters (RFC 5155 §8.2).
func TestMixedParameters(t *testing.T) {
	p := nsec3Proof(t, "example.", "match example. SOA NS RRSIG", "cover b.example.", "cover *.example.")
	p.nsec3[1].salt = "\xBB"
	if f, err := p.nameError(name("b.example."), dns.TypeA); err != nil || f.proven {
		t.Errorf("got %+v, %v, want no proof", f, err)
	}
}

// TestIterations: RFC 9276 §3.2, on answers and on the way down.
func TestIterations(t *testing.T) {
	for _, c := range []struct {
		iterations uint16
		limit      int
		status     Status
		reason     ReasonCode
	}{
		{0, 0, Secure, 0}, {1, 0, Secure, 0}, {50, 0, Secure, 0},
		{51, 0, Insecure, ReasonIterations}, {150, 0, Insecure, ReasonIterations}, {65535, 0, Insecure, ReasonIterations},
		{150, 150, Secure, 0}, {151, -1, Secure, 0},
	} {
		t.Run(fmt.Sprint(c.iterations, c.limit), func(t *testing.T) {
			if c.iterations == 65535 && testing.Short() {
				t.Skip("signing takes a while")
			}
			w := family(t, zoneOptions{nsec3: true, iterate: c.iterations})
			w.cache = func(*Evidence) {} // a third party has limits of its own
			w.limit.NSEC3Iterations = c.limit
			child := w.zones["child.example."]
			for _, n := range negatives {
				r := child.answer(n.name+child.name, n.qtype)
				v := w.judge(r)
				if v.Status != c.status || v.Reason.Code != c.reason {
					t.Errorf("%s: got %v (%v), want %v", n.label, v.Status, v.Reason, c.status)
				}
				if code, _ := v.Reason.EDE(); c.status == Insecure && code != dns.ExtendedErrorCodeUnsupportedNSEC3IterValue {
					t.Errorf("%s: got EDE %d, want 27", n.label, code)
				}
				if c.status == Insecure && w.last.work.Spent().NSEC3Hashes != 0 {
					t.Errorf("%s: %d names were hashed", n.label, w.last.work.Spent().NSEC3Hashes)
				}
				for _, s := range r.Authority { // the number has to be signed
					if s.Type == dns.TypeNSEC3 {
						r = with(r, s, alterations["signature altered"](s))
					}
				}
				w.notGood(r, n.label+" with wrong signatures")
			}
			w.expect("www.child.example.", dns.TypeA, Secure, 0)
			reason := ReasonUnsigned
			if c.status == Insecure {
				reason = ReasonIterations
			}
			w.expect("www.unsigned.example.", dns.TypeA, Insecure, reason)
		})
	}
}
