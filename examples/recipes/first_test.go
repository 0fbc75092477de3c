package recipes

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/iterdns/iterdns/resolver"
)

// first is what the README begins with.
func first(ctx context.Context) ([]netip.Addr, error) {
	r, err := resolver.New(resolver.Options{}) // once, for the whole program
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.LookupNetIP(ctx, "ip", "www.example.com")
}

// It asks the real Internet, so that the test ends it before that.
func TestFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := first(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
