package anchorkeeper

import (
	"context"
	"errors"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/rescue"
)

const (
	// lookInterval is the shortest time between two looks at what validation has seen: anyone can send
	// keys with the REVOKE flag, and each look checks signatures.
	lookInterval = time.Minute
	// maxSeen is how many DNSKEY RRsets of a zone wait for a look. The newest do, so that somebody who
	// sends many has to send them at the right moment too.
	maxSeen = 4
)

// Saw is told of each DNSKEY RRset that validation receives, of any zone, validated or not. One that may
// revoke a key is looked at soon, without waiting for the next query of the keeper: its own signature
// revokes a key, whichever server sends it (RFC 5011 §2.1). It returns at once, and may be called concurrently.
func (k *Keeper) Saw(set *dnssec.RRset) {
	if !revokesSomething(set) {
		return
	}
	zone := set.Owner.String()
	k.mu.Lock()
	defer k.mu.Unlock()
	if find(k.states, zone) < 0 || sameSet(k.looked[zone], set) {
		return
	}
	waiting := k.seen[zone]
	for _, other := range waiting {
		if sameSet(other, set) {
			return
		}
	}
	if len(waiting) == maxSeen {
		waiting = waiting[1:]
	}
	if len(k.seen) == 0 { // else it knows that there is something
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	k.seen[zone] = append(waiting, set)
}

func revokesSomething(set *dnssec.RRset) bool {
	for rdata := range set.Records.All() {
		if key, err := dnssec.ParseKey(rdata); err == nil && key.IsRevoked() {
			return true
		}
	}
	return false
}

// sameSet reports whether two DNSKEY RRsets of a zone have the same keys and signatures.
func sameSet(a, b *dnssec.RRset) bool {
	return a != nil && a.Records == b.Records && a.Signatures == b.Signatures
}

// untilLook returns how long it is until what validation has seen may be looked at, and whether there is
// anything.
func (k *Keeper) untilLook() (time.Duration, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(0, time.Until(k.lastLook.Add(lookInterval))), len(k.seen) > 0
}

// look takes in the revocations of what validation has seen.
func (k *Keeper) look(ctx context.Context) {
	if wait, some := k.untilLook(); !some || wait > 0 {
		return
	}
	k.mu.Lock()
	seen := k.seen
	k.seen = make(map[string][]*dnssec.RRset)
	k.lastLook = time.Now()
	k.mu.Unlock()
	changed := false
	for zone, sets := range seen {
		for _, set := range sets {
			changed = k.takeRevocations(zone, set) || changed
		}
	}
	if changed {
		k.synchronise(ctx)
	}
}

// takeRevocations marks the keys as revoked that a DNSKEY RRset revokes, and reports whether there is one.
// Nothing else of the set counts: it may be older than what the keeper has asked for.
func (k *Keeper) takeRevocations(zone string, set *dnssec.RRset) bool {
	defer rescue.Quietly()
	r, ok := k.state(zone)
	if !ok {
		return false
	}
	updated, _, err := r.UpdateWith(k.o.Validator, set, k.o.Now())
	if err != nil && !errors.Is(err, dnssec.ErrNoAnchorLeft) {
		return false
	}
	k.noteLooked(set)
	kept, err := r.KeepRevoked(updated)
	if err != nil || sameKeys(kept, r) {
		return false
	}
	k.setState(kept)
	return true
}

// noteLooked remembers a DNSKEY RRset that was looked at without an error.
func (k *Keeper) noteLooked(set *dnssec.RRset) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked[set.Owner.String()] = set
}
