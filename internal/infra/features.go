package infra

import (
	"bytes"
	"net/netip"
	"time"
)

const (
	// featureFor is how long a missing feature (EDNS, EDNS options, letter case) is
	// remembered: long enough to save the extra queries, short enough that a server that
	// was mended, or an attacker who forged the signs, does not matter for long.
	featureFor = 15 * time.Minute
	// signFor is within which time a second sign that a feature is missing confirms the
	// first one. It is longer than featureFor, so that one sign is enough to renew what
	// was known until a moment ago.
	signFor = 2 * featureFor
	// cookieFor is how long a server is expected to show its cookie after it has done so.
	// Servers take their own cookies for an hour (RFC 9018 §4.3).
	cookieFor = time.Hour
	// clientCookieLen is the length of a client cookie. RFC 7873 §4.1.
	clientCookieLen = 8
)

// features is what replies have taught of how a server can be asked.
type features struct {
	edns     bool // it has answered a query with EDNS by a reply with EDNS
	noEDNS   lack
	noOption lack
	noCase   lack

	client   [clientCookieLen]byte
	fullTill time.Time // until when it counts that it took all that a query can have

	cookie     []byte    // the server's part; nil: none seen
	cookieTill time.Time // until when it is good
}

// lack is that a server cannot do something. One sign of it may be forged, or may mean
// something else; a second one confirms it.
type lack struct {
	sign  time.Time // the last one; zero: none
	until time.Time // until when it is believed
}

func (l *lack) believed(now time.Time) bool { return ahead(now, l.until, featureFor) }

func (l *lack) suspected(now time.Time) bool { return ahead(now, l.sign.Add(signFor), signFor) }

// show takes in a sign. It may be confirmed by what came with it.
func (l *lack) show(now time.Time, confirmed bool) {
	if confirmed || l.suspected(now) {
		l.until = now.Add(featureFor)
	}
	l.sign = now
}

// Features is what a server can take, as far as its replies have shown.
type Features struct {
	EDNS     bool // it has answered with EDNS before
	NoEDNS   bool // it does not know EDNS
	NoOption bool // it does not take a query with an EDNS option
	NoCase   bool // it does not take, or does not echo, the letter case of questions
	// Folds is set when it has changed the letter case of a question not long ago,
	// whether or not NoCase is.
	Folds bool
	// Doubted is set when there is a sign that something is missing, which a reply to a
	// query with it would refute.
	Doubted bool
	// Full is set when it has answered a query with an EDNS option and mixed letters not
	// long ago: it does not mind them.
	Full   bool
	Cookie []byte // the cookie option to send: the client's part and, if known, the server's
	// Cookies is set when the server has sent a good cookie before: a reply without
	// one is then not to be believed (RFC 7873 §5.3).
	Cookies bool
}

// Features returns what is known of addr.
func (t *Table) Features(now time.Time, addr netip.AddrPort) Features {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.get(addr).features
	cookies := s.cookie != nil && ahead(now, s.cookieTill, cookieFor)
	cookie := make([]byte, 0, clientCookieLen+len(s.cookie))
	cookie = append(cookie, s.client[:]...)
	if cookies {
		cookie = append(cookie, s.cookie...)
	}
	return Features{
		EDNS:     s.edns,
		NoEDNS:   s.noEDNS.believed(now),
		NoOption: s.noOption.believed(now),
		NoCase:   s.noCase.believed(now),
		Folds:    s.noCase.suspected(now),
		Doubted:  s.noEDNS != lack{} || s.noOption != lack{} || s.noCase != lack{},
		Full:     ahead(now, s.fullTill, featureFor),
		Cookie:   cookie,
		Cookies:  cookies,
	}
}

// RefusedEDNS records that addr answered without EDNS what it refused with EDNS;
// confirmed, that it refused more than one query, or over TCP. A server that has shown
// EDNS is not believed to have none.
func (t *Table) RefusedEDNS(now time.Time, addr netip.AddrPort, confirmed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := &t.get(addr).features; !s.edns {
		s.noEDNS.show(now, confirmed)
	}
}

// RefusedOption records that addr answered with no EDNS option in the query what it
// refused with one.
func (t *Table) RefusedOption(now time.Time, addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.get(addr).features.noOption.show(now, false)
}

// LostCase records that addr changed the letter case of a question, or answered in lower
// case what it refused in mixed case.
func (t *Table) LostCase(now time.Time, addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.get(addr).features.noCase.show(now, false)
}

// Took records a good reply of addr to a query that had these features: what was thought
// to be missing is not. A full query is one that had all that this resolver uses.
func (t *Table) Took(now time.Time, addr netip.AddrPort, edns, option, mixedCase, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.get(addr).features
	if edns {
		s.edns, s.noEDNS = true, lack{}
	}
	if option {
		s.noOption = lack{}
	}
	if mixedCase {
		s.noCase = lack{}
	}
	if full {
		s.fullTill = now.Add(featureFor)
	}
}

// ForgetNoEDNS makes addr one that is asked with EDNS again.
func (t *Table) ForgetNoEDNS(addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.get(addr).features.noEDNS = lack{}
}

// SetCookie remembers the server's part of the cookie, which is good from now on for
// cookieFor; nil forgets it.
func (t *Table) SetCookie(now time.Time, addr netip.AddrPort, cookie []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.get(addr).features
	if !bytes.Equal(s.cookie, cookie) || cookie == nil {
		s.cookie = bytes.Clone(cookie)
	}
	s.cookieTill = now.Add(cookieFor)
}
