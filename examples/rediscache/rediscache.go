// Package rediscache lets a fleet of resolvers share what they learn through Redis.
package rediscache

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Store is a cache.SecondLevel in Redis. The zero value is of no use.
type Store struct {
	// Client is the connection to Redis, to a cluster, or to whatever else speaks its
	// protocol. It must give up when a context ends: see Options.
	Client redis.UniversalClient
	// Prefix begins all keys, so that the database can be shared with others.
	Prefix string
}

// poolSize is how many connections a client keeps: a resolver makes 32 reads at a time,
// and one to see whether the store works again, and 4 writes.
const poolSize = 32 + 1 + 4

// Options are those of a client that fits a resolver: it gives up when the resolver
// does, and leaves it to the resolver to try again.
func Options(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr,
		// Without this the client waits for its own timeouts, whatever the context says.
		ContextTimeoutEnabled: true,
		// Asking a name server takes no longer than trying a second time.
		MaxRetries:    -1,
		DialerRetries: 1,
		DialTimeout:   time.Second,
		ReadTimeout:   time.Second,
		WriteTimeout:  time.Second,
		// A connection for each read and write that a resolver makes at a time, so that none
		// waits for another's. They are made at the start, a few at a time, and kept: to
		// connect in the middle of a burst takes longer than a read may.
		PoolSize:           poolSize,
		MinIdleConns:       poolSize,
		ConnMaxIdleTime:    -1,
		MaxConcurrentDials: 4,
		PoolTimeout:        time.Second,
		// A reply has 16 KiB at most, and most have less than one.
		ReadBufferSize:  4 << 10,
		WriteBufferSize: 4 << 10,
	}
}

// Get returns what is stored under key; nil when nothing is.
func (s *Store) Get(ctx context.Context, key []byte) ([]byte, error) {
	value, err := s.Client.Get(ctx, s.Prefix+string(key)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return value, err
}

// Set stores value under key for ttl.
func (s *Store) Set(ctx context.Context, key, value []byte, ttl time.Duration) error {
	return s.Client.Set(ctx, s.Prefix+string(key), value, ttl).Err()
}
