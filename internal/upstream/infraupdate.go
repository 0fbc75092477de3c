package upstream

import (
	"bytes"
	"errors"
	"syscall"
	"time"

	"github.com/iterdns/iterdns/internal/wire"
)

// lateLoss is called when another server answered first, or the question needs the reply no
// more. It records a loss if the reply was overdue by then. When the question was shed it
// records nothing: slow questions are shed, whatever the server.
func (x *exchange) lateLoss() {
	addr := x.to.Addr
	if x.isShed() {
		return
	}
	if (x.network == "udp" || x.streamOnly()) && time.Since(x.sent) >= x.to.Estimate.Late {
		x.Cut.Source.Infra.TimedOut(x.r.Settings.Now(), addr, x.to.Estimate.Replies)
	}
}

// noteFault marks a server down that could not be asked over TLS, as it has to be, so that not every
// question pays for a handshake. That this host has no route says nothing about the server, and one that
// has answered others meanwhile fails because of the question.
func (x *exchange) noteFault(err error) {
	if !x.to.MustBeTLS() || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
		return
	}
	now := x.r.Settings.Now()
	if x.Cut.Source.Infra.Estimate(now, x.to.Addr).Replies != x.to.Estimate.Replies {
		return
	}
	x.to.Forwarder.NoteFault(now, x.sent, err)
	x.to.FaultNoted = true
}

// recordReply remembers that the server is alive, its round-trip time, and its cookie.
func (x *exchange) recordReply(rtt time.Duration) {
	now, addr := x.r.Settings.Now(), x.to.Addr
	if x.to.MustBeTLS() {
		x.to.Forwarder.NoteReply()
	}
	if x.network == "udp" || x.streamOnly() {
		x.Cut.Source.Infra.Answered(now, addr, rtt)
	} else {
		x.Cut.Source.Infra.Alive(addr)
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
		x.Cut.Source.Infra.SetCookie(now, x.to.Addr, cookie[clientCookieLen:])
	case len(cookie) == 0 && x.network == "tcp":
		x.Cut.Source.Infra.SetCookie(now, x.to.Addr, nil)
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
	table, now, addr := x.Cut.Source.Infra, x.r.Settings.Now(), x.to.Addr
	hasEDNS := x.edns != ednsNone && x.accepted.EDNS != nil
	// A name of few letters may be all in lower case by chance, which says nothing of the server.
	mixed := x.case0x20 && x.network == "udp" && hasCapital(wire.QuestionName(x.query))
	full := x.edns == ednsCookie && (mixed || x.r.Settings.DisableCaseRandomisation)
	if hasEDNS && !x.features.EDNS || full && !x.features.Full || x.features.Doubted {
		table.Took(now, addr, hasEDNS, x.edns == ednsCookie, mixed, full)
	}
	refusals := x.faults[faultRefused]
	switch {
	case x.to.Plain && x.to.AnsweredError: // the error did not say what it was about
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
