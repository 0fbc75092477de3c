package localroot

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Trust says by which keys a copy is verified.
type Trust struct {
	Anchors    func() []dnssec.Anchor // those of now
	Algorithms map[uint8]dnssec.Algorithm
}

// expects reports whether a zone has a trust anchor of its own, and so must be signed.
func expects(anchors []dnssec.Anchor, apex dnssec.Name) bool {
	return slices.ContainsFunc(anchors, func(a dnssec.Anchor) bool { return a.Zone() == apex.String() })
}

// verify returns a copy that may be used (RFC 8976 §4). Where an anchor says that the zone is
// signed, the DNSKEY, SOA and ZONEMD RRsets have to be Secure; elsewhere the digest is a checksum
// and no more. now is the time that signatures are judged at.
func (t Trust) verify(z *contents, now time.Time) (*Zone, error) {
	made := newZone(z)
	if anchors := t.Anchors(); expects(anchors, z.apex) {
		if err := t.checkApex(made, anchors, now); err != nil {
			return nil, err
		}
	}
	if err := z.checkDigest(); err != nil {
		return nil, err
	}
	return made, nil
}

// apexTypes are the types whose signatures are checked: the others are covered by the digest.
var apexTypes = [...]uint16{dns.TypeDNSKEY, dns.TypeSOA, dns.TypeZONEMD}

// checkApex checks the signatures at the apex, and notes until when they are good.
func (t Trust) checkApex(z *Zone, anchors []dnssec.Anchor, now time.Time) error {
	validator, err := dnssec.New(dnssec.Options{Anchors: anchors, Algorithms: t.Algorithms})
	if err != nil {
		return faultf(FaultSignature, "trust anchors: %w", err)
	}
	evidence := validator.Evidence(now, now, dnssec.NewWork(dnssec.Limits{}))
	for _, rrtype := range apexTypes {
		set := z.set(z.apex, rrtype)
		switch {
		case set == nil && rrtype == dns.TypeZONEMD:
			return faultf(FaultUnverifiable, "no ZONEMD record")
		case set == nil:
			return faultf(FaultSignature, "no %s records, though a trust anchor says that the zone is signed", dns.Type(rrtype))
		}
		response := &dnssec.Response{Name: z.apex, Type: rrtype, Zone: z.apex, Kind: dnssec.KindAnswer, Answer: []*dnssec.RRset{set}}
		evidence.Add(response)
		verdict, needs, err := evidence.Validate(response)
		switch {
		case err != nil:
			return faultf(FaultSignature, "%s: %w", dns.Type(rrtype), err)
		case len(needs) > 0:
			return faultf(FaultSignature, "%s: the copy lacks %s %s", dns.Type(rrtype), needs[0].Name, dns.Type(needs[0].Type))
		case verdict.Status != dnssec.Secure:
			return faultf(FaultSignature, "%s is %s: %s", dns.Type(rrtype), verdict.Status, verdict.Reason)
		}
		if until := latestExpiration(set, now); z.signedUntil.IsZero() || until.Before(z.signedUntil) {
			z.signedUntil = until
		}
	}
	z.Secure = true
	return nil
}

// latestExpiration returns when the last signature over an RRset expires. Times are modulo 2^32
// seconds (RFC 4034 §3.1.5).
func latestExpiration(set *dnssec.RRset, now time.Time) time.Time {
	const expiration = 8 // bytes before it
	var latest int32
	for rdata := range set.Signatures.All() {
		if len(rdata) >= expiration+4 {
			latest = max(latest, int32(binary.BigEndian.Uint32([]byte(rdata[expiration:expiration+4]))-uint32(now.Unix())))
		}
	}
	return now.Truncate(time.Second).Add(time.Duration(latest) * time.Second)
}
