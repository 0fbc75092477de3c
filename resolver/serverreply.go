package resolver

import (
	"bytes"
	"errors"
	mathrand "math/rand/v2"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// reply is the part of a server's response that may be believed. It is shared between
// callers and not changed.
type reply struct {
	*scrub.Reply
	kind          responseKind
	delegation    *glue.Delegation // of a referral
	server        *serverAddr
	wire          []byte       // as received, for traces
	fromSecond    bool         // it comes from the second level
	vouched       bool         // its sender has seen the query: see vouchedFor
	withoutEDNS   bool         // the query had no EDNS, so that no signatures could come
	secondWritten *atomic.Bool // it was written to the second level; nil: it is not to be
}

// restsOnProof reports whether only the proof beside it makes an empty reply a denial: a
// server that neither sets AA nor sends an SOA has not claimed the zone.
func (m *reply) restsOnProof() bool {
	return m.kind == kindNoData && !m.AA && !m.RA && m.SOA == nil && len(m.NS) == 0
}

// handleReply decides what a genuine reply means: the query has to be repeated in another
// form, or what kind of response it is.
func (x *exchange) handleReply(msg []byte) (again bool, out exchangeResult) {
	m := x.accepted
	if m == nil {
		x.nextForm(faultTruncated)
		return true, exchangeResult{}
	}
	if x.network == "tcp" && m.Flags&wire.TC != 0 {
		return false, x.fail(errCutOff) // RFC 2181 §9: not to be used, and no transport carries more
	}
	switch rcode := m.Rcode(); {
	case rcode == dns.RcodeBadCookie && x.edns == ednsCookie:
		x.features.Cookie = x.cut.source.infra.Features(x.r.settings.Now(), x.to.addr).Cookie
		if x.nextForm(faultBadCookie) {
			return true, exchangeResult{}
		}
	case refusesEDNS(rcode):
		if x.nextForm(faultRefused) {
			return true, exchangeResult{}
		}
	}
	if m.NoQuestion {
		return false, x.fail(errNoQuestion)
	}
	out = x.r.readResponse(m, x.cut, x.q, msg, x.to)
	if out.reply != nil {
		out.reply.vouched, out.reply.withoutEDNS = x.vouchedFor(m), x.edns == ednsNone
		if x.cutsBelowNoCut(out.reply) {
			return x.confirmCut(out.reply)
		}
	}
	if out.isGood() {
		x.learnForm()
	}
	return false, out
}

// cutsBelowNoCut reports whether a reply that may be forged refers to a zone at a name where
// no zone cut is known to be. A forger that wants a name delegated to itself can try once
// for each random name below it, and most of these forgeries show in this way.
func (x *exchange) cutsBelowNoCut(m *reply) bool {
	if m.kind != kindReferral || m.vouched || x.to.unconfirmedCut == m.delegation.Zone {
		return false
	}
	known := x.cut.source.cuts.NoCut(x.r.settings.Now(), x.cut.Zone, x.q.name)
	return known != "" && known.IsAtOrBelow(m.delegation.Zone)
}

// confirmCut asks again over TCP, as after every reply that is nearly right. Where TCP
// fails, the same reply over UDP from another port is enough: nobody guesses right twice in
// a row.
func (x *exchange) confirmCut(m *reply) (again bool, out exchangeResult) {
	x.r.counts.drop(droppedReferral)
	x.to.unconfirmedCut, x.udpSpoilt = m.delegation.Zone, true
	return x.retry(faultForged, errUnconfirmedCut)
}

// errUnconfirmedCut means that a referral may be forged, and could not be confirmed.
var errUnconfirmedCut = errors.New("unconfirmed referral below a name without zone cut")

// vouchedFor reports whether a reply proves that its sender has seen the query: it came over
// a connection, or has the client cookie that was sent and a server cookie (RFC 7873 §5.3),
// which are 64 bits more for a forger to guess.
func (x *exchange) vouchedFor(m *wire.Message) bool {
	return x.network == "tcp" || x.edns == ednsCookie && m.EDNS != nil && len(m.EDNS.Cookie) > clientCookieLen &&
		bytes.Equal(m.EDNS.Cookie[:clientCookieLen], x.features.Cookie[:clientCookieLen])
}

// readResponse keeps of a genuine reply to q what its sender may say for the zone, and
// classifies that.
func (r *upstreamClient) readResponse(m *wire.Message, cut *zoneCut, q question, msg []byte, from *serverAddr) exchangeResult {
	scrubbed, err := scrub.Scrub(m, scrub.Asked{
		Zone: cut.Zone, Name: q.name, Type: q.rrtype, MaxRecords: r.settings.Limits.Records,
		Recursive: cut.source.forwards(),
	})
	if err != nil {
		return exchangeResult{server: from, err: r.scrubError(err)}
	}
	r.countExcess(scrubbed)
	out := exchangeResult{server: from, reply: &reply{Reply: scrubbed, kind: classifyFrom(scrubbed, cut, q), server: from, wire: msg}}
	if r.settings.SecondLevel != nil {
		out.reply.secondWritten = new(atomic.Bool)
	}
	switch out.reply.kind {
	case kindReferral:
		r.countServers(scrubbed, cut.Zone)
		if out.reply.delegation, err = delegationOf(scrubbed, cut, q); err != nil {
			out.reply.kind, out.err = kindLame, err
		}
	case kindUnusable:
		out.err = &rcodeError{scrubbed.Rcode}
	case kindLame, kindAnswer, kindAlias, kindNoData, kindNameError, kindRecursive:
	}
	return out
}

// scrubError counts and names the limit that a message with too many records exceeds.
func (r *upstreamClient) scrubError(err error) error {
	if errors.Is(err, scrub.ErrTooManyRecords) {
		return errors.Join(r.counts.refusals.refuse(limitRecords, r.settings.Limits.Records), err)
	}
	return err
}

// classifyFrom classifies a response by whether a zone's servers or a forwarder sent it.
func classifyFrom(m *scrub.Reply, cut *zoneCut, q question) responseKind {
	if cut.source.forwards() {
		return classifyForwarded(m)
	}
	return classify(m, q, cut.Zone)
}

// delegationOf makes a zone cut of a referral. If it has more name servers than are kept,
// they are chosen at random, so that none of them can count on being asked.
func delegationOf(m *scrub.Reply, cut *zoneCut, q question) (*glue.Delegation, error) {
	return glue.Referral{
		Zone: cut.Zone, Name: q.name, NS: m.NS, Addresses: m.Addresses, Pick: mathrand.Shuffle,
	}.Delegation()
}

// countExcess counts the kinds of data that a reply had more of than is kept.
func (r *upstreamClient) countExcess(m *scrub.Reply) {
	for _, e := range [...]struct {
		left bool
		what excess
	}{
		{m.LeftOut&scrub.ExcessSignatures != 0, excessSignatures},
		{m.LeftOut&scrub.ExcessDenials != 0, excessDenials},
		{m.LeftOut&scrub.ExcessTypes != 0, excessTypes},
		{m.LeftOut&scrub.ExcessAliases != 0, excessAliases},
		{m.LeftOut&scrub.ExcessRecords != 0, excessRecords},
	} {
		if e.left {
			r.counts.leave(e.what)
		}
	}
}

// countServers counts a referral from zone with more servers or addresses than are kept.
func (r *upstreamClient) countServers(m *scrub.Reply, zone dnsname.Name) {
	if manyServers(m.NS) {
		r.counts.leave(excessServers)
	}
	if manyAddresses(m.Addresses, zone) {
		r.counts.leave(excessGlue)
	}
}

// manyServers reports whether a referral has more name servers than a delegation keeps.
func manyServers(servers []glue.NS) bool {
	if len(servers) <= glue.MaxServers {
		return false
	}
	names := make(map[dnsname.Name]bool, len(servers))
	for _, ns := range servers {
		names[ns.Target] = true
	}
	return len(names) > glue.MaxServers
}

// manyAddresses reports whether a referral from a zone has more glue for one name server
// than a delegation keeps.
func manyAddresses(addresses []glue.Address, zone dnsname.Name) bool {
	if len(addresses) <= glue.MaxAddrs {
		return false
	}
	count := make(map[dnsname.Name]int, glue.MaxServers)
	most := 0
	for _, a := range addresses {
		count[a.Owner]++
		most = max(most, count[a.Owner])
	}
	if most <= glue.MaxAddrs { // as usual
		return false
	}
	clear(count)
	seen := make(map[glue.Address]bool, len(addresses))
	for _, a := range addresses {
		same := glue.Address{Owner: a.Owner, Addr: a.Addr}
		if seen[same] || !a.Owner.IsAtOrBelow(zone) {
			continue
		}
		seen[same] = true
		if count[a.Owner]++; count[a.Owner] > glue.MaxAddrs {
			return true
		}
	}
	return false
}
