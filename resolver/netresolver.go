package resolver

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"
)

// NetResolver returns a net.Resolver whose questions this resolver answers, for code that
// takes one: net.Dialer, http.Transport through it, database drivers, gRPC.
//
// The servers of /etc/resolv.conf are not asked, but Go still reads that file and the system's hosts file:
// its search list, ndots and timeouts apply. Go allows a question 5 s, twice for each server in
// resolv.conf; a question that takes longer is worked on until the next try joins it. The validation status
// and the TTL are lost this way; the methods of Resolver return them. Of a failure only the text of the
// *net.DNSError remains, which says why it failed and which servers were asked. Package net itself puts a
// server of /etc/resolv.conf before that text and into the field Server, though it was not asked; the text
// says that too. Two cases have no such text. When a filter removed all addresses of an answer (ErrFiltered),
// package net sees one without records and returns a bare "no such host". When the caller's context ends, it
// does not wait for the text, and returns "i/o timeout" or "operation was canceled" with that server's address,
// so that the error looks as if that server had failed; the methods of Resolver say what was still waited
// for, where that is known, and have the context's cause.
//
// Package net asks for A and AAAA together and returns the error that came last. A host without addresses
// of one family, whose look-up for the other fails, must not become "no such host", on which mailers
// bounce. Therefore such a NODATA waits for the other family's question, if that is under way or arrives
// within 20 ms, and becomes SERVFAIL, a temporary error, if that question fails or has failed just now. No
// query is sent for that. It does not help with "options single-request" in resolv.conf, where the question
// that fails may begin when the other one has been answered; the methods of Resolver always tell the two
// apart.
func (r *Resolver) NetResolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return r.dialSelf(ctx)
		},
	}
}

// dialSelf returns a connection to this resolver, which carries messages behind two-byte
// lengths (RFC 1035 §4.2.2) for UDP too: package net takes any connection that is not a
// net.PacketConn for a stream, and then never needs TC.
func (r *Resolver) dialSelf(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	c := &selfConn{Conn: client, dialled: ctx.Err}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	deadline, limited := ctx.Deadline()
	if limited {
		client.SetDeadline(deadline)
	}
	c.hangUp = sync.OnceFunc(func() {
		c.gone.Lock()
		c.closed = true
		c.gone.Unlock()
		// At the deadline Go closes one connection and asks again over the next one, which
		// then joins the question under way.
		if !limited || time.Now().Before(deadline) {
			cancel()
		}
	})
	stop := context.AfterFunc(ctx, func() {
		if c.hangUp(); work.Err() != nil {
			client.Close()
		}
	})
	c.forget = func() { stop() }
	if t := ContextTrace(ctx); t != nil {
		work = WithTrace(work, t.guarded(&c.gone, func() bool { return !c.closed && ContextTrace(ctx) == t }))
	}
	if !r.env.Flights.Spawn(func() {
		defer cancel()
		r.messages.ServeNet(work, server, func(q dns.Question, err error) {
			c.failed.Store(r.netReasons.of(r.config.Now(), q, err))
		})
	}) {
		cancel()
		return nil, ErrClosed
	}
	return c, nil
}

// selfConn is a connection to our own resolver.
type selfConn struct {
	net.Conn
	dialled func() error // the error of the context it was dialled with
	hangUp  func()       // ends the questions; only the first call counts
	forget  func()       // stops waiting for the context's end

	gone   sync.Mutex // held while a hook of a Trace runs
	closed bool       // guarded by gone

	failed atomic.Pointer[net.DNSError] // what Read returns in the place of a reply; nil: there is none
}

// netReasons are the last failures of package net's questions. It asks again what has failed, at
// least once, and returns the last error: that of the failure cache, which has no servers.
type netReasons struct {
	mu   sync.Mutex
	last *simplelru.LRU[dns.Question, netReason] // guarded by mu; nil before the first failure
}

type netReason struct {
	failed *net.DNSError
	at     time.Time
}

const (
	// maxNetReasons is how many failures are remembered: those of questions that package net is
	// about to ask again.
	maxNetReasons = 64
	// maxNetReasonAge is how long a failure is cached at most (RFC 9520 §3.2).
	maxNetReasonAge = 5 * time.Minute
)

// of returns the error of a question that failed with err.
func (n *netReasons) of(now time.Time, q dns.Question, err error) *net.DNSError {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		n.last, _ = simplelru.NewLRU[dns.Question, netReason](maxNetReasons, nil) // it fails for sizes below 1 only
	}
	e := wrap(q, err)
	if before, ok := n.last.Get(q); ok && errors.Is(err, ErrCached) && now.Sub(before.at) < maxNetReasonAge {
		return before.failed
	}
	failed := dnsError(q.Name, e)
	if len(e.Servers) == 0 {
		failed.Err += " (no server of resolv.conf was asked)"
	} else {
		failed.Err += " (" + strings.ToLower(askedOrTried(e)) + " " + serverList(e.Servers) + ", and no server of resolv.conf)"
	}
	n.last.Add(q, netReason{failed, now})
	return failed
}

// netFailure is a failed look-up as package net takes it from a connection: it makes a
// *net.DNSError of the text and the flags.
type netFailure struct{ e *net.DNSError }

func (f netFailure) Error() string   { return f.e.Err }
func (f netFailure) Timeout() bool   { return f.e.IsTimeout }
func (f netFailure) Temporary() bool { return f.e.IsTemporary }

// Read returns the context's error when that ended the connection, and not the other side, and
// why there is no answer when that is why the other side has.
func (c *selfConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.ErrClosedPipe || err == io.EOF {
		if ended := c.dialled(); ended != nil {
			err = ended
		} else if failed := c.failed.Load(); failed != nil {
			err = netFailure{failed}
		}
	}
	return n, err
}

// Close ends the connection and the questions that are under way on it.
func (c *selfConn) Close() error {
	c.forget()
	c.hangUp()
	return c.Conn.Close()
}
