package resolvertest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// unknownAlgorithm is unassigned in IANA's registries, of algorithms as of digests.
const unknownAlgorithm = 200

// isBroken reports whether a zone's header says that something of a kind is wrong.
func (z *zone) isBroken(kind scenario.BreakKind) bool {
	return slices.ContainsFunc(z.signing.Breaks, func(b scenario.Break) bool { return b.Kind == kind })
}

// breaksOf lists what is wrong with the signatures of one RRset.
func (z *zone) breaksOf(owner dnsname.Name, rrtype uint16) map[scenario.BreakKind]bool {
	var broken map[scenario.BreakKind]bool
	for _, b := range z.signing.Breaks {
		if b.Kind == scenario.BreakAbsent || b.Type != 0 && b.Type != rrtype || b.Name != "" && !z.means(b.Name, owner, rrtype) {
			continue
		}
		if broken == nil {
			broken = make(map[scenario.BreakKind]bool)
		}
		broken[b.Kind] = true
	}
	return broken
}

// means reports whether a name in the header is the owner, or, for an NSEC3 record,
// the name that the owner is the hash of.
func (z *zone) means(name string, owner dnsname.Name, rrtype uint16) bool {
	meant, err := z.named(name)
	if err != nil {
		return false
	}
	if rrtype == dns.TypeNSEC3 {
		meant = z.nsec3Owner(meant)
	}
	return owner == meant
}

// named reads a name of the header: relative to the zone, or "@".
func (z *zone) named(name string) (dnsname.Name, error) {
	switch {
	case name == "@":
		return z.origin, nil
	case strings.HasSuffix(name, "."):
		return dnsname.Parse(name)
	case z.origin.IsRoot():
		return dnsname.Parse(name + ".")
	}
	return dnsname.Parse(name + "." + z.origin.String())
}

// nsec3Owner is the owner of the NSEC3 record that matches a name.
func (z *zone) nsec3Owner(name dnsname.Name) dnsname.Name {
	owner, err := z.origin.Child(hashName(name, z.nsec3Param()))
	if err != nil {
		return ""
	}
	return owner
}

// validity returns the time that a signature is valid.
func validity(now time.Time, broken map[scenario.BreakKind]bool) (begin, end time.Time) {
	begin, end = now.Add(-signedBefore), now.Add(signedFor)
	switch {
	case broken[scenario.BreakExpired]:
		begin, end = now.Add(-signedFor), now.Add(-signedBefore)
	case broken[scenario.BreakFuture]:
		begin = now.Add(24 * time.Hour)
	case broken[scenario.BreakInverted]:
		begin, end = end, begin
	case broken[scenario.BreakEnding]:
		end = now.Add(time.Minute)
	}
	return begin, end
}

// spoil changes a good signature.
func spoil(sig *dns.RRSIG, broken map[scenario.BreakKind]bool) error {
	if broken[scenario.BreakTag] {
		sig.KeyTag++
	}
	if broken[scenario.BreakLabels] {
		sig.Labels++
	}
	if broken[scenario.BreakAlgorithm] {
		sig.Algorithm = unknownAlgorithm
	}
	if broken[scenario.BreakCorrupt] {
		b, err := base64.StdEncoding.DecodeString(sig.Signature)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		sig.Signature = base64.StdEncoding.EncodeToString(b)
	}
	return nil
}

// breakDS changes a good DS record.
func (z *zone) breakDS(ds *dns.DS) {
	if z.isBroken(scenario.BreakDSTag) {
		ds.KeyTag++
	}
	if z.isBroken(scenario.BreakDSAlgorithm) {
		ds.Algorithm = unknownAlgorithm
	}
	if z.isBroken(scenario.BreakDigest) {
		first := "0"
		if strings.HasPrefix(ds.Digest, first) {
			first = "1"
		}
		ds.Digest = first + ds.Digest[1:]
	}
}

// checkBreaks returns an error for breaks of signatures at a name that has none.
func (z *zone) checkBreaks() error {
	for _, b := range z.signing.Breaks {
		if b.Name == "" || !b.Kind.OfSignatures() {
			continue
		}
		owner, err := z.named(b.Name)
		if err != nil {
			return fmt.Errorf("zone %s: break=%s of %q: %w", z.origin, b.Kind, b.Name, err)
		}
		if !z.hasSigned(owner, b.Type) {
			return fmt.Errorf("zone %s: break=%s: nothing is signed that is %s", z.origin, b.Kind, b)
		}
	}
	return nil
}

// hasSigned reports whether the zone has a signed RRset of the type, 0 being any, at a name. An
// NSEC3 record counts at the name that its owner is the hash of.
func (z *zone) hasSigned(owner dnsname.Name, rrtype uint16) bool {
	if z.signing.Compact && (rrtype == dns.TypeNSEC || rrtype == 0) {
		return true // made for each question, of names too that are not there
	}
	signed := z.signedTypes(owner)
	if z.signing.NSEC3 && slices.Contains(z.signedTypes(z.nsec3Owner(owner)), dns.TypeNSEC3) {
		signed = append(signed, dns.TypeNSEC3)
	}
	return rrtype == 0 && len(signed) > 0 || slices.Contains(signed, rrtype)
}

// takeAbsent removes the RRsets that are to be absent from the signed zone.
func (z *zone) takeAbsent() error {
	for _, b := range z.signing.Breaks {
		if b.Kind != scenario.BreakAbsent {
			continue
		}
		owner, err := z.named(b.Name)
		if err != nil {
			return fmt.Errorf("zone %s: break=absent of %q: %w", z.origin, b.Name, err)
		}
		if b.Type == dns.TypeNSEC3 {
			owner = z.nsec3Owner(owner)
		}
		n := z.nodes[owner]
		if n == nil || !n.has(b.Type) {
			return fmt.Errorf("zone %s: break=absent: there is no %s of %q", z.origin, dns.Type(b.Type), b.Name)
		}
		n.remove(b.Type)
		left := slices.DeleteFunc(slices.Clone(n.sets[dns.TypeRRSIG]), func(rr dns.RR) bool {
			sig, ok := rr.(*dns.RRSIG)
			return ok && sig.TypeCovered == b.Type
		})
		n.remove(dns.TypeRRSIG)
		for _, rr := range left {
			n.put(rr)
		}
	}
	return nil
}
