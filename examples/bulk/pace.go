package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

const (
	// maxPaced is how many server addresses are remembered. One that is forgotten begins anew.
	maxPaced = 100_000
	// burst is how long an address that was left alone saves up its rate.
	burst = 200 * time.Millisecond
	// minServerRate is the rate, in queries a second, that an address keeps that is silent or
	// refuses.
	minServerRate = 1
	// cutEvery is how often a rate is halved at most: replies to queries that were under way then say
	// nothing new, and a server that refuses one zone of many is no server that wants rest.
	cutEvery = 500 * time.Millisecond
	// longestPause is how long a query waits for its turn. If its turn is later, the question
	// comes again later: it should not keep its place among those under way.
	longestPause = 4 * time.Second
	// maxSeen is how many queries are remembered, so that one that several questions wait for
	// counts once.
	maxSeen = 16_384
)

// errRate is the cause of a question's end when the rate of a server leaves no room for it in time.
var errRate = errors.New("the rate of a server's address is used up")

// pacer keeps the queries to each server address to a rate: it halves it when the server is silent
// or refuses, and lets it recover with each good reply. A nil pacer lets everything through.
type pacer struct {
	rate    float64 // queries a second to one address
	waiting atomic.Int64

	mu      sync.Mutex
	servers *simplelru.LRU[netip.Addr, *turnstile] // guarded by mu
	seen    *simplelru.LRU[sentQuery, struct{}]    // guarded by mu
}

// turnstile is what is known of one address.
type turnstile struct {
	next time.Time // when the next query may go
	rate float64
	cut  time.Time // when the rate was halved last
}

// sentQuery is a query, as every question sees it that waits for it.
type sentQuery struct {
	server netip.AddrPort
	asked  dns.Question
	walk   int
	id     int
}

// newPacer returns nil if rate is 0.
func newPacer(rate float64) *pacer {
	if rate == 0 {
		return nil
	}
	servers, _ := simplelru.NewLRU[netip.Addr, *turnstile](maxPaced, nil) // fails for sizes below 1 only
	seen, _ := simplelru.NewLRU[sentQuery, struct{}](maxSeen, nil)
	return &pacer{rate: rate, servers: servers, seen: seen}
}

// turn returns how long a query that is due now has to wait, and takes its turn unless that is too
// long. ok is false then.
func (p *pacer) turn(now time.Time, q sentQuery) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen.Contains(q) {
		return 0, true
	}
	t := p.at(q.server.Addr())
	due := t.next
	if oldest := now.Add(-burst); due.Before(oldest) {
		due = oldest
	}
	if wait = max(0, due.Sub(now)); wait > longestPause {
		return wait, false
	}
	p.seen.Add(q, struct{}{})
	t.next = due.Add(time.Duration(float64(time.Second) / t.rate))
	return wait, true
}

// at returns what is known of an address. p.mu must be held.
func (p *pacer) at(addr netip.Addr) *turnstile {
	t, ok := p.servers.Get(addr)
	if !ok {
		t = &turnstile{rate: p.rate}
		p.servers.Add(addr, t)
	}
	return t
}

// pass waits for a query's turn. If that comes too late, it ends the question by cancel.
func (p *pacer) pass(ctx context.Context, cancel context.CancelCauseFunc, q sentQuery) {
	if p == nil {
		return
	}
	wait, ok := p.turn(time.Now(), q)
	switch {
	case !ok:
		cancel(errRate)
	case wait > 0:
		p.waiting.Add(1)
		defer p.waiting.Add(-1)
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// heard takes what came of a query: a server that is silent or refuses is asked half as often, and
// with each good reply a tenth more, up to the rate of all.
func (p *pacer) heard(r resolver.ResponseInfo) {
	if p == nil {
		return
	}
	silent := r.Err != nil && r.Message == nil
	if errors.Is(r.Err, context.Canceled) {
		return // another server was quicker
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.servers.Peek(r.Server.Addr())
	switch {
	case !ok:
	case silent, r.Rcode == dns.RcodeRefused:
		if now := time.Now(); now.Sub(t.cut) >= cutEvery {
			t.rate, t.cut = max(minServerRate, t.rate/2), now
		}
	default:
		t.rate = min(p.rate, t.rate*1.1)
	}
}

// waits returns how many queries wait for their turn now.
func (p *pacer) waits() int {
	if p == nil {
		return 0
	}
	return int(p.waiting.Load())
}
