package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
	"github.com/iterdns/iterdns/resolver/roothttp"
)

func TestLocalRoot(t *testing.T) {
	in := resolvertest.New(t, "-- zone www.example. --\n@ A 192.0.2.1\n")
	page := func(context.Context, uint32) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("<html>")), nil
	}
	unchanged := func(context.Context, uint32) (io.ReadCloser, error) { return nil, resolver.ErrLocalRootUnchanged }
	sources := []resolver.LocalRootSource{
		resolver.LocalRootFile(filepath.Join(t.TempDir(), "root.zone")),
		resolver.LocalRootReader("text", strings.NewReader("")),
		resolver.LocalRootFunc("page", page),
		resolver.LocalRootFunc("unchanged", unchanged),
		resolver.LocalRootAXFR(netip.MustParseAddrPort("192.0.2.53:53"), nil),
	}
	if sources[2].String() != "page" || len(resolver.LocalRootServers()) < 10 {
		t.Errorf("got %v", sources)
	}
	told := make(chan resolver.LocalRootChange, 1)
	r := in.Resolver(t, func(o *resolver.Options) {
		o.LocalRoot = &resolver.LocalRoot{Sources: sources, Changed: func(c resolver.LocalRootChange) { told <- c }}
	})
	var failed *resolver.LocalRootError
	if err := r.AwaitLocalRoot(t.Context()); !errors.As(err, &failed) || failed.Error() == "" || failed.Unwrap() == nil {
		t.Errorf("got %v", err)
	}
	if c := <-told; c.Err == nil || c.InUse {
		t.Errorf("got %+v", c)
	}
	if s := r.LocalRootState(); s.InUse || !strings.HasPrefix(s.String(), "none: ") {
		t.Errorf("got %v", s)
	}
	if got := r.Stats().LocalRoot.Failures[resolver.LocalRootSyntax]; got != 2 {
		t.Errorf("got %d, want the empty text and the page", got)
	}
}

func TestRootHTTP(t *testing.T) {
	if s := roothttp.Source(nil, roothttp.IANA); s.String() != roothttp.IANA {
		t.Errorf("got %v", s)
	}
}
