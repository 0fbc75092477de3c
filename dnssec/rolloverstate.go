package dnssec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// RolloverStore keeps the text of FormatRollovers between two runs of a program:
// dnssec/anchorfile is one in a file. What it returns decides what is trusted.
type RolloverStore interface {
	// Load returns what is stored, nil if nothing has been yet.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces what is stored, as a whole or not at all. was is what Load has returned:
	// a store that several processes use fails with ErrStoreChanged, and stores nothing, when
	// it has something else by now.
	Save(ctx context.Context, state, was []byte) error
}

// ErrStoreChanged says that somebody else has saved since Load.
var ErrStoreChanged = errors.New("what is stored has changed meanwhile")

// maxTrustPoints is how many zones' anchors one text may have: the root, and some zones that
// an organisation signs for itself.
const maxTrustPoints = 100

// FormatRollovers writes the states of several zones as JSON texts one after another, for
// people to read. It fails with ErrRollover when ParseRollovers would not read them for their number or
// their size.
func FormatRollovers(states []Rollover) ([]byte, error) {
	var text bytes.Buffer
	if len(states) > maxTrustPoints {
		return nil, tooManyZones()
	}
	for _, r := range states {
		one, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRollover, err)
		}
		text.Write(append(one, '\n'))
	}
	if text.Len() > maxAnchorFile {
		return nil, tooLarge()
	}
	return text.Bytes(), nil
}

func tooManyZones() error {
	return fmt.Errorf("%w: more than %d zones", ErrRollover, maxTrustPoints)
}

func tooLarge() error { return fmt.Errorf("%w: more than %d bytes", ErrRollover, maxAnchorFile) }

// ParseRollovers reads what FormatRollovers has written, and checks it: it fails with ErrRollover if Update
// could not use one of the states, if a zone occurs twice, and if there is none.
func ParseRollovers(text []byte) ([]Rollover, error) {
	if len(text) > maxAnchorFile {
		return nil, tooLarge()
	}
	var states []Rollover
	for in := json.NewDecoder(bytes.NewReader(text)); ; {
		var r Rollover
		switch err := in.Decode(&r); {
		case err == io.EOF && len(states) > 0:
			return states, nil
		case err == io.EOF:
			return nil, fmt.Errorf("%w: empty", ErrRollover)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrRollover, err)
		}
		if _, err := r.parse(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(states, func(other Rollover) bool { return other.Zone == r.Zone }) {
			return nil, fmt.Errorf("%w: zone %q is there twice", ErrRollover, r.Zone)
		}
		if states = append(states, r); len(states) > maxTrustPoints {
			return nil, tooManyZones()
		}
	}
}

// ParseRollover is ParseRollovers for the state of exactly one zone.
func ParseRollover(text []byte) (Rollover, error) {
	states, err := ParseRollovers(text)
	if err == nil && len(states) > 1 {
		err = fmt.Errorf("%w: %d zones, want one", ErrRollover, len(states))
	}
	if err != nil {
		return Rollover{}, err
	}
	return states[0], nil
}

// storedAnchors returns the keys that stored states trust.
func storedAnchors(text []byte) ([]Anchor, error) {
	states, err := ParseRollovers(text)
	var all []Anchor
	for _, r := range states {
		anchors, err := r.Anchors()
		if err != nil {
			return nil, err
		}
		all = append(all, anchors...)
	}
	return all, err
}

// Adopt returns r with anchors from another source, such as a newer version of this package: keys that r
// does not know, or has not seen for the hold-down time, are Valid from now on. Those that have been
// revoked stay so: no list brings them back. Where there are too many, keys that are not trusted yet give way,
// then missing ones. It fails with ErrRollover when an anchor is of another zone, or there are still too many.
func (r Rollover) Adopt(anchors []Anchor, now time.Time) (Rollover, error) {
	known, err := r.parse()
	if err != nil {
		return r, err
	}
	r.Keys = slices.Clone(r.Keys)
	for _, a := range anchors {
		if a.Zone() != r.Zone {
			return r, fmt.Errorf("%w: an anchor of %q for %q", ErrRollover, a.Zone(), r.Zone)
		}
		i := slices.IndexFunc(known, a.isSameKey)
		switch {
		case i < 0:
			if full := r.leastUseful(); full >= 0 {
				r.Keys, known = slices.Delete(r.Keys, full, full+1), slices.Delete(known, full, full+1)
			}
			r.Keys = append(r.Keys, RolloverKey{Record: a.String(), State: KeyValid, Since: now})
			known = append(known, a)
		case r.Keys[i].State == KeyAddPend:
			r.Keys[i].State, r.Keys[i].Since, r.Keys[i].HoldDown = KeyValid, now, time.Time{}
		}
	}
	if n := len(r.Keys); n > maxRolloverKeys {
		return r, tooManyKeys(n)
	}
	return r, nil
}

// leastUseful returns which key gives way to one that has to be there, when there is no room: the newest one
// that is not trusted yet, since a zone may publish any number of them, else the one that has been missing for
// the longest time; -1 for none.
func (r Rollover) leastUseful() int {
	least := -1
	if len(r.Keys) < maxRolloverKeys {
		return least
	}
	for i, k := range r.Keys {
		if k.State == KeyAddPend && (least < 0 || !k.Since.Before(r.Keys[least].Since)) {
			least = i
		}
	}
	if least >= 0 {
		return least
	}
	return r.longestMissing()
}

// KeepRevoked returns r in which every key that is Revoked or Removed in from is so too: a revoked key
// stays revoked, even if an older state was stored meanwhile. Others give way to it as in Adopt. It
// fails with ErrRollover when r or from cannot be used, or there are too many keys.
func (r Rollover) KeepRevoked(from Rollover) (Rollover, error) {
	known, err := r.parse()
	if err != nil {
		return r, err
	}
	others, err := from.parse()
	if err != nil {
		return r, err
	}
	out := Rollover{Zone: r.Zone, Next: r.Next}
	for i, k := range r.Keys {
		for j, a := range others {
			if from.Keys[j].State >= KeyRevoked && k.State < KeyRevoked && known[i].isSameKey(a) {
				k = from.Keys[j]
			}
		}
		out.add(k)
	}
	for j, k := range from.Keys {
		if k.State >= KeyRevoked && !slices.ContainsFunc(known, others[j].isSameKey) {
			if full := out.leastUseful(); full >= 0 {
				out.Keys = slices.Delete(out.Keys, full, full+1)
			}
			out.add(k)
		}
	}
	if n := len(out.Keys); n > maxRolloverKeys {
		return r, tooManyKeys(n)
	}
	return out, nil
}

// isSameKey reports whether two anchors are the same key, as far as that can be told: of two DS
// with other digests it cannot.
func (a Anchor) isSameKey(b Anchor) bool {
	switch {
	case a.zone != b.zone:
		return false
	case a.isDS == b.isDS:
		return a.rdata == b.rdata
	case a.isDS:
		a, b = b, a
	}
	return b.ds.matches(b.zone, &zoneKey{Key: a.key, rdata: a.rdata})
}
