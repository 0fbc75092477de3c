package serve

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// SetsOf packs decoded records into RRsets, in the order of the first record of each, and
// signatures with the records that they cover.
func SetsOf(records []dns.RR) (_ []*dnssec.RRset, err error) {
	defer CatchNil(&err)
	type key struct {
		owner  string
		rrtype uint16
	}
	var order []key
	byKey := make(map[key][]dns.RR)
	for _, rr := range records {
		k := key{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		if sig, ok := rr.(*dns.RRSIG); ok {
			k.rrtype = sig.TypeCovered
		}
		if byKey[k] == nil {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], rr)
	}
	sets := make([]*dnssec.RRset, len(order))
	for i, k := range order {
		if sets[i], err = dnssec.NewRRset(byKey[k]...); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// Packable returns why a record made by the program cannot be sent; nil when it can.
func Packable(rr dns.RR) (err error) {
	defer CatchNil(&err)
	h := rr.Header()
	if h.Name == "" { // miekg/dns would pack it as no bytes
		return dnsname.ErrEmpty
	}
	// A copy, since packing writes to the header, and the program may use the record
	// elsewhere. One byte more than needed, as in Msg.Pack: an exact buffer is too
	// short for the last name in some types.
	if _, err := dns.PackRR(dns.Copy(rr), make([]byte, dns.Len(rr)+1), 0, nil, false); err != nil {
		return fmt.Errorf("%s of %q: %w", answer.TypeName(h.Rrtype), h.Name, err)
	}
	return nil
}

// CatchNil is deferred where records made by the program are first read. Such a record may
// be nil, or have a nil part, in more ways than could be listed, and most of them make
// miekg/dns panic.
func CatchNil(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errNilRecord, p)
	}
}

var errNilRecord = errors.New("a record, or part of one, is nil")

// IndexOfSet returns the index of an RRset; -1 when it is not there.
func IndexOfSet(sets []*dnssec.RRset, owner dnsname.Name, rrtype uint16) int {
	return slices.IndexFunc(sets, func(s *dnssec.RRset) bool { return s.Owner == owner && s.Type == rrtype })
}

// LowestTTL is how long records may be kept together; 0 when there are none.
func LowestTTL(sections ...[]dns.RR) time.Duration {
	lowest, any := uint32(answer.MaxTTL), false
	for _, section := range sections {
		for _, rr := range section {
			lowest, any = min(lowest, rr.Header().Ttl), true
		}
	}
	if !any {
		return 0
	}
	return time.Duration(lowest) * time.Second
}
