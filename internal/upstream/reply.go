package upstream

import (
	"bytes"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/wire"
)

// Reply is the part of a server's response that may be believed. It is shared between
// callers and not changed.
type Reply struct {
	scrub.Reply
	Kind          answer.Kind
	Delegation    *glue.Delegation // of a referral
	Server        *slist.Server
	Wire          []byte       // as received, for traces
	FromSecond    bool         // it comes from the second level
	FromLocalRoot bool         // it was made of the local root
	Vouched       bool         // its sender has seen the query: see vouchedFor
	RoundUDP      bool         // it came over TCP, since UDP does not lead to its sender
	WithoutEDNS   bool         // the query had no EDNS, so that no signatures could come
	SecondWritten *atomic.Bool // it was written to the second level; nil: it is not to be
}

// RestsOnProof reports whether only the proof beside it makes an empty reply a denial: a
// server that neither sets AA nor sends an SOA has not claimed the zone.
func (m *Reply) RestsOnProof() bool {
	return m.Kind == answer.KindNoData && !m.AA && !m.RA && m.SOA == nil && len(m.NS) == 0
}

// handleReply decides what a genuine reply means: the query has to be repeated in another
// form, or what kind of response it is.
func (x *exchange) handleReply(msg []byte) (again bool, out Result) {
	m := x.accepted
	if m == nil {
		x.nextForm(faultTruncated)
		return true, Result{}
	}
	if x.network == "tcp" && m.Flags&wire.TC != 0 {
		return false, x.fail(failure.ErrCutOff) // RFC 2181 §9: not to be used, and no transport carries more
	}
	switch rcode := m.Rcode(); {
	case rcode == dns.RcodeBadCookie && x.edns == ednsCookie:
		x.features.Cookie = x.Cut.Source.Infra.Features(x.r.Settings.Now(), x.to.Addr).Cookie
		if x.nextForm(faultBadCookie) {
			return true, Result{}
		}
	case refusesEDNS(rcode):
		if x.nextForm(faultRefused) {
			return true, Result{}
		}
	}
	if m.NoQuestion {
		return false, x.fail(failure.ErrNoQuestion)
	}
	out = x.r.ReadResponse(m, x.Cut, x.Q, msg, x.to)
	if out.Reply != nil {
		out.Reply.Vouched, out.Reply.WithoutEDNS = x.vouchedFor(m), x.edns == ednsNone
		if x.lacksSignatures(out.Reply) && x.nextForm(faultUnsigned) {
			x.unsigned = out.Reply
			return true, Result{}
		}
		if x.cutsBelowNoCut(out.Reply) {
			return x.confirmCut(out.Reply)
		}
	}
	if out.isGood() {
		x.learnForm()
	}
	return false, out
}

// lacksSignatures reports whether a reply over UDP for the root zone has no signature, though the
// zone is signed: something on the way answers in place of the root servers, or takes DNSSEC out of
// what they say. Whether it does is seen over TCP.
func (x *exchange) lacksSignatures(m *Reply) bool {
	return x.network == "udp" && x.edns != ednsNone && x.Cut.Zone.IsRoot() && x.Cut.Source.Route == nil && x.r.isStripped(m)
}

// isStripped reports whether a reply for the root zone has no signature, though the zone is signed.
func (r *Client) isStripped(m *Reply) bool {
	if !r.rootIsSigned() {
		return false
	}
	switch m.Kind {
	case answer.KindAnswer, answer.KindAlias, answer.KindReferral, answer.KindNoData, answer.KindNameError:
		return !hasSignatures(&m.Reply)
	case answer.KindLame, answer.KindUnusable, answer.KindRecursive: // seen to be no root server's
	}
	return false
}

// rootIsSigned reports whether data of the root zone is validated.
func (r *Client) rootIsSigned() bool {
	return r.Settings.Validates && r.routes.CurrentRoutes().ValidatesRoot(r.Settings.Now())
}

// hasSignatures reports whether any part of a reply is signed.
func hasSignatures(m *scrub.Reply) bool {
	signed := func(s *dnssec.RRset) bool { return s != nil && len(s.Signatures) > 0 }
	return slices.ContainsFunc(m.Answer, signed) || slices.ContainsFunc(m.Denial, signed) || signed(m.SOA) || signed(m.DS) ||
		slices.ContainsFunc(m.Aliases, func(a scrub.Alias) bool { return signed(a.Set) })
}

// IsRootServers reports whether a reply to q can be that of a root server: none recurses or refuses,
// and each has the root zone's own records, with signatures if it is signed and they were asked for.
func (r *Client) IsRootServers(m *Reply, q answer.Question) bool {
	switch {
	case m.RA && !m.AA, m.Kind == answer.KindRecursive, m.Kind == answer.KindLame, m.Kind == answer.KindUnusable:
		return false
	case q.Name.IsRoot() && (q.Type == dns.TypeNS || q.Type == dns.TypeSOA):
		return m.Kind == answer.KindAnswer && (hasSignatures(&m.Reply) || !r.rootIsSigned())
	}
	return m.WithoutEDNS || !r.isStripped(m)
}

// cutsBelowNoCut reports whether a reply that may be forged refers to a zone at a name where
// no zone cut is known to be. A forger that wants a name delegated to itself can try once
// for each random name below it, and most of these forgeries show in this way.
func (x *exchange) cutsBelowNoCut(m *Reply) bool {
	if m.Kind != answer.KindReferral || m.Vouched || x.to.UnconfirmedCut == m.Delegation.Zone {
		return false
	}
	known := x.Cut.Source.Cuts.NoCut(x.r.Settings.Now(), x.Cut.Zone, x.Q.Name)
	return known != "" && known.IsAtOrBelow(m.Delegation.Zone)
}

// confirmCut asks again over TCP, as after every reply that is nearly right. Where TCP
// fails, the same reply over UDP from another port is enough: nobody guesses right twice in
// a row.
func (x *exchange) confirmCut(m *Reply) (again bool, out Result) {
	x.r.Counts.Drop(budget.DroppedReferral)
	x.to.UnconfirmedCut, x.udpSpoilt = m.Delegation.Zone, true
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

// ReadResponse keeps of a genuine reply to q what its sender may say for the zone, and
// classifies that.
func (r *Client) ReadResponse(m *wire.Message, cut *routes.ZoneCut, q answer.Question, msg []byte, from *slist.Server) Result {
	reply := &Reply{Server: from, Wire: msg}
	err := scrub.Scrub(&reply.Reply, m, scrub.Asked{
		Zone: cut.Zone, Name: q.Name, Type: q.Type, MaxRecords: r.Settings.Limits.Records,
		Recursive: cut.Source.Forwards(),
	})
	if err != nil {
		return Result{Server: from, Err: r.scrubError(err)}
	}
	r.countExcess(&reply.Reply)
	reply.Kind = classifyFrom(&reply.Reply, cut, q)
	if r.Settings.SecondLevel != nil {
		reply.SecondWritten = new(atomic.Bool)
	}
	out := Result{Server: from, Reply: reply}
	switch reply.Kind {
	case answer.KindReferral:
		r.countServers(&reply.Reply, cut.Zone)
		if reply.Delegation, err = delegationOf(&reply.Reply, cut, q); err != nil {
			reply.Kind, out.Err = answer.KindLame, err
		}
	case answer.KindUnusable:
		out.Err = &failure.RcodeError{Rcode: reply.Rcode}
	case answer.KindLame, answer.KindAnswer, answer.KindAlias, answer.KindNoData, answer.KindNameError, answer.KindRecursive:
	}
	return out
}

// scrubError counts and names the limit that a message with too many records exceeds.
func (r *Client) scrubError(err error) error {
	if errors.Is(err, scrub.ErrTooManyRecords) {
		return errors.Join(r.Counts.LimitsReached.Exceeded(limits.Records, r.Settings.Limits.Records), err)
	}
	return err
}

// classifyFrom classifies a response by whether a zone's servers or a forwarder sent it.
func classifyFrom(m *scrub.Reply, cut *routes.ZoneCut, q answer.Question) answer.Kind {
	if cut.Source.Forwards() {
		return classifyForwarded(m)
	}
	return classify(m, q, cut.Zone)
}

// delegationOf makes a zone cut of a referral. If it has more name servers than are kept,
// they are chosen at random, so that none of them can count on being asked.
func delegationOf(m *scrub.Reply, cut *routes.ZoneCut, q answer.Question) (*glue.Delegation, error) {
	return glue.Referral{
		Zone: cut.Zone, Name: q.Name, NS: m.NS, Addresses: m.Addresses, Pick: mathrand.Shuffle,
	}.Delegation()
}

// countExcess counts the kinds of data that a reply had more of than is kept.
func (r *Client) countExcess(m *scrub.Reply) {
	for _, e := range [...]struct {
		left bool
		what budget.Excess
	}{
		{m.LeftOut&scrub.ExcessSignatures != 0, budget.ExcessSignatures},
		{m.LeftOut&scrub.ExcessDenials != 0, budget.ExcessDenials},
		{m.LeftOut&scrub.ExcessTypes != 0, budget.ExcessTypes},
		{m.LeftOut&scrub.ExcessAliases != 0, budget.ExcessAliases},
		{m.LeftOut&scrub.ExcessRecords != 0, budget.ExcessRecords},
	} {
		if e.left {
			r.Counts.Leave(e.what)
		}
	}
}

// countServers counts a referral from zone with more servers or addresses than are kept.
func (r *Client) countServers(m *scrub.Reply, zone dnsname.Name) {
	if manyServers(m.NS) {
		r.Counts.Leave(budget.ExcessServers)
	}
	if manyAddresses(m.Addresses, zone) {
		r.Counts.Leave(budget.ExcessGlue)
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
