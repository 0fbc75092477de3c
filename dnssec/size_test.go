package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

// TestSizes: the size counts records, parsed keys, and the whole chain that is kept alive.
func TestSizes(t *testing.T) {
	for label, o := range flavours {
		w := family(t, o)
		w.expect("www.grand.child.example.", dns.TypeA, Secure, 0)
		above := 0
		for _, zone := range []string{".", "example.", "child.example.", "grand.child.example."} {
			keys, d := w.last.KeySet(name(zone)), w.last.Delegation(name(zone))
			if d != nil {
				if least := above + d.DS.Size(); d.Size() <= least || d.Size() > least+1000 {
					t.Errorf("%s, DS of %s: got %d bytes, want somewhat more than %d", label, zone, d.Size(), least)
				}
				above = d.Size()
			}
			least := above + keys.RRset.Size() + keyOverhead*len(keys.keys)
			if keys.Size() <= least || keys.Size() > least+1000 {
				t.Errorf("%s, keys of %s: got %d bytes, want somewhat more than %d", label, zone, keys.Size(), least)
			}
			above = keys.Size()
		}
		// An unsigned delegation has its proof.
		if _, err := w.resolve("www.unsigned.example.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		least := w.last.KeySet(name("example.")).Size()
		d := w.last.Delegation(name("unsigned.example."))
		for _, set := range d.Proof {
			least += set.Size()
		}
		if len(d.Proof) == 0 || d.Size() <= least {
			t.Errorf("%s, unsigned delegation: got %d bytes and %d records, want more than %d", label, d.Size(), len(d.Proof), least)
		}
	}
	if (&KeySet{}).Size() <= 0 || (&Delegation{}).Size() <= 0 {
		t.Error("what a caller makes without records has no size")
	}
}
