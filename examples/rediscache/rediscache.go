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

// Options are those of a client that fits a resolver: it gives up when the resolver
// does, and leaves it to the resolver to try again.
func Options(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr,
		// Without this the client waits for its own timeouts, whatever the context says.
		ContextTimeoutEnabled: true,
		// Asking a name server takes no longer than trying a second time.
		MaxRetries:      -1,
		DialerRetries:   1,
		DialTimeout:     time.Second,
		ReadTimeout:     time.Second,
		WriteTimeout:    time.Second,
		PoolTimeout:     10 * time.Millisecond, // who queues is late
		ConnMaxIdleTime: 5 * time.Minute,
	}
}

// Get gives what is stored under key; nil when nothing is.
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
