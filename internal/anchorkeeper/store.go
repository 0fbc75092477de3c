package anchorkeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/rescue"
)

const (
	// storeTime is how long the store has for one call: a disk that has to wake up needs some
	// seconds.
	storeTime = 10 * time.Second
	// storeGrace is how long a call that has been told to end is waited for, so that it does not
	// outlive the resolver if it listens at all.
	storeGrace = time.Second
)

// errStoreStuck means that a call of the store has not returned, though its time is long over.
var errStoreStuck = errors.New("the store has not returned from an earlier call")

// boundedStore calls a store that may be slow, never return, panic, or end its goroutine. At most
// one call is under way.
type boundedStore struct {
	store dnssec.RolloverStore
	slot  chan struct{} // of capacity 1; holds a token while a call is under way
}

func newBoundedStore(s dnssec.RolloverStore) *boundedStore {
	return &boundedStore{store: s, slot: make(chan struct{}, 1)}
}

// ErrLoad says that the store could not be read.
var ErrLoad = errors.New("load the state of trust anchors")

func (s *boundedStore) load(ctx context.Context) (text []byte, err error) {
	var got []byte
	err = s.call(ctx, func(ctx context.Context) (err error) {
		got, err = s.store.Load(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	return got, nil
}

func (s *boundedStore) save(ctx context.Context, text, was []byte) error {
	err := s.call(ctx, func(ctx context.Context) error { return s.store.Save(ctx, text, was) })
	if err != nil {
		return fmt.Errorf("save the state of trust anchors: %w", err)
	}
	return nil
}

// call calls the store, and returns when it has returned or its time is over.
func (s *boundedStore) call(ctx context.Context, f func(context.Context) error) error {
	select {
	case s.slot <- struct{}{}:
	default:
		return errStoreStuck
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var result, failed error
		defer func() {
			<-s.slot
			done <- errors.Join(rescue.Shared(failed), result)
		}()
		rescue.Guarded(&failed, func() { result = f(ctx) })()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(storeGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return context.Cause(ctx)
	}
}
