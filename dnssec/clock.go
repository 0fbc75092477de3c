package dnssec

import (
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// ErrClock is what every *ClockError is, for errors.Is.
var ErrClock = errors.New("this computer's clock seems wrong")

const (
	// minClockSlow is how far a signature of the root zone has to begin in the future before the
	// clock is blamed. Any such signature shows that the clock is slow, or the root signer's
	// clock is fast; the latter by hours at most, as when a clock has local time for UTC.
	minClockSlow = 24 * time.Hour
	// minClockFast is how long ago all signatures of the root zone's keys have to have expired
	// before the clock is blamed. The root's keys are signed for 21 days, anew after 10, so that no
	// server of it, which answers for 7 days without its primary (SOA EXPIRE), ever has expired
	// ones. Roots of private networks are signed late sometimes, as over a long weekend.
	minClockFast = 3 * 24 * time.Hour
)

// ClockError says that a response is Bogus most likely because the clock that signatures are
// checked by is wrong: the root zone's own keys, which trust anchors match and have signed, are
// signed for another time altogether, and so nothing below them can be Secure.
//
// A slow clock is certain, and AtLeast how far: nobody has signatures from the future. A fast one is
// only likely: somebody on the path may also be replaying old answers of the root zone.
type ClockError struct {
	// Clock is what the clock said.
	Clock time.Time
	// Signed and Expires are from when until when the root zone's keys are signed: the true time
	// lies between them if the answer is of today.
	Signed, Expires time.Time
	// KeyTag is the tag of the root zone's key that signed them.
	KeyTag uint16
}

// IsSlow reports whether the clock is behind the true time; else it is ahead.
func (e *ClockError) IsSlow() bool { return e.Clock.Before(e.Signed) }

// AtLeast is how far the clock is behind, or ahead of, the closest time at which the root zone's
// keys are signed.
func (e *ClockError) AtLeast() time.Duration {
	if e.IsSlow() {
		return e.Signed.Sub(e.Clock)
	}
	return e.Clock.Sub(e.Expires)
}

// AtMost is how far the clock is behind, or ahead of, the farthest time at which the root zone's keys
// are signed.
func (e *ClockError) AtMost() time.Duration {
	if e.IsSlow() {
		return e.Expires.Sub(e.Clock)
	}
	return e.Clock.Sub(e.Signed)
}

// Error says how far the clock is wrong at least, in years or days.
func (e *ClockError) Error() string {
	direction := "fast"
	if e.IsSlow() {
		direction = "slow"
	}
	return fmt.Sprintf("%v, at least %s %s", ErrClock, roughly(e.AtLeast()), direction)
}

// Is reports whether target is ErrClock.
func (e *ClockError) Is(target error) bool { return target == ErrClock }

// Reason returns the reason of a verdict that the clock is to blame for.
func (e *ClockError) Reason() Reason {
	r := Reason{Code: ReasonExpired, Name: dnsname.Root, Type: dns.TypeDNSKEY, KeyTag: e.KeyTag, Cause: e}
	if e.IsSlow() {
		r.Code = ReasonNotYetValid
	}
	return r
}

// roughly returns a duration of a day or more in words, rounded down.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	const year = 365*day + day/4
	n, unit := d/day, "day"
	if d >= 2*year {
		n, unit = d/year, "year"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// ClockError decides whether the clock is to blame for a Bogus verdict, by the chain that
// Verdict.Chain returns of it; nil: it is not, or nothing tells. known is a moment that is known to
// have passed, whatever the clock says, as another signature was made then; zero: none is known.
//
// The clock is to blame only if no signature over the root zone's keys is valid now, and the ones
// that an anchored key has made are from the future by more than a day, or have expired more than
// three days ago. It is not fast if anything in the chain was signed after these had expired, or
// known is after that: then the root zone's answer is old, and not the clock wrong.
func (e *Evidence) ClockError(chain []Link, known time.Time) *ClockError {
	for i := range chain {
		if set := chain[i].keysOf(dnsname.Root); set != nil {
			c := e.clockByKeys(set)
			switch {
			case c == nil, c.AtLeast() < minClockSlow:
				return nil
			case c.IsSlow():
				return c
			case c.AtLeast() < minClockFast, known.After(c.Expires), signedAfter(chain, c.Expires):
				return nil
			}
			return c
		}
	}
	return nil
}

// keysOf returns the DNSKEY RRset of the zone that the link is about; nil if it is about something
// else.
func (l *Link) keysOf(zone dnsname.Name) *RRset {
	if l.Name != zone || l.Type != dns.TypeDNSKEY {
		return nil
	}
	for _, set := range l.Answer {
		if set.Owner == zone && set.Type == dns.TypeDNSKEY {
			return set
		}
	}
	return nil
}

// clockByKeys compares the clock with the signatures over a zone's keys by those that anchors match,
// whenever the anchors are valid. It returns nil if there is none, or one is valid now.
func (e *Evidence) clockByKeys(set *RRset) *ClockError {
	var trusted []trustedKey
	for _, a := range e.v.anchors[set.Owner] {
		trusted = append(trusted, a)
	}
	entries, _, err := e.entryKeys(newKeySet(set, e.v.algorithms), trusted)
	if err != nil {
		return nil
	}
	var c *ClockError
	e.message.begin(set)
	tried := 0
	for rdata := range set.Signatures.All() {
		sig, err := ParseSignature(rdata)
		if err != nil || sig.Signer != set.Owner || e.fits(set, &sig) != ReasonNone {
			continue
		}
		keys := withTag(entries, sig.KeyTag, sig.Algorithm)
		if tried++; len(keys) == 0 || tried > e.work.limits.SignaturesPerRRset {
			continue
		}
		if code, err := e.tryKeys(keys, &sig); err != nil || code != ReasonNone {
			continue
		}
		signed, expires := e.moment(sig.Inception), e.moment(sig.Expiration)
		switch {
		case !e.at.Before(signed) && !e.at.After(expires):
			return nil
		case c == nil:
			c = &ClockError{Clock: e.at, Signed: signed, Expires: expires, KeyTag: sig.KeyTag}
		default:
			c.Signed, c.Expires = latest(c.Signed, signed), latest(c.Expires, expires)
		}
	}
	return c
}

// withTag returns those of some keys that have a tag and an algorithm.
func withTag(keys []*zoneKey, tag uint16, algorithm uint8) []*zoneKey {
	var found []*zoneKey
	for _, key := range keys {
		if key.Tag == tag && key.Algorithm == algorithm {
			found = append(found, key)
		}
	}
	return found
}

// moment returns the time of a signature's field (RFC 4034 §3.1.5) that is closest to the clock, but
// not before 1970, where these seconds begin: a clock that starts there is slow, however late the
// signature is.
func (e *Evidence) moment(seconds uint32) time.Time { return momentNear(seconds, e.at) }

func momentNear(seconds uint32, clock time.Time) time.Time {
	now := clock.Unix()
	at := now + int64(int32(seconds-uint32(now)))
	if at < 0 {
		at += 1 << 32
	}
	return time.Unix(at, 0).UTC()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// signedAfter reports whether a signature in the chain, checked or not, claims to have been made
// later than that. No clock can make that so: signers have their own.
func signedAfter(chain []Link, moment time.Time) bool {
	for i := range chain {
		for _, sets := range [...][]*RRset{chain[i].Answer, chain[i].Authority} {
			for _, set := range sets {
				for rdata := range set.Signatures.All() {
					if sig, err := ParseSignature(rdata); err == nil && momentNear(sig.Inception, moment).After(moment) {
						return true
					}
				}
			}
		}
	}
	return false
}

// SignedAt returns when the newest signature that was found good was made, by its inception: a
// moment that has passed, whatever the clock says. It is the zero time if none was found good.
func (e *Evidence) SignedAt() time.Time { return e.newest }
