package infra

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

const (
	// featureFor is how long a missing feature (EDNS, EDNS options, letter case) is
	// remembered: long enough to save the extra queries, short enough that a server that
	// was repaired, or forged signs, do not matter for long.
	featureFor = 15 * time.Minute
	// signFor is within which time a second sign that a feature is missing confirms the
	// first one. It is longer than featureFor, so that one sign is enough to renew a lack
	// that was known until a moment ago.
	signFor = 2 * featureFor
	// cookieFor is how long replies of a server must have its cookie after one had it.
	// Servers accept their own cookies for an hour (RFC 9018 §4.3).
	cookieFor = time.Hour
	// clientCookieLen is the length of a client cookie. RFC 7873 §4.1.
	clientCookieLen = 8
)

// features is what the replies of a server have shown of the queries that it understands.
type features struct {
	edns     bool // it has answered a query with EDNS by a reply with EDNS
	noEDNS   lack
	noOption lack
	noCase   lack

	client   [clientCookieLen]byte // never changed
	fullTill time.Time             // until when its reply to a full query counts, see Took

	cookie     []byte    // the client's part and the server's, never changed; nil: none seen
	cookieTill time.Time // until when it is required
}

// lack is a feature that a server lacks. One sign of it may be forged, or may mean
// something else; a second one confirms it.
type lack struct {
	sign  time.Time // the last one; zero: none
	until time.Time // until when it is believed
}

func (l *lack) believed(now time.Time) bool { return ahead(now, l.until, featureFor) }

func (l *lack) suspected(now time.Time) bool { return recent(now, l.sign, signFor) }

// show records a sign; confirmed says that it needs no second one.
func (l *lack) show(now time.Time, confirmed bool) {
	if confirmed || l.suspected(now) {
		l.until = now.Add(featureFor)
	}
	l.sign = now
}

// Features is what a server understands, as far as its replies have shown.
type Features struct {
	EDNS     bool // it has answered with EDNS before
	NoEDNS   bool // it does not know EDNS
	NoOption bool // it refuses queries with an EDNS option
	NoCase   bool // it refuses, or does not echo, mixed letter case
	// Folds is set when it has changed the letter case of a question not long ago,
	// whether or not NoCase is.
	Folds bool
	// Doubted is set when there is a sign that a feature is missing; a reply to a query
	// that uses the feature would refute it.
	Doubted bool
	// Full is set when it has answered a query with an EDNS option and mixed case not
	// long ago: it understands them.
	Full bool
	// Cookie is the cookie option to send: the client's part and, if known, the server's. Its
	// bytes are shared and not to be changed.
	Cookie []byte
	// Cookies is set when the server has sent a good cookie before: a reply without
	// one is then not accepted (RFC 7873 §5.3).
	Cookies bool
}

// Features returns what is known of addr.
func (t *Table) Features(now time.Time, addr netip.AddrPort) Features {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	return known.features.at(now)
}

// at returns them as they are believed at a time.
func (f *features) at(now time.Time) Features {
	known := Features{
		EDNS:    f.edns,
		Doubted: f.noEDNS != lack{} || f.noOption != lack{} || f.noCase != lack{},
		Full:    ahead(now, f.fullTill, featureFor),
		Cookie:  f.client[:clientCookieLen:clientCookieLen],
		Cookies: f.cookie != nil && ahead(now, f.cookieTill, cookieFor),
	}
	if known.Cookies {
		known.Cookie = f.cookie
	}
	if known.Doubted {
		known.NoEDNS, known.NoOption = f.noEDNS.believed(now), f.noOption.believed(now)
		known.NoCase, known.Folds = f.noCase.believed(now), f.noCase.suspected(now)
	}
	return known
}

// RefusedEDNS records that addr answered a query without EDNS that it had refused with
// EDNS; confirmed says that it refused more than one query, or over TCP. It does nothing
// for a server that has answered with EDNS before.
func (t *Table) RefusedEDNS(now time.Time, addr netip.AddrPort, confirmed bool) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	if !known.features.edns {
		known.features.noEDNS.show(now, confirmed)
	}
}

// RefusedOption records that addr answered a query without EDNS option that it had
// refused with one.
func (t *Table) RefusedOption(now time.Time, addr netip.AddrPort) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	known.features.noOption.show(now, false)
}

// LostCase records that addr changed the letter case of a question, or answered a query in
// lower case that it had refused in mixed case.
func (t *Table) LostCase(now time.Time, addr netip.AddrPort) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	known.features.noCase.show(now, false)
}

// Took records a good reply of addr to a query with these features, which are not missing
// then. A full query is one with all features that this resolver uses.
func (t *Table) Took(now time.Time, addr netip.AddrPort, edns, option, mixedCase, full bool) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	f := &known.features
	if edns {
		f.edns, f.noEDNS = true, lack{}
	}
	if option {
		f.noOption = lack{}
	}
	if mixedCase {
		f.noCase = lack{}
	}
	if full {
		f.fullTill = now.Add(featureFor)
	}
}

// ForgetNoEDNS has addr queried with EDNS again.
func (t *Table) ForgetNoEDNS(addr netip.AddrPort) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	known.features.noEDNS = lack{}
}

// SetCookie remembers the server's part of the cookie, which its replies must have for
// cookieFor from now on; nil forgets it.
func (t *Table) SetCookie(now time.Time, addr netip.AddrPort, cookie []byte) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	f := &known.features
	switch {
	case cookie == nil:
		f.cookie = nil
	case f.cookie == nil || !bytes.Equal(f.cookie[clientCookieLen:], cookie):
		f.cookie = slices.Concat(f.client[:], cookie)
	}
	f.cookieTill = now.Add(cookieFor)
}
