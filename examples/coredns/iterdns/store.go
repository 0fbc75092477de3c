package iterdns

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/resolver"
)

// storeState is whether the store is in use, which is logged once for each change: go-redis
// has something to say of each connection, and questions by the thousand meet the same
// trouble.
type storeState struct {
	addr              string
	unread, unwritten atomic.Bool

	mu        sync.Mutex
	connected bool  // guarded by mu; the last connection that was tried was made
	trouble   error // guarded by mu; what is in the way of one; nil: nothing that is known
}

// options returns those of a client whose connections s knows of.
func (s *storeState) options(from *redis.Options) *redis.Options {
	s.addr = from.Addr
	o := *from
	o.Dialer = s.dialer(from)
	return &o
}

// dialer connects to the store, and notes what comes in the way. A read does not wait for
// that: it only sees that its time is over.
func (s *storeState) dialer(o *redis.Options) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := *o
	plain.TLSConfig = nil
	connect, config := redis.NewDialer(&plain), o.TLSConfig
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
		defer cancel()
		s.begin(errConnecting)
		conn, err := connect(ctx, network, addr)
		if err == nil && config != nil {
			s.begin(errHandshake)
			conn, err = handshake(ctx, conn, config)
		}
		s.end(err)
		return conn, err
	}
}

func handshake(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nil
}

// What a connection waits for that has not been made.
var (
	errConnecting = errors.New("no connection is made in time")
	errHandshake  = errors.New("TLS handshake: no answer in time: does the store speak TLS?")
)

// begin notes what is waited for, as long as nothing better is known.
func (s *storeState) begin(waiting error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected && (s.trouble == nil || s.trouble == errConnecting) {
		s.trouble = waiting
	}
}

// end notes what has come of a connection. That it took too long is known better by begin.
func (s *storeState) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected = err == nil
	if err == nil || !isTimeout(err) {
		s.trouble = err
	}
}

// reason returns why the store is left alone: what is in the way of connections, as far as
// something is. The resolver may have seen no more than that its time is over.
func (s *storeState) reason(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.trouble, err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// changed is resolver.Options.SecondLevelChanged. The error is the store's own as far as it
// has one, as of a wrong password or a server that does not speak TLS.
func (s *storeState) changed(c resolver.SecondLevelChange) {
	flag, use := &s.unread, "read"
	if c.Writes {
		flag, use = &s.unwritten, "written"
	}
	flag.Store(c.Err != nil)
	if c.Err != nil {
		log.Warningf("Redis at %s is not %s for now: %v", s.addr, use, s.reason(c.Err))
		return
	}
	log.Infof("Redis at %s is %s again", s.addr, use)
}
