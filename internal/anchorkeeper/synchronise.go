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
			err = k.store.save(ctx, text, was)
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
	if err != nil {
		k.noteStore(ctx, err)
		return nil, err
	}
	var unsaved []string
	for _, r := range merged {
		if find(stored, r.Zone) < 0 {
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
