package dnssec

import (
	"errors"
	"fmt"
	"slices"
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

// String returns the name of RFC 5011 §4.2.
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

// MarshalText returns String.
func (s KeyState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ErrRollover says that a stored Rollover cannot be used.
var ErrRollover = errors.New("unusable state of trust anchors")

// UnmarshalText reads the text of MarshalText.
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
// but a program that can write it decides what is trusted.
type Rollover struct {
	Zone string        `json:"zone"`
	Keys []RolloverKey `json:"keys"`
	// Next is when to ask the zone for its keys again, as the caller of Update has noted it.
	// Update neither reads nor sets it. Zero: at once.
	Next time.Time `json:"next,omitzero"`
}

// maxRolloverKeys is how many keys of one zone are followed. The root zone has had three in
// sixteen years; a zone that changes its key every month and revokes the old one gets there
// in eight. It bounds what a zone can have stored that publishes keys by the hundred.
const maxRolloverKeys = 100

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
	switch n := len(r.Keys); {
	case n == 0:
		return Rollover{}, fmt.Errorf("%w: no anchors", ErrRollover)
	case n > maxRolloverKeys:
		return Rollover{}, tooManyKeys(n)
	}
	return r, nil
}

func tooManyKeys(n int) error {
	return fmt.Errorf("%w: %d keys, want at most %d", ErrRollover, n, maxRolloverKeys)
}

// ErrNoAnchorLeft says that no key of a Rollover is trusted any more: all that were have
// been revoked, while Update was not called for long enough to trust their successors. RFC 5011
// §5 has the zone treated as if it had never been configured, so that nothing in it is
// validated; a program that wants more starts a new Rollover from anchors that come by another
// way, as DefaultAnchors come with a new version of this package.
var ErrNoAnchorLeft = errors.New("no key is trusted any more: start anew from other trust anchors")

// Anchors returns the keys that are trusted: Valid ones, then Missing ones, those missing for
// the shortest time first, since a validator tries DefaultDSPerZone of them. It fails with
// ErrNoAnchorLeft when there is none, and with ErrRollover when r cannot be used.
func (r Rollover) Anchors() ([]Anchor, error) {
	anchors, err := r.trusted()
	if err == nil && len(anchors) == 0 {
		return nil, fmt.Errorf("%s: %w", r.Zone, ErrNoAnchorLeft)
	}
	return anchors, err
}

// trusted is Anchors where none is no error.
func (r Rollover) trusted() ([]Anchor, error) {
	keys, err := r.parse()
	if err != nil {
		return nil, err
	}
	anchors := []Anchor{}
	var missing []int // indexes of keys
	for i, k := range keys {
		switch r.Keys[i].State {
		case KeyValid:
			anchors = append(anchors, k)
		case KeyMissing:
			missing = append(missing, i)
		case KeyAddPend, KeyRevoked, KeyRemoved:
		}
	}
	slices.SortStableFunc(missing, func(a, b int) int { return r.Keys[b].Since.Compare(r.Keys[a].Since) })
	for _, i := range missing {
		anchors = append(anchors, keys[i])
	}
	return anchors, nil
}

// parse reads the records of all keys, and checks what Update relies on.
func (r Rollover) parse() ([]Anchor, error) {
	if len(r.Keys) == 0 {
		return nil, fmt.Errorf("%w: no keys", ErrRollover)
	}
	if n := len(r.Keys); n > maxRolloverKeys {
		return nil, tooManyKeys(n)
	}
	keys := make([]Anchor, len(r.Keys))
	for i, k := range r.Keys {
		anchor, err := k.parse()
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: key %d: %w", ErrRollover, i+1, err)
		case anchor.Zone() != r.Zone:
			return nil, fmt.Errorf("%w: key %d: record %q is not of %q", ErrRollover, i+1, k.Record, r.Zone)
		case slices.Contains(keys[:i], anchor):
			return nil, fmt.Errorf("%w: key %d: record %q is there twice", ErrRollover, i+1, k.Record)
		}
		keys[i] = anchor
	}
	return keys, nil
}

// parse reads the record of a key. A state that a time ends has to have that time: without
// it a key that is new would be trusted at once.
func (k RolloverKey) parse() (Anchor, error) {
	rr, err := dns.NewRR(k.Record)
	if err != nil {
		return Anchor{}, fmt.Errorf("record %q: %w", k.Record, err)
	}
	if rr == nil {
		return Anchor{}, fmt.Errorf("record %q is none", k.Record)
	}
	if needs := k.State == KeyAddPend || k.State == KeyRevoked; needs && k.HoldDown.IsZero() {
		return Anchor{}, fmt.Errorf("record %q is %s without holdDown", k.Record, k.State)
	}
	return NewAnchor(rr)
}

// Update takes in the zone's DNSKEY RRset as received at now, with its signatures,
// and returns the new state and when to ask again (RFC 5011 §2.3). Of a set that the
// trusted keys do not validate only revocations count, which sign for themselves;
// without any it is a *BogusError, or a *LimitError, and next is when to try again. r
// is left as it is. With ErrNoAnchorLeft the new state is to be kept too: the last trusted
// key has been revoked, now or before.
//
// Keys of algorithms that are not supported are not taken in: when only such keys are left,
// ErrNoAnchorLeft says so, while a zone trusted by them alone would be Insecure.
func (r Rollover) Update(set *RRset, now time.Time) (updated Rollover, next time.Time, err error) {
	return r.UpdateWith(Options{}, set, now)
}

// UpdateWith is Update with the algorithms and skews of o. Its anchors are not used.
func (r Rollover) UpdateWith(o Options, set *RRset, now time.Time) (updated Rollover, next time.Time, err error) {
	if o.Anchors, err = r.trusted(); err != nil {
		return r, now.Add(time.Hour), err
	}
	o.NegativeAnchors = nil
	v, err := New(o)
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
	if _, lost := updated.Anchors(); lost != nil {
		return updated, now.Add(retryInterval(set, now)), lost
	}
	if !u.valid && !u.revoked {
		return r, now.Add(retryInterval(set, now)), &BogusError{verdict.Reason}
	}
	return updated, now.Add(refreshInterval(set, now)), nil
}
