package resolver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/internal/wire"
)

// secondLevelUse is how a search uses the second level. What is not validated stays out of
// it: questions with CD, and the addresses of name servers.
type secondLevelUse uint8

const (
	secondLevelUnused         secondLevelUse = iota
	secondLevelWritten                       // replies are written, but not read: the servers are asked
	secondLevelReadAndWritten                // replies are read too
)

// secondLevel is the store shared with other resolvers (Unbound's cachedb). It stands
// between a zone cut and the zone's servers: it holds replies of servers, and a reply that
// is read from it is handled as one from the network.
type secondLevel struct {
	*secondlevel.Front

	mu sync.Mutex
	// Zone cuts that were read from the store, and until when. Guarded by mu.
	cuts *simplelru.LRU[sourceCut, time.Time]
}

// sourceCut is a zone cut of a source.
type sourceCut struct {
	source uint32
	zone   dnsname.Name
}

// maxSecondLevelCuts is how many zone cuts are remembered to come from the store.
const maxSecondLevelCuts = 4096

// openSecondLevel begins to use the second level, if there is one. Its writers run from then on.
func (r *iterator) openSecondLevel() {
	if r.settings.SecondLevel == nil {
		return
	}
	cuts, _ := simplelru.NewLRU[sourceCut, time.Time](maxSecondLevelCuts, nil) // fails only for sizes below one
	r.secondLevel = &secondLevel{
		Front: secondlevel.New(r.base, r.settings.SecondLevel, r.settings.SecondLevelKey, r.spawn, r.settings.SecondLevelChanged),
		cuts:  cuts,
	}
}

// secondLevelStats returns the counts of the second level; zero without one.
func (r *iterator) secondLevelStats() secondlevel.Stats {
	if r.secondLevel == nil {
		return secondlevel.Stats{}
	}
	return r.secondLevel.Stats()
}

// key is the key of a reply of a zone's servers, for resolvers of the same view. Names that
// a route or a negative trust anchor is about belong to another view.
func (s *secondLevel) key(v *view, zone dnsname.Name, q question) secondlevel.Key {
	return s.Key([]byte("reply"), v.digest[:], []byte(zone), []byte(q.name), []byte{byte(q.rrtype >> 8), byte(q.rrtype)})
}

// withoutSecondLevel decides whether a walk may have failed because of the second level.
// When replies or zone cuts were read from the store, it returns a query state that walks
// again without reading; else nil.
func (r *iterator) withoutSecondLevel(st *queryState, q question, err error) *queryState {
	if r.secondLevel == nil || st.secondLevel != secondLevelReadAndWritten {
		return nil
	}
	f := failureOf(err)
	if !f.isOfZone() {
		return nil
	}
	keys, led := st.secondReads.all(), r.forgetCuts(q)
	if len(keys) == 0 && !led {
		return nil
	}
	if f.bogus != nil && len(keys) > 0 {
		r.secondLevel.Distrust(keys)
	}
	again := *st
	again.secondLevel, again.secondReads = secondLevelWritten, nil
	if st.validation != nil {
		// One cut further up, so that the delegation and its DS are fetched again.
		again.startAbove = st.validation.startCut
		again.validation = r.newValidation(&again, q)
	}
	return &again
}

// noteCut remembers whether a zone cut was read from the store.
func (s *secondLevel) noteCut(cut *zoneCut, recalled bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if recalled {
		s.cuts.Add(sourceCut{cut.source.id, cut.Zone}, cut.expires)
	} else {
		s.cuts.Remove(sourceCut{cut.source.id, cut.Zone})
	}
}

// forgetCuts drops the zone cuts on the way to q that were read from the store, and reports
// whether there were any: they may be forged.
func (r *iterator) forgetCuts(q question) bool {
	now, led := r.settings.Now(), false
	v := r.routes.viewOf(now, q)
	r.secondLevel.mu.Lock()
	defer r.secondLevel.mu.Unlock()
	for zone := q.name; !zone.IsRoot(); zone = zone.Parent() {
		at := sourceCut{v.source.id, zone}
		if until, ok := r.secondLevel.cuts.Peek(at); ok {
			r.secondLevel.cuts.Remove(at)
			v.cuts.DropCut(zone)
			led = led || now.Before(until)
		}
	}
	return led
}

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

// secondWrite is a reply from the network that is written to the second level once it is
// validated, or need not be.
type secondWrite struct {
	key      secondlevel.Key
	wire     []byte
	received time.Time
	expires  time.Time
	written  *atomic.Bool // shared by all searches that got the same reply
}

// minSecondWriteTTL is the least time to live that is worth a write: what expires sooner
// will hardly be read.
const minSecondWriteTTL = 5 * time.Second

// secondWriteOf makes a write of a reply; nil when it is of no use to others.
func (r *iterator) secondWriteOf(v *view, cut *zoneCut, q question, m *reply) *secondWrite {
	if r.secondLevel == nil || m.secondWritten == nil || q.rrtype == dns.TypeANY || !settlesQuestion(m) || len(m.wire) > secondlevel.MaxPayload {
		return nil
	}
	now := r.settings.Now()
	expires := earliest(now.Add(time.Duration(replyTTL(m))*time.Second), cut.expires)
	if expires.Sub(now) < minSecondWriteTTL {
		return nil
	}
	return &secondWrite{key: r.secondLevel.key(v, cut.Zone, q), wire: m.wire, received: now, expires: expires, written: m.secondWritten}
}

// replyTTL is the least TTL of what a reply says.
func replyTTL(m *reply) uint32 {
	life := uint32(maxTTL)
	for _, s := range m.Answer {
		life = min(life, s.TTL)
	}
	for _, a := range m.Aliases {
		life = min(life, a.Set.TTL)
	}
	for _, s := range m.Denial {
		life = min(life, s.TTL)
	}
	if m.kind == kindNoData || m.kind == kindNameError {
		life = min(life, negativeTTL(m.SOA))
	}
	if m.kind == kindReferral {
		for _, ns := range m.NS {
			life = min(life, ns.TTL)
		}
		if m.DS != nil {
			life = min(life, m.DS.TTL)
		}
	}
	return life
}

// writeBack writes the replies that led to an answer to the second level, if the answer is
// validated or need not be.
func (r *iterator) writeBack(w *walk, f *fresh) {
	st := w.st
	if r.secondLevel == nil || st.secondLevel == secondLevelUnused || w.view.validator != nil && st.validation == nil {
		return
	}
	if f.status == dnssec.Secure && st.secondLevel == secondLevelReadAndWritten && len(st.secondReads.all()) > 0 {
		r.secondLevel.Believed() // only signed data shows that the store told the truth
	}
	r.writeSecond(w.writes)
	if st.validation != nil {
		r.writeSecond(st.validation.writes)
		st.validation.writes = nil
	}
}

func (r *iterator) writeSecond(writes []*secondWrite) {
	now := r.settings.Now()
	for _, l := range writes {
		if l != nil && l.written.CompareAndSwap(false, true) {
			b := secondlevel.Blob{Stored: l.received, Expires: l.expires, Payload: withoutSecrets(l.wire)}
			r.secondLevel.Put(l.key, b, now)
		}
	}
}

// withoutSecrets copies a message without what only we and the server share: the ID, and the
// options of the OPT record, which has cookies.
func withoutSecrets(msg []byte) []byte {
	msg = append([]byte(nil), msg...)
	if m, err := wire.Parse(msg); err == nil {
		m.BlankOptions()
	}
	msg[0], msg[1] = 0, 0
	return msg
}
