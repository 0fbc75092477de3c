package anchorkeeper

import (
	"bytes"
	"context"
	"errors"

	"github.com/iterdns/iterdns/dnssec"
)

// maxRaces is how often saving begins anew because another process has saved in between: each of
// them saves once a refresh.
const maxRaces = 5

// synchronise stores the states, with what other processes have stored meanwhile. What cannot be
// read is not replaced. When it fails the states in memory go on, and are stored later.
func (k *Keeper) synchronise(ctx context.Context) {
	var err error
	for range maxRaces {
		var was []byte
		if was, err = k.reload(ctx); err != nil {
			return // noted
		}
		var text []byte
		if text, err = dnssec.FormatRollovers(k.States()); err == nil && !bytes.Equal(text, was) {
			err = k.save(ctx, text, was)
		}
		if err == nil {
			k.mu.Lock()
			clear(k.unsaved)
			k.mu.Unlock()
		}
		if !errors.Is(err, dnssec.ErrStoreChanged) {
			break
		}
	}
	k.noteStore(ctx, err)
}

// errNotStored means that a store has said that it has saved, and has something else.
var errNotStored = errors.New("the store does not have what it has saved")

// save saves, and reads what was saved: a store that loses it would otherwise have the keys in memory
// replaced by older ones each time, so that no new key was ever seen for long enough.
func (k *Keeper) save(ctx context.Context, text, was []byte) error {
	if err := k.store.save(ctx, text, was); err != nil {
		return err
	}
	now, err := k.store.load(ctx)
	switch {
	case err != nil:
		return err
	case bytes.Equal(now, text):
		return nil
	case bytes.Equal(now, was):
		return errNotStored
	}
	if _, err := dnssec.ParseRollovers(now); err != nil {
		return errors.Join(errNotStored, err)
	}
	return dnssec.ErrStoreChanged // by another process, since then
}

// reload takes in what the store has, and returns its text. On an error nothing is taken in.
func (k *Keeper) reload(ctx context.Context) ([]byte, error) {
	text, err := k.store.load(ctx)
	var stored []dnssec.Rollover
	if err == nil && text != nil {
		stored, err = dnssec.ParseRollovers(text)
	}
	var merged []dnssec.Rollover
	if err == nil {
		k.mu.Lock()
		merged, err = merge(stored, k.states, k.unsaved, k.o.Anchors, k.o.Now())
		k.mu.Unlock()
	}
	if err == nil {
		_, err = dnssec.FormatRollovers(merged) // it has to be small enough
	}
	if err != nil {
		k.noteStore(ctx, err)
		return nil, err
	}
	var unsaved []string
	for _, r := range merged {
		if i := find(stored, r.Zone); i < 0 || !sameKeys(stored[i], r) {
			unsaved = append(unsaved, r.Zone)
		}
	}
	k.setStates(merged, unsaved...)
	return text, nil
}

// noteStore tells when the store begins to fail and when it works again.
func (k *Keeper) noteStore(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // the resolver is being closed
	}
	k.mu.Lock()
	before := k.storeErr
	k.storeErr = err
	if err != nil {
		k.counts.StoreFailed++
	}
	k.mu.Unlock()
	if (err == nil) != (before == nil) {
		k.tell(Change{Err: err})
	}
}
