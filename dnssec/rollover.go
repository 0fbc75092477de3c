package dnssec

import (
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// addHoldDown is how long a new key has to be seen before it is trusted: time for
	// the owner of a stolen key to notice and revoke. RFC 5011 §2.4.1.
	addHoldDown = 30 * 24 * time.Hour
	// removeHoldDown is how long a revoked key is remembered. RFC 5011 §2.4.2.
	removeHoldDown = 30 * 24 * time.Hour
)

// KeyState is the state of a key in RFC 5011 §4. The state Start, in which nothing is
// known of a key, is not kept.
type KeyState uint8

const (
	// KeyAddPend: seen, not yet for the hold-down time. It is the zero value.
	KeyAddPend KeyState = iota
	// KeyValid: trusted.
	KeyValid
	// KeyMissing: trusted, but no longer in the DNSKEY RRset.
	KeyMissing
	// KeyRevoked: its owner has revoked it.
	KeyRevoked
	// KeyRemoved: revoked and gone; it will not be trusted again.
	KeyRemoved
)

// String gives the name of RFC 5011 §4.2.
func (s KeyState) String() string {
	switch s {
	case KeyAddPend:
		return "AddPend"
	case KeyValid:
		return "Valid"
	case KeyMissing:
		return "Missing"
	case KeyRevoked:
		return "Revoked"
	case KeyRemoved:
		return "Removed"
	}
	return "unknown"
}

// MarshalText gives String.
func (s KeyState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ErrRollover says that a stored Rollover cannot be used.
var ErrRollover = errors.New("unusable state of trust anchors")

// UnmarshalText reads what MarshalText gave.
func (s *KeyState) UnmarshalText(text []byte) error {
	for state := KeyAddPend; state <= KeyRemoved; state++ {
		if state.String() == string(text) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("%w: key state %q", ErrRollover, text)
}

// Rollover is what RFC 5011 keeps of the trust anchors of one zone, as a value: the
// caller stores it (encoding/json will do) and restores it. Nothing in it is secret,
// but who can write it decides what is trusted.
type Rollover struct {
	Zone string        `json:"zone"`
	Keys []RolloverKey `json:"keys"`
}

// RolloverKey is one key of a Rollover.
type RolloverKey struct {
	// Record is a DNSKEY without the REVOKE flag, or a DS whose key has not been
	// seen yet, in zone-file syntax.
	Record string   `json:"record"`
	State  KeyState `json:"state"`
	// Since is when it came into the state.
	Since time.Time `json:"since"`
	// HoldDown ends AddPend and Revoked; zero in other states.
	HoldDown time.Time `json:"holdDown,omitzero"`
}

// NewRollover starts from anchors of one zone, all of them Valid.
func NewRollover(anchors []Anchor, now time.Time) (Rollover, error) {
	var r Rollover
	for _, a := range anchors {
		if r.Zone == "" {
			r.Zone = a.Zone()
		}
		if a.Zone() == "" || a.Zone() != r.Zone {
			return Rollover{}, fmt.Errorf("%w: anchors of %q and %q", ErrRollover, r.Zone, a.Zone())
		}
		r.Keys = append(r.Keys, RolloverKey{Record: a.String(), State: KeyValid, Since: now})
	}
	if len(r.Keys) == 0 {
		return Rollover{}, fmt.Errorf("%w: no anchors", ErrRollover)
	}
	return r, nil
}

// Anchors gives the keys that are trusted: Valid and Missing ones. When there is none
// left the zone is to be treated as if it had never been configured (RFC 5011 §5).
func (r Rollover) Anchors() ([]Anchor, error) {
	keys, err := r.parse()
	if err != nil {
		return nil, err
	}
	anchors := []Anchor{}
	for i, k := range keys {
		switch r.Keys[i].State {
		case KeyValid, KeyMissing:
			anchors = append(anchors, k)
		case KeyAddPend, KeyRevoked, KeyRemoved:
		}
	}
	return anchors, nil
}

// parse reads the records of all keys.
func (r Rollover) parse() ([]Anchor, error) {
	keys := make([]Anchor, len(r.Keys))
	for i, k := range r.Keys {
		rr, err := dns.NewRR(k.Record)
		if err != nil || rr == nil {
			return nil, fmt.Errorf("%w: record %q: %w", ErrRollover, k.Record, err)
		}
		if keys[i], err = NewAnchor(rr); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRollover, err)
		}
		if keys[i].Zone() != r.Zone {
			return nil, fmt.Errorf("%w: record %q is not of %s", ErrRollover, k.Record, r.Zone)
		}
	}
	return keys, nil
}

// Update takes in the zone's DNSKEY RRset as received at now, with its signatures,
// and gives the new state and when to ask again (RFC 5011 §2.3). Of a set that the
// trusted keys do not validate only revocations count, which sign for themselves;
// without any it is a *BogusError, or a *LimitError, and next is when to try again. r
// is left as it is.
func (r Rollover) Update(set *RRset, now time.Time) (updated Rollover, next time.Time, err error) {
	anchors, err := r.Anchors()
	if err != nil {
		return r, now.Add(time.Hour), err
	}
	v, err := New(Options{Anchors: anchors})
	if err != nil {
		return r, now.Add(time.Hour), err
	}
	e := v.Evidence(now, now, NewWork(Limits{}))
	zone, err := dnsname.Parse(r.Zone)
	if err != nil {
		return r, now.Add(time.Hour), fmt.Errorf("%w: %w", ErrRollover, err)
	}
	e.Add(&Response{Name: zone, Type: dns.TypeDNSKEY, Answer: []*RRset{set}})
	verdict, _, err := e.JudgeZone(zone) // nothing else can be needed for an anchored zone
	if err != nil {
		return r, now.Add(retryInterval(set, now)), err
	}
	u := rolloverUpdate{e: e, set: set, now: now, ks: verdict.Keys, valid: verdict.Status == Secure}
	if !u.valid {
		u.ks = newKeySet(set, v.algorithms)
	}
	if updated, err = u.apply(r); err != nil {
		return r, now.Add(retryInterval(set, now)), err
	}
	if !u.valid && !u.revoked {
		return r, now.Add(retryInterval(set, now)), &BogusError{verdict.Reason}
	}
	return updated, now.Add(refreshInterval(set, now)), nil
}

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
	out := Rollover{Zone: r.Zone}
	taken := make(map[*zoneKey]bool)
	for i, anchor := range known {
		key := u.find(anchor)
		taken[key] = true
		next, err := u.step(r.Keys[i], key)
		if err != nil {
			return r, err
		}
		if next != nil {
			out.Keys = append(out.Keys, *next)
		}
	}
	for _, key := range u.ks.keys {
		if !u.valid || taken[key] || !key.IsSEP() || !key.usable() {
			continue
		}
		out.Keys = append(out.Keys, RolloverKey{
			Record: u.record(key), State: KeyAddPend, Since: u.now,
			HoldDown: u.now.Add(max(addHoldDown, time.Duration(u.originalTTL())*time.Second)),
		})
	}
	return out, nil
}

// find gives the key of the set that a known record stands for, revoked or not.
func (u *rolloverUpdate) find(anchor Anchor) *zoneKey {
	for _, key := range u.ks.keys {
		if anchor.matches(u.ks.Zone, unrevoked(key)) {
			return key
		}
	}
	return nil
}

// unrevoked gives a key as it was before it was revoked.
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
			return &k, nil // whoever wrote that flag does not have the key
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

// record gives a key in zone-file syntax.
func (u *rolloverUpdate) record(key *zoneKey) string {
	return Anchor{zone: u.ks.Zone, rdata: key.rdata, key: key.Key}.String()
}

func (u *rolloverUpdate) originalTTL() uint32 {
	ttl, _ := timing(u.set, u.now)
	return ttl
}

// timing gives the original TTL in seconds and for how long the signatures are
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
