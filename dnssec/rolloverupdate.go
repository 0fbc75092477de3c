package dnssec

import (
	"slices"
	"time"

	"github.com/miekg/dns"
)

// rolloverUpdate is one step of the state machine of RFC 5011 §4.1.
type rolloverUpdate struct {
	e   *Evidence
	set *RRset
	now time.Time
	ks  *KeySet // the keys of set

	valid   bool // set is Secure
	revoked bool // a key was found to be revoked
}

func (u *rolloverUpdate) apply(r Rollover) (Rollover, error) {
	known, err := r.parse()
	if err != nil {
		return r, err
	}
	out := Rollover{Zone: r.Zone, Next: r.Next}
	taken := make(map[*zoneKey]bool)
	for i, anchor := range known {
		key := u.find(anchor)
		taken[key] = true
		next, err := u.step(r.Keys[i], key)
		if err != nil {
			return r, err
		}
		if next != nil {
			out.add(*next)
		}
	}
	for _, key := range u.ks.keys {
		if !u.valid || taken[key] || !u.isNew(key) {
			continue
		}
		if !out.makeRoom() {
			break
		}
		out.Keys = append(out.Keys, RolloverKey{
			Record: u.record(key), State: KeyAddPend, Since: u.now,
			HoldDown: u.now.Add(max(addHoldDown, time.Duration(u.originalTTL())*time.Second)),
		})
	}
	return out, nil
}

// isNew reports whether a key that is not known may be trusted later. One that nothing can be
// verified with never is: a zone trusted by such keys only would be Insecure.
func (u *rolloverUpdate) isNew(key *zoneKey) bool {
	if !key.IsSEP() || !key.usable() {
		return false
	}
	_, err := key.publicKey()
	return err == nil
}

// add adds a key that is known. Two DS of one key, with other digests, become the same key
// when it is seen: the later of their states counts, in the order of KeyState.
func (r *Rollover) add(k RolloverKey) {
	i := slices.IndexFunc(r.Keys, func(other RolloverKey) bool { return other.Record == k.Record })
	switch {
	case i < 0:
		r.Keys = append(r.Keys, k)
	case r.Keys[i].State < k.State:
		r.Keys[i] = k
	}
}

// makeRoom reports whether there is room for a new key. When there is none, the key that has
// been missing for the longest time is given up.
func (r *Rollover) makeRoom() bool {
	if len(r.Keys) < maxRolloverKeys {
		return true
	}
	oldest := r.longestMissing()
	if oldest < 0 {
		return false
	}
	r.Keys = slices.Delete(r.Keys, oldest, oldest+1)
	return true
}

// longestMissing returns the key that has been missing for the longest time; -1 for none.
func (r Rollover) longestMissing() int {
	oldest := -1
	for i, k := range r.Keys {
		if k.State == KeyMissing && (oldest < 0 || k.Since.Before(r.Keys[oldest].Since)) {
			oldest = i
		}
	}
	return oldest
}

// find returns the key of the set that a known record stands for, revoked or not.
func (u *rolloverUpdate) find(anchor Anchor) *zoneKey {
	for _, key := range u.ks.keys {
		if plain := unrevoked(key); plain.Tag == anchor.tag() && anchor.matches(u.ks.Zone, plain) {
			return key
		}
	}
	return nil
}

// unrevoked returns a key as it was before it was revoked.
func unrevoked(key *zoneKey) *zoneKey {
	if !key.IsRevoked() {
		return key
	}
	b := []byte(key.rdata)
	b[1] &^= flagRevoke
	plain, err := ParseKey(string(b))
	if err != nil {
		return key
	}
	return &zoneKey{Key: plain, rdata: string(b), algorithm: key.algorithm}
}

// step moves one known key; key is what the set has of it, nil if nothing. A nil
// result goes back to Start.
func (u *rolloverUpdate) step(k RolloverKey, key *zoneKey) (*RolloverKey, error) {
	revoked := false
	if key != nil && key.IsRevoked() {
		var err error
		if revoked, err = u.selfSigned(key); err != nil {
			return nil, err
		}
		if !revoked {
			return &k, nil // the flag was not written by an owner of the key
		}
		u.revoked = u.revoked || k.State < KeyRevoked
	}
	if !u.valid && !revoked {
		return &k, nil
	}
	if key != nil { // of a DS the key is known from now on
		k.Record = u.record(unrevoked(key))
	}
	enter := func(s KeyState, holdDown time.Duration) (*RolloverKey, error) {
		k.State, k.Since, k.HoldDown = s, u.now, time.Time{}
		if holdDown > 0 {
			k.HoldDown = u.now.Add(holdDown)
		}
		return &k, nil
	}
	switch k.State {
	case KeyAddPend:
		switch {
		case key == nil || revoked:
			return nil, nil
		case !u.now.Before(k.HoldDown):
			return enter(KeyValid, 0)
		}
	case KeyValid, KeyMissing:
		switch {
		case revoked:
			return enter(KeyRevoked, removeHoldDown)
		case key == nil && k.State == KeyValid && !isDSRecord(k.Record):
			return enter(KeyMissing, 0)
		case key != nil && k.State == KeyMissing:
			return enter(KeyValid, 0)
		}
	case KeyRevoked:
		if !u.now.Before(k.HoldDown) && key == nil {
			return enter(KeyRemoved, 0)
		}
	case KeyRemoved:
	}
	return &k, nil
}

// isDSRecord reports whether the key itself has not been seen yet, so that it can
// hardly be missing: IANA publishes the DS of a key long before the key.
func isDSRecord(record string) bool {
	rr, err := dns.NewRR(record)
	if err != nil {
		return false
	}
	_, ok := rr.(*dns.DS)
	return ok
}

// selfSigned reports whether the set is signed by key, which is revoked: only its
// owner can revoke a key (RFC 5011 §2.1).
func (u *rolloverUpdate) selfSigned(key *zoneKey) (bool, error) {
	signer := &zoneKey{Key: key.Key, rdata: key.rdata, algorithm: key.algorithm}
	signer.Flags &^= flagRevoke // for this one purpose it may be used
	_, reason, err := u.e.verify(u.set, u.ks.Zone, func(tag uint16, algorithm uint8) []*zoneKey {
		if tag == signer.Tag && algorithm == signer.Algorithm {
			return []*zoneKey{signer}
		}
		return nil
	})
	return reason.Code == ReasonNone && err == nil, err
}

// record returns a key in zone-file syntax.
func (u *rolloverUpdate) record(key *zoneKey) string {
	return Anchor{zone: u.ks.Zone, rdata: key.rdata, key: key.Key}.String()
}

func (u *rolloverUpdate) originalTTL() uint32 {
	ttl, _ := timing(u.set, u.now)
	return ttl
}

// timing returns the original TTL in seconds and for how long the signatures are
// still good.
func timing(set *RRset, now time.Time) (originalTTL uint32, validity time.Duration) {
	originalTTL = set.TTL
	for rdata := range set.Signatures.All() {
		if sig, err := ParseSignature(rdata); err == nil && sig.TypeCovered == dns.TypeDNSKEY {
			originalTTL = sig.OriginalTTL
			validity = max(validity, time.Duration(sig.left(uint32(now.Unix())))*time.Second)
		}
	}
	return originalTTL, validity
}

// refreshInterval and retryInterval are RFC 5011 §2.3.
func refreshInterval(set *RRset, now time.Time) time.Duration {
	ttl, validity := timing(set, now)
	return max(time.Hour, min(15*24*time.Hour, time.Duration(ttl)*time.Second/2, validity/2))
}

func retryInterval(set *RRset, now time.Time) time.Duration {
	ttl, validity := timing(set, now)
	return max(time.Hour, min(24*time.Hour, time.Duration(ttl)*time.Second/10, validity/10))
}
