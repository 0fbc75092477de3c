package caa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// ErrEvidence is the error of a look-up whose answer the chain of trust does not support: there is none, as
// for local zones, for hooks and without validation, or it shows something else, as under a negative trust
// anchor.
var ErrEvidence = errors.New("answer without evidence")

// ErrStale is the error of a look-up whose answer has expired (resolver.Options.ServeStale).
var ErrStale = errors.New("expired answer")

// ErrRcode is the error of a look-up whose answer does not say whether there are records: a DNAME that
// makes the name too long (YXDOMAIN).
var ErrRcode = errors.New("answer that says nothing about records")

const (
	// maxAttempts is how often a look-up is made: twice is what the baseline requirements want,
	// and a failure that the resolver remembers from before is no attempt.
	maxAttempts = 4
	// wantedAttempts have to fail before a failure may count as permission.
	wantedAttempts = 2
	// maxProofs is how many look-ups of DS a Check makes, so that its evidence has no more look-ups
	// than are read of a file, with those of the 127 names of the longest climb. A name of 127 labels
	// needs as many.
	maxProofs = dnssec.MaxStoredChains - 127
)

// lookup asks for a name's records of a type, again if that fails and may help.
func (c *check) lookup(ctx context.Context, name dnssec.Name, rrtype uint16) Lookup {
	l := Lookup{Name: name, Type: rrtype, Started: c.now()}
	ctx = resolver.WithChain(l.traced(ctx))
	for turn := 0; turn < maxAttempts && l.Attempts < wantedAttempts; turn++ {
		if turn > 0 && !c.sleep(ctx) {
			break
		}
		result, err := c.r.Resolve(ctx, name.String(), rrtype)
		l.take(result, err)
		if l.Err == nil {
			l.Err = c.verify(&l)
		}
		if !errors.Is(l.Err, resolver.ErrCached) {
			l.Attempts++
		}
		if l.isFinal() || ctx.Err() != nil {
			break
		}
	}
	l.Ended = c.now()
	return l
}

// isFinal reports whether asking again would not help, or not be a permission.
func (l *Lookup) isFinal() bool {
	return l.Err == nil || isOurs(l.Err) || l.Status == dnssec.Bogus || errors.Is(l.Err, ErrRcode)
}

// sleep waits before a retry; false if there is none.
func (c *check) sleep(ctx context.Context) bool {
	if c.wait < 0 {
		return false
	}
	timer := time.NewTimer(c.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// traced returns ctx with a trace that notes the servers, beside the caller's own.
func (l *Lookup) traced(ctx context.Context) context.Context {
	var trace resolver.Trace
	if own := resolver.ContextTrace(ctx); own != nil {
		trace = *own
	}
	query := trace.Query
	trace.Query = func(i resolver.QueryInfo) {
		if len(l.Servers) < dnssec.MaxStoredServers && !slices.Contains(l.Servers, i.Server) {
			l.Servers = append(l.Servers, i.Server)
		}
		if query != nil {
			query(i)
		}
	}
	return resolver.WithTrace(ctx, &trace)
}

// take notes an answer or failure.
func (l *Lookup) take(result *resolver.Result, err error) {
	l.Err, l.Status, l.Chain, l.Set = err, dnssec.Indeterminate, nil, nil
	var told *resolver.Error
	switch {
	case errors.As(err, &told):
		l.Status, l.Chain = told.Status, told.Chain
	case err == nil:
		l.Rcode, l.Status, l.TTL, l.FromCache, l.Chain = result.Rcode, result.Status, result.TTL, result.FromCache, result.Chain
		switch {
		case result.Stale:
			l.Err = ErrStale
		case result.Rcode != dns.RcodeSuccess && result.Rcode != dns.RcodeNameError:
			l.Err = fmt.Errorf("%w: %s", ErrRcode, dns.RcodeToString[result.Rcode])
		}
	}
}

// verify judges the chain of an answer anew, and takes the records out of it.
func (c *check) verify(l *Lookup) error {
	n := len(l.Chain)
	if n == 0 {
		return fmt.Errorf("%w: it has no chain of trust", ErrEvidence)
	}
	verdict, err := c.validator.VerifyChain(l.Chain, c.now())
	switch last := &l.Chain[n-1]; {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	case last.Name != l.Name || last.Type != l.Type:
		return fmt.Errorf("%w: it is about %v", ErrEvidence, last)
	case verdict.Status != l.Status || verdict.Status != dnssec.Secure && verdict.Status != dnssec.Insecure:
		return fmt.Errorf("%w: it is said to be %v, and found %v", ErrEvidence, l.Status, verdict.Status)
	}
	for _, set := range l.Chain[n-1].Answer {
		if set.Type == l.Type {
			l.Set = set
		}
	}
	return nil
}

// ours are the causes of failures that are not the name servers'. The end of a context is none of
// them, since the time-out of a server looks the same to errors.Is.
var ours = []error{
	ErrEvidence, resolver.ErrClosed, resolver.ErrAborted, resolver.ErrBlocked,
	resolver.ErrNoNetwork, resolver.ErrIntercepted, resolver.ErrNoDescriptors, resolver.ErrCertificate, resolver.ErrRouteLoop,
	resolver.ErrHookResult, resolver.ErrFiltered, resolver.ErrCircular,
}

// isOurs reports whether a failure is on our side. A limit is ours too: another one may be enough.
func isOurs(err error) bool {
	var limit *resolver.LimitError
	var refusal *resolver.Refusal
	return errors.As(err, &limit) || errors.As(err, &refusal) ||
		slices.ContainsFunc(ours, func(cause error) bool { return errors.Is(err, cause) })
}

// failure says what a failed look-up means, and adds the proof that the name is unsigned.
func (c *check) failure(ctx context.Context, l *Lookup, v *Verdict) Outcome {
	switch {
	case isOurs(l.Err) || ctx.Err() != nil:
		return FailedHere
	case l.Status == dnssec.Bogus || l.Attempts < wantedAttempts:
		return FailedThere
	}
	if !c.unsigned(ctx, l.Name, v) {
		return FailedThere
	}
	// Behind an alias the servers of another zone may be the ones that fail.
	var told *resolver.Error
	if errors.As(l.Err, &told) && told.Zone != "" {
		zone, err := dnssec.ParseName(told.Zone)
		if err != nil || !l.Name.IsAtOrBelow(zone) && !c.unsigned(ctx, zone, v) {
			return FailedThere
		}
	}
	return FailedUnsigned
}

// unsigned reports whether a name is proven to be Insecure: a delegation above it, or at it, has no
// DS. It adds the look-ups to the verdict. What this Check has proven is not looked up again.
func (c *check) unsigned(ctx context.Context, name dnssec.Name, v *Verdict) bool {
	if slices.ContainsFunc(c.proven, name.IsAtOrBelow) {
		return true
	}
	for labels := 1; labels <= name.Labels() && c.proofs < maxProofs; labels++ {
		above := name.Ancestor(labels)
		l := c.lookup(ctx, above, dns.TypeDS)
		v.Lookups = append(v.Lookups, l)
		c.proofs++
		switch {
		case l.Err != nil:
			return false
		case l.Status == dnssec.Insecure || c.isUnsigned(l.Chain):
			c.proven = append(c.proven, above)
			return true
		}
	}
	return false
}

// isUnsigned reports whether a chain about a DS RRset proves a delegation without one, rather than
// a name that is none.
func (c *check) isUnsigned(chain []dnssec.Link) bool {
	now := c.now()
	e := c.validator.Evidence(now, now, dnssec.NewWork(dnssec.Limits{}))
	for _, l := range chain {
		e.Add(&dnssec.Response{Name: l.Name, Type: l.Type, Kind: l.Kind, Answer: l.Answer, Authority: l.Authority})
	}
	d, _, err := e.Judge(chain[len(chain)-1].Name)
	return err == nil && d != nil && d.Kind == dnssec.DelegationUnsigned
}
