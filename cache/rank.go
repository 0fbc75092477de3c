package cache

import (
	"github.com/iterdns/iterdns/dnssec"
)

// Rank says how trustworthy data is by the section of the reply it was in (RFC 2181 §5.4.1), in
// ascending order.
type Rank uint8

const (
	// RankGlue: from an additional section. Never an answer.
	RankGlue Rank = iota
	// RankReferral: the NS records of a referral. Never an answer.
	RankReferral
	// RankNonAuthoritative: the answer of a reply without AA, as forwarders send it.
	RankNonAuthoritative
	// RankAuthority: the authority section of an authoritative reply.
	RankAuthority
	// RankAnswer: the answer section of an authoritative reply.
	RankAnswer
	// RankLocal: from a zone held locally, by transfer or configuration.
	RankLocal
)

// String returns a short name of the rank.
func (r Rank) String() string {
	switch r {
	case RankGlue:
		return "glue"
	case RankReferral:
		return "referral"
	case RankNonAuthoritative:
		return "non-authoritative"
	case RankAuthority:
		return "authority"
	case RankAnswer:
		return "answer"
	case RankLocal:
		return "local"
	}
	return "unknown"
}

// standing decides which of two sets of one key is kept.
type standing struct {
	rank   Rank
	status dnssec.Status
}

// mayReplace reports whether new data may take the place of old data that is still
// alive.
//
// Lower rank never replaces higher (RFC 2181 §5.4.1); equal rank does, since the
// newer reply says what is true now. Indeterminate data never replaces Secure data,
// whatever its rank: a signature chain is better evidence than a place in a message,
// and an attacker can produce data about which nothing is known. Insecure data of
// equal rank does replace it, because that is a verdict too: there is proof from
// the anchor down that the zone is no longer signed. Between Insecure and
// Indeterminate only rank counts.
func mayReplace(old, new standing) bool {
	if new.rank < old.rank {
		return false
	}
	if old.status != dnssec.Secure {
		return true
	}
	switch new.status {
	case dnssec.Secure, dnssec.Insecure:
		return true
	case dnssec.Indeterminate, dnssec.Bogus:
		return false
	}
	return false
}
