package main

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

const (
	// worthWarming is how many names a top-level domain must have in the lists, warmAtATime how
	// many are asked for at the same time.
	worthWarming, warmAtATime = 2, 16
	// mostWarmed bounds the pause before the first name.
	mostWarmed = 500
)

// warm asks once for each top-level domain that many names are below, so that they do not begin with
// the same questions to the root servers. Errors are left to the names themselves.
//
// A resolver with a copy of the root zone of its own (RFC 8806) has no need of this: where Options
// gets one, newPlace sets it and this is left out.
func warm(ctx context.Context, r *resolver.Resolver, p *pacer, topLevel map[string]int) {
	worth := slices.DeleteFunc(slices.Collect(maps.Keys(topLevel)), func(tld string) bool { return topLevel[tld] < worthWarming })
	slices.SortFunc(worth, func(a, b string) int {
		return cmp.Or(cmp.Compare(topLevel[b], topLevel[a]), cmp.Compare(a, b))
	})
	var asking errgroup.Group
	asking.SetLimit(warmAtATime)
	for _, tld := range worth[:min(len(worth), mostWarmed)] {
		if ctx.Err() != nil {
			break
		}
		asking.Go(func() error {
			asked, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			t := &resolver.Trace{Query: func(i resolver.QueryInfo) { p.pass(asked, cancel, sentAs(i)) }, Response: p.heard}
			r.Resolve(resolver.WithTrace(asked, t), tld, dns.TypeNS) // its error is every name's below it
			return nil
		})
	}
	asking.Wait() // there are no errors
}
