package cache

import (
	"context"
	"time"
)

// SecondLevel is a store that a fleet of resolvers shares, such as Redis or memcached:
// what one of them has learnt the others need not ask the network for. A resolver looks
// into its own Cache first, then here, then asks servers. It keeps opaque values under
// opaque keys, and need not understand, protect or keep any of them:
//
//   - What comes out of it is checked like a reply from the network: limits, allow list,
//     validation. A store that lies can make a Secure answer cost more, but cannot change
//     it. It can forge unsigned answers, as anybody on the path to a server can, unless the
//     resolvers share a key that the store does not have.
//   - It may lose, refuse and forget any value. That costs hits, and nothing else.
//   - A store that is slow or down is marked down after a few failures, and probed now and
//     then. No answer waits long for it.
//
// Methods are called concurrently, also while others have not returned, and never under a
// lock. They must return as soon as ctx ends: a store that takes longer is marked down,
// and until it returns it holds a goroutine that Close of the resolver waits for. They
// should not retry: that takes longer than asking a server. Key and value are only lent,
// and must not be changed; an implementation that keeps them copies them. A panic in Get
// is that of the question which it reads for; one in Set counts as a failed write.
//
// What implementations get wrong:
//
//   - To report what is not there as an error. It is a nil value and a nil error; an
//     error says that the store does not work.
//   - To take keys and values for text. They hold any bytes.
//   - To keep values for longer than ttl. That does no harm to answers, since each value
//     has its own expiry in it, but fills the store. Worse is to round ttl down to 0 where 0 means for ever.
//   - Timeouts of seconds, and pools that make callers queue, in the client library.
type SecondLevel interface {
	// Get returns the value last stored under key, or nil when there is none. The caller
	// does not change it. It should take well under a millisecond; after some 20 ms
	// nobody waits for it any more, so that a store further away than that never has a
	// hit. No more than 33 are under way at a time.
	Get(ctx context.Context, key []byte) (value []byte, err error)
	// Set stores a value of at most some 16 KiB under key, instead of what is there, for
	// ttl, which is between seconds and a day. It is called in the background.
	Set(ctx context.Context, key, value []byte, ttl time.Duration) error
}
