package resolver

import (
	"bytes"
	"time"
)

// lateLoss is called when another server answered first, or the question needs the reply no
// more. It records a loss if the reply was overdue by then. When the question was shed it
// records nothing: slow questions are shed, whatever the server.
func (x *exchange) lateLoss() {
	addr := x.to.addr
	if x.isShed() {
		return
	}
	if (x.network == "udp" || x.streamOnly()) && time.Since(x.sent) >= x.to.estimate.Late {
		x.cut.source.infra.TimedOut(x.r.settings.Now(), addr, x.to.estimate.Replies)
	}
}

// recordReply remembers that the server is alive, its round-trip time, and its cookie.
func (x *exchange) recordReply(rtt time.Duration) {
	now, addr := x.r.settings.Now(), x.to.addr
	if x.network == "udp" || x.streamOnly() {
		x.cut.source.infra.Answered(now, addr, rtt)
	} else {
		x.cut.source.infra.Alive(addr)
	}
	if x.accepted != nil && x.edns == ednsCookie {
		x.learnCookie(now)
	}
}

// learnCookie updates the server's cookie. That it needs none any more is believed over TCP
// only, where replies are not forged.
func (x *exchange) learnCookie(now time.Time) {
	cookie := x.cookieOfReply()
	switch {
	case len(cookie) > clientCookieLen && bytes.Equal(cookie[:clientCookieLen], x.features.Cookie[:clientCookieLen]):
		x.cut.source.infra.SetCookie(now, x.to.addr, cookie[clientCookieLen:])
	case len(cookie) == 0 && x.network == "tcp":
		x.cut.source.infra.SetCookie(now, x.to.addr, nil)
	}
}

// cookieOfReply returns the cookie option of the reply; nil if it has none.
func (x *exchange) cookieOfReply() []byte {
	if x.accepted.EDNS == nil {
		return nil
	}
	return x.accepted.EDNS.Cookie
}

// learnForm remembers about the form that brought a good reply what will spare queries: what
// the server accepts, and, once that is confirmed, what it does not.
func (x *exchange) learnForm() {
	table, now, addr := x.cut.source.infra, x.r.settings.Now(), x.to.addr
	hasEDNS, mixed := x.edns != ednsNone && x.accepted.EDNS != nil, x.case0x20 && x.network == "udp"
	full := x.edns == ednsCookie && (mixed || x.r.settings.DisableCaseRandomisation)
	if hasEDNS && !x.features.EDNS || full && !x.features.Full || x.features.Doubted {
		table.Took(now, addr, hasEDNS, x.edns == ednsCookie, mixed, full)
	}
	refusals := x.faults[faultRefused]
	switch {
	case x.to.plain && x.to.answeredError: // the error did not say what it was about
		table.RefusedOption(now, addr)
		table.LostCase(now, addr)
	case refusals > 0 && x.edns == ednsNone && x.features.EDNS: // so it was about the letter case
		table.LostCase(now, addr)
	case refusals > 0 && x.edns == ednsNone:
		table.RefusedEDNS(now, addr, refusals > 1 || x.network == "tcp")
	case refusals > 0:
		table.RefusedOption(now, addr)
	}
}
