package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// learnApexNS remembers which name servers the zone itself names beside those of its parent,
// for when all of these fail. They are believed from the answer to a query for them, when
// they are signed, or when the sender has seen our query; otherwise the reply may be forged.
// They are no part of the delegation, which is the parent's to make, and are forgotten with
// it.
func (w *walk) learnApexNS(m *reply, f *fresh) {
	asked := f.q == (question{w.cut.Zone, dns.TypeNS})
	switch {
	case !m.AA || m.fromSecond, w.cut.isConfigured() || w.cut.source.forwards() || w.cut.Zone.IsRoot():
		return
	case asked && f.kind == kindAnswer:
		w.keepApexNS(w.apexServers(f.sets[0]))
		return
	case asked || w.cut.apexNS != nil || !m.Upward || !m.vouched && f.status != dnssec.Secure:
		return
	}
	set := w.apexNS(m)
	if set == nil {
		return
	}
	if own := w.apexServers(set); m.vouched || len(own) == 0 || w.signedByZone(f, set) {
		w.keepApexNS(own)
	}
}

// apexNS returns the NS records of the zone that came beside an answer; nil if none did.
func (w *walk) apexNS(m *reply) *dnssec.RRset {
	message, err := wire.Parse(m.wire)
	if err != nil {
		return nil
	}
	return scrub.ApexNS(message, w.cut.Zone, w.r.settings.Limits.Records)
}

// apexServers lists the servers of the zone's NS records that its parent does not name.
func (w *walk) apexServers(set *dnssec.RRset) []dnsname.Name {
	own := []dnsname.Name{}
	for rdata := range set.Records.All() {
		target, ok := wire.TargetName(dns.TypeNS, rdata)
		if _, named := w.cut.Server(target); ok && !named {
			own = append(own, target)
		}
	}
	return own[:min(len(own), glue.MaxServers)]
}

// signedByZone reports whether the NS records beside a secure answer are secure too.
func (w *walk) signedByZone(f *fresh, set *dnssec.RRset) bool {
	if w.st.validation == nil || f.signer != w.cut.Zone || len(set.Signatures) == 0 {
		return false
	}
	verdict, needs, err := w.st.validation.evidence.Validate(&dnssec.Response{
		Name: set.Owner, Type: set.Type, Zone: w.cut.Zone, Kind: dnssec.KindAnswer, Answer: []*dnssec.RRset{set},
	})
	return err == nil && len(needs) == 0 && verdict.Status == dnssec.Secure
}

func (w *walk) keepApexNS(own []dnsname.Name) {
	w.view.cuts.PutOwnServers(w.cut.Delegation, own)
}
