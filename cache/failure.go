package cache

import (
	"encoding/binary"
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

const (
	// firstFailure is how long the first failure of a question is remembered, and
	// maxFailure the longest that repeated ones are. RFC 9520 §3.2 asks for 1 s to 5
	// minutes, growing from 5 s by a factor of two.
	firstFailure = 5 * time.Second
	maxFailure   = 300 * time.Second
	// failureMemory is how long after its end a failure still makes the next one
	// longer: the wait should grow as well where the question is asked rarely.
	failureMemory = maxFailure
	// maxFailureText bounds the extra text, part of which may come from outside.
	maxFailureText = 200
)

// Failure is a question that could not be resolved. RFC 9520.
type Failure struct {
	// Cause is an Extended DNS Error code (RFC 8914), Text what goes with it.
	Cause uint16
	Text  string
	// Until is when the question may be tried again.
	Until time.Time
	// Count is how many times it failed in a row.
	Count int

	origin string // as FailureOrigin.packed makes it; "": not known
}

// GetFailure reports whether name and type failed so recently that they must not be
// tried again at now. Each class of trust has failures of its own: bogus data of one may
// be good enough for the other.
func (v *View) GetFailure(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) (Failure, bool) {
	return v.failureAt(now, v.cache.at(now), v.spot(name), Question{Name: name, Type: rrtype, Trust: trust})
}

func (v *View) failureAt(now time.Time, i instant, s spot, q Question) (Failure, bool) {
	k := key{name: q.Name, rrtype: q.Type, kind: KindFailure, trust: q.Trust}
	e, _, ok := v.entryAt(s, k, true)
	if !ok {
		return Failure{}, false
	}
	f := e.failure(now, i)
	if !f.Until.After(now) {
		return Failure{}, false
	}
	v.count(k, hitFailure)
	return f, true
}

// PutFailure remembers that name and type failed at now: for 5 s, and twice as long
// each time it keeps failing, up to 300 s. A second report of a failure whose time has
// not passed changes nothing, since it was not tried again.
func (v *View) PutFailure(now time.Time, name dnssec.Name, rrtype uint16, trust Trust, cause uint16, text string) Failure {
	return v.putFailure(now, name, rrtype, trust, Failure{Cause: cause, Text: text})
}

func (v *View) putFailure(now time.Time, name dnssec.Name, rrtype uint16, trust Trust, next Failure) Failure {
	i := v.cache.at(now)
	k := key{name: name, view: v.id, rrtype: rrtype, kind: KindFailure, trust: trust}
	next.Text, next.Count = next.Text[:min(len(next.Text), maxFailureText)], 1
	wait, s := firstFailure, v.spot(name)
	if e, _, ok := v.entryAt(s, k, true); ok {
		if last := e.failure(now, i); last.Until.After(now) {
			return last
		} else if e.span().left(i) > 0 {
			next.Count = last.Count + 1
			wait = failureWait(next.Count)
		}
	}
	next.Until = now.Add(wait)
	b := appendHead(nil, head{k, standing{}, spanOf(i, wait+failureMemory), 0})
	b = binary.BigEndian.AppendUint16(b, next.Cause)
	b = append(b, byte(min(next.Count, 255)), byte(len(next.Text)))
	b = append(append(b, next.Text...), next.origin...)
	v.place(i, s, k, entry(b))
	return next
}

// ClearFailure forgets that name and type failed, because they did not now. Put and
// PutNegative do so by themselves.
func (v *View) ClearFailure(name dnssec.Name, rrtype uint16, trust Trust) {
	v.forget(v.spot(name), KindFailure, key{name: name, rrtype: rrtype, trust: trust})
}

// failureWait returns how long the count-th failure in a row is remembered.
func failureWait(count int) time.Duration {
	wait := firstFailure
	for ; count > 1 && wait < maxFailure; count-- {
		wait *= 2
	}
	return min(wait, maxFailure)
}

// failure reads what PutFailure wrote. The entry outlives the failure by
// failureMemory.
func (e entry) failure(now time.Time, i instant) Failure {
	body, left := e.body(), time.Duration(e.span().left(i))*time.Millisecond
	text := int(body[3]) // maxFailureText at most
	return Failure{
		Cause:  be16(body),
		Text:   body[4 : 4+text],
		Until:  now.Add(left - failureMemory),
		Count:  int(body[2]),
		origin: body[4+text:],
	}
}
