package dnssec

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// rfcZone signs one of the example zones of the RFCs with keys of our own; its
// anchor is all that is trusted.
func rfcZone(t *testing.T, file string, o zoneOptions) (*world, *testZone) {
	t.Helper()
	text, err := io.ReadAll(realData(t, "rfc-zones", file))
	if err != nil {
		t.Fatal(err)
	}
	z := newTestZone(t, "example.", string(text), o)
	return newWorld(t, z), z
}

// exampleOf is a response of an appendix B.
type exampleOf struct {
	section string
	qname   string
	qtype   uint16
	kind    ResponseKind
	proof   []string // owners of the NSEC or NSEC3 records
	status  Status
}

// checkExamples compares what the RFC shows with the test server's response, so that
// both are right, validates it, and takes away each record in turn.
func checkExamples(t *testing.T, w *world, z *testZone, examples []exampleOf) {
	t.Helper()
	for _, x := range examples {
		r := z.answer(x.qname, x.qtype)
		var owners []string
		for _, s := range r.Authority {
			if isDenial(s.Type) {
				owners = append(owners, strings.TrimSuffix(s.Owner.String(), ".example."))
			}
		}
		slices.Sort(owners)
		want := slices.Clone(x.proof)
		slices.Sort(want)
		if r.Kind != x.kind || !slices.Equal(owners, want) {
			t.Errorf("%s: got %v with %q, want %v with %q", x.section, r.Kind, owners, x.kind, want)
		}
		if r.Kind == KindReferral {
			checkReferral(t, w, x, r)
			continue
		}
		if v := w.judge(r); v.Status != x.status {
			t.Errorf("%s: got %v (%v), want %v", x.section, v.Status, v.Reason, x.status)
		}
		for _, s := range r.Authority {
			if s.Type != dns.TypeSOA {
				if v := w.judge(without(r, s)); v.Status == Secure || x.status == Secure && v.Status != Bogus {
					t.Errorf("%s without %s: got %v (%v), want bogus", x.section, s.Owner, v.Status, v.Reason)
				}
			}
		}
	}
}

func checkReferral(t *testing.T, w *world, x exampleOf, r *Response) {
	t.Helper()
	kind := map[Status]DelegationKind{Secure: DelegationSigned, Insecure: DelegationUnsigned}[x.status]
	judge := func(r *Response) *Delegation {
		e := w.evidence()
		e.Add(r)
		for {
			d, needs, err := e.Judge(r.Name)
			if err != nil {
				t.Fatal(err)
			}
			if d != nil {
				return d
			}
			for _, n := range needs {
				if n.Type == dns.TypeDS {
					return &Delegation{}
				}
				w.fetch(e, n)
			}
		}
	}
	if d := judge(r); d.Kind != kind {
		t.Errorf("%s: got %v (%v), want %v", x.section, d.Kind, d.Reason, kind)
	}
	for _, s := range r.Authority {
		if d := judge(without(r, s)); d.Kind != DelegationBogus {
			t.Errorf("%s without %s: got %v, want nothing proven", x.section, s.Owner, d.Kind)
		}
	}
}

// TestAppendixB: the responses of RFC 4035 appendix B.
func TestAppendixB(t *testing.T) {
	w, z := rfcZone(t, "rfc4035-appendix-A.zone", zoneOptions{})
	// The archive added an A record at the zone cut b.example, which changes nothing.
	checkExamples(t, w, z, []exampleOf{
		{"B.1 answer", "x.w.example.", dns.TypeMX, KindAnswer, nil, Secure},
		{"B.2 name error", "ml.example.", dns.TypeA, KindNameError, []string{"b", "example."}, Secure},
		{"B.3 no data", "ns1.example.", dns.TypeMX, KindNoData, []string{"ns1"}, Secure},
		{"B.4 referral to signed zone", "mc.a.example.", dns.TypeMX, KindReferral, nil, Secure},
		{"B.5 referral to unsigned zone", "mc.b.example.", dns.TypeMX, KindReferral, []string{"b"}, Insecure},
		{"B.6 wildcard expansion", "a.z.w.example.", dns.TypeMX, KindAnswer, []string{"x.y.w"}, Secure},
		{"B.7 wildcard no data", "a.z.w.example.", dns.TypeAAAA, KindNoData, []string{"*.w", "x.y.w"}, Secure},
	})
	// B.8: the child answers for its own DS, which proves nothing about the parent.
	r := z.answer("example.", dns.TypeDS)
	if v := w.judge(r); v.Status != Indeterminate {
		t.Errorf("B.8: got %v (%v), want indeterminate: nothing is trusted above", v.Status, v.Reason)
	}
}
