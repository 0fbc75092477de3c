package resolvertest

import (
	"fmt"
	"sync"

	"github.com/miekg/dns"
)

// lateSignature is a signature that is made when somebody first asks for it. Most of a
// zone's are never asked for, and making them is most of what an Internet costs that
// changes often.
type lateSignature struct {
	once sync.Once
	make func() (*dns.RRSIG, error)
}

// putLate adds the signature of a set of n that has nothing wrong with it.
func (n *node) putLate(z *zone, key signingKey, set []dns.RR) {
	// What decides where the record goes; the rest comes with the signature.
	sig := &dns.RRSIG{Hdr: *set[0].Header(), TypeCovered: set[0].Header().Rrtype}
	sig.Hdr.Rrtype = dns.TypeRRSIG
	if n.late == nil {
		n.late = make(map[*dns.RRSIG]*lateSignature)
	}
	n.late[sig] = &lateSignature{make: func() (*dns.RRSIG, error) { return z.signature(z.origin, key, set, nil) }}
	n.put(sig)
}

// complete makes a signature whole that is to be read.
func (n *node) complete(rr dns.RR) {
	sig, ok := rr.(*dns.RRSIG)
	if !ok || n.late[sig] == nil {
		return
	}
	late := n.late[sig]
	late.once.Do(func() {
		made, err := late.make()
		if err != nil {
			// The key has an algorithm that signs, and the records have been read or made here.
			panic(fmt.Sprintf("resolvertest: signing %s: %v", sig.Hdr.Name, err))
		}
		// Not the header and the type: others look for their signatures meanwhile, by these.
		sig.Algorithm, sig.Labels, sig.OrigTtl = made.Algorithm, made.Labels, made.OrigTtl
		sig.Inception, sig.Expiration, sig.KeyTag = made.Inception, made.Expiration, made.KeyTag
		sig.SignerName, sig.Signature = made.SignerName, made.Signature
	})
}
