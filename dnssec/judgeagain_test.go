package dnssec

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// remembered returns the responses that the keys and delegations above a name were proven by.
func remembered(t *testing.T, w *world, qname string, status Status, code ReasonCode) (all []*Response) {
	t.Helper()
	w.expect(qname, dns.TypeA, status, code)
	for n := name(qname); ; n = n.Parent() {
		if ks := w.last.KeySet(n); ks != nil {
			all = append(all, ks.Response())
		}
		if d := w.last.Delegation(n); d != nil {
			all = append(all, d.Response())
		}
		if n.IsRoot() {
			return all
		}
	}
}

// TestJudgedAgain: what was proven is Secure again by its own evidence, denials of DS too, but not
// at a time when a signature is over, nor without a link, nor under another anchor.
func TestJudgedAgain(t *testing.T) {
	for flavour, o := range flavours {
		w := family(t, o)
		links := remembered(t, w, "www.child.example.", Secure, ReasonNone)
		answer := w.zones["child.example."].answer("www.child.example.", dns.TypeA)
		other := mustValidator(t, Options{Anchors: []Anchor{w.zones["example."].anchor(), newTestZone(t, ".", "", zoneOptions{algorithm: dns.ECDSAP256SHA256}).anchor()}})
		for _, c := range []struct {
			about string
			v     *Validator
			after time.Duration
			less  int // this link is missing
			want  Status
		}{
			{"all of it", w.v, 0, -1, Secure},
			{"ten years later", w.v, 10 * 365 * 24 * time.Hour, -1, Bogus},
			{"ten years earlier", w.v, -10 * 365 * 24 * time.Hour, -1, Bogus},
			{"with other keys of the root", other, 0, -1, Secure}, // below the anchor of example.
			{"without the keys of the zone", w.v, 0, 0, Indeterminate},
			{"without its DS", w.v, 0, 1, Indeterminate},
		} {
			at := testTime.Add(c.after)
			e := c.v.Evidence(at, at, NewWork(Limits{}))
			for i, r := range links {
				if i != c.less {
					e.Add(r)
				}
			}
			status := Indeterminate // for what is missing
			v, needs, err := e.Validate(answer)
			if err != nil {
				t.Fatal(err)
			}
			if len(needs) == 0 {
				status = v.Status
			}
			if status != c.want {
				t.Errorf("%s, %s: got %v, needs %v, want %v", flavour, c.about, status, needs, c.want)
			}
		}
	}
	// A zone that was proven to be unsigned is that again.
	w := family(t, zoneOptions{})
	e := w.v.Evidence(testTime, testTime, NewWork(Limits{}))
	for _, r := range remembered(t, w, "www.unsigned.example.", Insecure, ReasonUnsigned) {
		e.Add(r)
	}
	if again, needs, err := e.Judge(name("unsigned.example.")); err != nil || len(needs) > 0 || again.Kind != DelegationUnsigned {
		t.Errorf("got %+v, %v, %v, want unsigned", again, needs, err)
	}
}
