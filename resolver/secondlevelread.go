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

// readSecond returns the reply to q of a zone's servers from the second level; nil when it
// is not to be read or has none of use. Equal reads at the same time are one.
func (r *iterator) readSecond(ctx context.Context, st *queryState, v *view, cut *zoneCut, q question) *reply {
	if r.secondLevel == nil || st.secondLevel != secondLevelReadAndWritten || len(st.avoidServers) > 0 || q.rrtype == dns.TypeANY {
		return nil
	}
	patience := st.budget.reading.left()
	by := waiter{parent: st.flight, events: st.events, budget: st.budget}
	key := r.secondLevel.key(v, cut.Zone, q)
	shared, err := r.flights.do(ctx, "recall"+string(key[:]), by, func(fl *flight) (any, error) {
		return r.readSecondStore(fl.ctx, st.inFlight(fl), key, cut, q, patience), nil
	})
	if err != nil {
		return nil // the same error will keep the servers from being asked
	}
	got := shared.(secondRead)
	st.budget.reading.add(got.cost, time.Now())
	if got.reply != nil {
		st.secondReads.add(key)
	}
	return got.reply
}

// secondRead is a reply from the second level, nil for none, and how long the read took.
type secondRead struct {
	reply *reply
	cost  time.Duration
}

func (r *iterator) readSecondStore(ctx context.Context, st *queryState, key secondlevel.Key, cut *zoneCut, q question, patience time.Duration) secondRead {
	now, start := r.settings.Now(), time.Now()
	read := r.secondLevel.Get(ctx, key, now, patience)
	if !read.Found {
		st.events.SecondLevel(st.walkRef(), secondLevelEvent{Zone: cut.Zone, Asked: q, Elapsed: time.Since(start)})
		return secondRead{nil, read.Cost}
	}
	m, err := r.secondReply(st, cut, q, read.Blob, now)
	if err != nil {
		r.secondLevel.Refuse(key)
	}
	e := secondLevelEvent{Zone: cut.Zone, Asked: q, Age: now.Sub(read.Blob.Stored), Elapsed: time.Since(start), Err: err}
	if m != nil {
		e.Hit, e.Kind, e.Message = true, m.kind.String(), m.wire
	}
	st.events.SecondLevel(st.walkRef(), e)
	return secondRead{m, read.Cost}
}

// Why a value of the second level is not a reply to use.
var (
	errNotTheReply = errors.New("second level: not a whole reply to the question")
	errNotFinal    = errors.New("second level: not a reply that would have been kept")
)

// secondReply makes a reply of a blob, by the same steps as of a message from the network.
func (r *iterator) secondReply(st *queryState, cut *zoneCut, q question, b secondlevel.Blob, now time.Time) (*reply, error) {
	if err := st.budget.received(len(b.Payload)); err != nil {
		return nil, err
	}
	msg, m, err := withCurrentTTLs(b, now)
	if err != nil {
		return nil, err
	}
	if m.Flags&(wire.QR|wire.TC) != wire.QR || m.Opcode() != 0 || m.NoQuestion ||
		m.Question != (wire.Question{Name: q.name, Type: q.rrtype, Class: dns.ClassINET}) {
		return nil, errNotTheReply
	}
	copy(msg[wire.HeaderLen:], q.name) // as accept does
	out := r.upstream.readResponse(m, cut, q, msg, &serverAddr{})
	switch {
	case out.err != nil:
		return nil, out.err
	case !settlesQuestion(out.reply):
		return nil, errNotFinal
	}
	out.reply.fromSecond, out.reply.secondWritten = true, nil
	return out.reply, nil
}

// settlesQuestion reports whether no other server would be asked after this reply: it is the
// zone's answer.
func settlesQuestion(m *reply) bool {
	return m.kind.final() && (m.kind != kindNoData && m.kind != kindNameError || m.SOA != nil)
}

// withCurrentTTLs returns a copy of the message in a blob with the TTLs that are left. None
// outlives the blob, whose life is bounded by the lease of the zone cut that it came
// through.
func withCurrentTTLs(b secondlevel.Blob, now time.Time) ([]byte, *wire.Message, error) {
	msg := append([]byte(nil), b.Payload...)
	m, err := wire.Parse(msg)
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
	return msg, m, nil
}

// secondReads are the keys of what one search read from the second level. A nil *secondReads
// keeps none.
type secondReads struct {
	mu   sync.Mutex
	keys []secondlevel.Key
}

func (l *secondReads) add(k secondlevel.Key) {
	if l != nil {
		l.mu.Lock()
		l.keys = append(l.keys, k)
		l.mu.Unlock()
	}
}

// all returns the keys so far.
func (l *secondReads) all() []secondlevel.Key {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[:len(l.keys):len(l.keys)]
}
