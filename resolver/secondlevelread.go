package resolver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/internal/wire"
)

// maxReadTime is how long one question waits for the second level, all reads together:
// as many as it takes to find out that the store is dead.
const maxReadTime = 3 * secondlevel.ReadPatience

// readTime is how long one question has waited for the second level. What it waits for at
// the same time it waits for once.
type readTime struct {
	mu    sync.Mutex
	spent time.Duration // guarded by mu
	until time.Time     // the end of the last wait; guarded by mu
}

// add takes in a wait that has ended now.
func (t *readTime) add(wait time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spent += max(0, min(wait, now.Sub(t.until)))
	t.until = now
}

// left is how much longer the question may wait.
func (t *readTime) left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maxReadTime - t.spent
}

// recall gives what the second level knows of a zone's servers' reply to q; nil when it
// is not to be asked or knows nothing of use. Equal questions to it are one.
func (r *Resolver) recall(ctx context.Context, t *task, rl *realm, cut *zoneCut, q question) *reply {
	if r.second == nil || t.sharing != sharesAll || len(t.avoid) > 0 || q.rrtype == dns.TypeANY {
		return nil
	}
	patience := t.budget.reading.left()
	by := traveller{parent: t.flight, heard: t.heard, budget: t.budget}
	key := r.second.key(rl, cut.Zone, q)
	v, err := r.flights.do(ctx, "recall"+string(key[:]), by, func(fl *flight) (any, error) {
		return r.readSecond(fl.ctx, t.in(fl), key, cut, q, patience), nil
	})
	if err != nil {
		return nil // whatever it is stops the servers from being asked too
	}
	got := v.(recalled)
	t.budget.reading.add(got.cost, time.Now())
	if got.reply != nil {
		t.recalls.add(key)
	}
	return got.reply
}

// recalled is a reply out of the second level, nil for none, and for how long the store was
// waited for.
type recalled struct {
	reply *reply
	cost  time.Duration
}

func (r *Resolver) readSecond(ctx context.Context, t *task, key secondlevel.Key, cut *zoneCut, q question, patience time.Duration) recalled {
	now, start := r.config.Now(), time.Now()
	read := r.second.Get(ctx, key, now, patience)
	if !read.Found {
		t.tellSecond(cut, q, start, nil, 0, nil)
		return recalled{nil, read.Cost}
	}
	m, err := r.secondReply(t, cut, q, read.Blob, now)
	if err != nil {
		r.second.Refuse(key)
	}
	t.tellSecond(cut, q, start, m, now.Sub(read.Blob.Stored), err)
	return recalled{m, read.Cost}
}

// Why what the second level holds is no reply.
var (
	errNotTheReply = errors.New("second level: not a whole reply to the question")
	errNotFinal    = errors.New("second level: not a reply that would have been kept")
)

// secondReply makes a reply of a blob, by the same steps as of a message off the network.
func (r *Resolver) secondReply(t *task, cut *zoneCut, q question, b secondlevel.Blob, now time.Time) (*reply, error) {
	if err := t.budget.received(len(b.Payload)); err != nil {
		return nil, err
	}
	octets, m, err := aged(b, now)
	if err != nil {
		return nil, err
	}
	if m.Flags&(wire.QR|wire.TC) != wire.QR || m.Opcode() != 0 || m.NoQuestion ||
		m.Question != (wire.Question{Name: q.name, Type: q.rrtype, Class: dns.ClassINET}) {
		return nil, errNotTheReply
	}
	copy(octets[wire.HeaderLen:], q.name) // as check does
	out := r.understand(m, cut, q, octets, &candidate{})
	switch {
	case out.err != nil:
		return nil, out.err
	case !worthKeeping(out.reply):
		return nil, errNotFinal
	}
	out.reply.recalled, out.reply.told = true, nil
	return out.reply, nil
}

// worthKeeping reports whether a reply settles the question, so that no other server
// would be asked: what it says then is the zone's word.
func worthKeeping(m *reply) bool {
	return m.kind.final() && (m.kind != noData && m.kind != nameError || m.SOA != nil)
}

// aged gives a copy of the message in a blob with the TTLs it has now: what has passed is
// off, and none outlives the blob, that is the lease of the zone cut it came through.
func aged(b secondlevel.Blob, now time.Time) ([]byte, *wire.Message, error) {
	octets := append([]byte(nil), b.Payload...)
	m, err := wire.Parse(octets)
	if err != nil {
		return nil, nil, err
	}
	age := uint32(max(0, (now.Sub(b.Stored)+time.Second-1)/time.Second)) // at most a day
	left := uint32(max(0, b.Expires.Sub(now)/time.Second))
	for _, section := range [][]wire.Record{m.Answer, m.Authority, m.Additional} {
		for i := range section {
			ttl := min(section[i].TTL, maxTTL)
			section[i].TTL = min(ttl-min(ttl, age), left)
			m.PatchTTL(section[i])
		}
	}
	return octets, m, nil
}

// recalls are the keys of what the second level gave for one search. Nil keeps none.
type recalls struct {
	mu   sync.Mutex
	keys []secondlevel.Key
}

func (l *recalls) add(k secondlevel.Key) {
	if l != nil {
		l.mu.Lock()
		l.keys = append(l.keys, k)
		l.mu.Unlock()
	}
}

// all gives the keys so far.
func (l *recalls) all() []secondlevel.Key {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[:len(l.keys):len(l.keys)]
}
