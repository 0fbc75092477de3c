package iterate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// secondLevelUse is how a search uses the second level. What is not validated stays out of
// it: questions with CD, and the addresses of name servers.
type secondLevelUse uint8

const (
	secondLevelUnused         secondLevelUse = iota
	SecondLevelWritten                       // replies are written, but not read: the servers are asked
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

// OpenSecondLevel begins to use the second level, if there is one. Its writers run from then on.
func (r *Iterator) OpenSecondLevel() {
	if r.Settings.SecondLevel == nil {
		return
	}
	cuts, _ := simplelru.NewLRU[sourceCut, time.Time](maxSecondLevelCuts, nil) // fails only for sizes below one
	r.secondLevel = &secondLevel{
		Front: secondlevel.New(r.Base, r.Settings.SecondLevel, r.Settings.SecondLevelKey, r.Spawn, r.Settings.SecondLevelChanged),
		cuts:  cuts,
	}
}

// SecondLevelStats returns the counts of the second level; zero without one.
func (r *Iterator) SecondLevelStats() secondlevel.Stats {
	if r.secondLevel == nil {
		return secondlevel.Stats{}
	}
	return r.secondLevel.Stats()
}

// key is the key of a reply of a zone's servers, for resolvers of the same view. Names that
// a route or a negative trust anchor is about belong to another view.
func (s *secondLevel) key(v *routes.View, zone dnsname.Name, q answer.Question) secondlevel.Key {
	return s.Key([]byte("reply"), v.Digest[:], []byte(zone), []byte(q.Name), []byte{byte(q.Type >> 8), byte(q.Type)})
}

// withoutSecondLevel decides whether a walk may have failed because of the second level.
// When replies or zone cuts were read from the store, it returns a query state that walks
// again without reading; else nil.
func (r *Iterator) withoutSecondLevel(st *QueryState, q answer.Question, err error) *QueryState {
	if r.secondLevel == nil || st.SecondLevel != secondLevelReadAndWritten {
		return nil
	}
	f := failure.Of(err)
	if !f.IsOfZone() {
		return nil
	}
	keys, led := st.secondReads.all(), r.forgetCuts(q)
	if len(keys) == 0 && !led {
		return nil
	}
	if f.Bogus != nil && len(keys) > 0 {
		r.secondLevel.Distrust(keys)
	}
	again := *st
	again.SecondLevel, again.secondReads = SecondLevelWritten, nil
	if st.validation != nil {
		// One cut further up, so that the delegation and its DS are fetched again.
		again.startAbove = st.validation.startCut
		again.validation = r.newValidation(&again, q)
	}
	return &again
}

// noteCut remembers whether a zone cut was read from the store.
func (s *secondLevel) noteCut(cut *routes.ZoneCut, recalled bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if recalled {
		s.cuts.Add(sourceCut{cut.Source.ID, cut.Zone}, cut.Expires)
	} else {
		s.cuts.Remove(sourceCut{cut.Source.ID, cut.Zone})
	}
}

// forgetCuts drops the zone cuts on the way to q that were read from the store, and reports
// whether there were any: they may be forged.
func (r *Iterator) forgetCuts(q answer.Question) bool {
	now, led := r.Settings.Now(), false
	v := r.routes.ViewOf(now, q)
	r.secondLevel.mu.Lock()
	defer r.secondLevel.mu.Unlock()
	for zone := q.Name; !zone.IsRoot(); zone = zone.Parent() {
		at := sourceCut{v.Source.ID, zone}
		if until, ok := r.secondLevel.cuts.Peek(at); ok {
			r.secondLevel.cuts.Remove(at)
			v.Cuts.DropCut(zone)
			led = led || now.Before(until)
		}
	}
	return led
}

// readSecond returns the reply to q of a zone's servers from the second level; nil when it
// is not to be read or has none of use. Equal reads at the same time are one.
func (r *Iterator) readSecond(ctx context.Context, st *QueryState, v *routes.View, cut *routes.ZoneCut, q answer.Question) *upstream.Reply {
	if r.secondLevel == nil || st.SecondLevel != secondLevelReadAndWritten || len(st.avoidServers) > 0 || q.Type == dns.TypeANY {
		return nil
	}
	patience := st.Budget.Reading.Left()
	by := flight.Waiter{Parent: st.flight, Events: st.Events, Budget: st.Budget}
	key := r.secondLevel.key(v, cut.Zone, q)
	shared, err := r.Flights.Do(ctx, "recall"+string(key[:]), by, flight.Func(func(fl *flight.Flight) (any, error) {
		return r.readSecondStore(fl.Ctx, st.InFlight(fl), key, cut, q, patience), nil
	}))
	if err != nil {
		return nil // the same error will keep the servers from being asked
	}
	got := shared.(secondRead)
	st.Budget.Reading.Add(got.cost, time.Now())
	if got.reply != nil {
		st.secondReads.add(key)
	}
	return got.reply
}

// secondRead is a reply from the second level, nil for none, and how long the read took.
type secondRead struct {
	reply *upstream.Reply
	cost  time.Duration
}

func (r *Iterator) readSecondStore(ctx context.Context, st *QueryState, key secondlevel.Key, cut *routes.ZoneCut, q answer.Question, patience time.Duration) secondRead {
	now, start := r.Settings.Now(), time.Now()
	read := r.secondLevel.Get(ctx, key, now, patience)
	if !read.Found {
		st.Events.SecondLevel(st.WalkRef(), events.SecondLevel{Zone: cut.Zone, Asked: q, Elapsed: time.Since(start)})
		return secondRead{nil, read.Cost}
	}
	m, err := r.secondReply(st, cut, q, read.Blob, now)
	if err != nil {
		r.secondLevel.Reject(key)
	}
	e := events.SecondLevel{Zone: cut.Zone, Asked: q, Age: now.Sub(read.Blob.Stored), Elapsed: time.Since(start), Err: err}
	if m != nil {
		e.Hit, e.Kind, e.Message = true, m.Kind.String(), m.Wire
	}
	st.Events.SecondLevel(st.WalkRef(), e)
	return secondRead{m, read.Cost}
}

// Why a value of the second level is not a reply to use.
var (
	errNotTheReply = errors.New("second level: not a whole reply to the question")
	errNotFinal    = errors.New("second level: not a reply that would have been kept")
)

// secondReply makes a reply of a blob, by the same steps as of a message from the network.
func (r *Iterator) secondReply(st *QueryState, cut *routes.ZoneCut, q answer.Question, b secondlevel.Blob, now time.Time) (*upstream.Reply, error) {
	if err := st.Budget.ChargeBytes(len(b.Payload)); err != nil {
		return nil, err
	}
	msg, m, err := withCurrentTTLs(b, now)
	if err != nil {
		return nil, err
	}
	if m.Flags&(wire.QR|wire.TC) != wire.QR || m.Opcode() != 0 || m.NoQuestion ||
		m.Question != (wire.Question{Name: q.Name, Type: q.Type, Class: dns.ClassINET}) {
		return nil, errNotTheReply
	}
	copy(msg[wire.HeaderLen:], q.Name) // as accept does
	out := r.upstream.ReadResponse(m, cut, q, msg, &slist.Server{})
	switch {
	case out.Err != nil:
		return nil, out.Err
	case !settlesQuestion(out.Reply):
		return nil, errNotFinal
	}
	out.Reply.FromSecond, out.Reply.SecondWritten = true, nil
	return out.Reply, nil
}

// settlesQuestion reports whether no other server would be asked after this reply: it is the
// zone's answer.
func settlesQuestion(m *upstream.Reply) bool {
	return m.Kind.Final() && (m.Kind != answer.KindNoData && m.Kind != answer.KindNameError || m.SOA != nil)
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
			ttl := min(section[i].TTL, answer.MaxTTL)
			section[i].TTL = min(ttl-min(ttl, age), left)
			m.PatchTTL(section[i])
		}
	}
	// A name may point into a TTL, and be another one now, or none.
	m, err = wire.Parse(msg)
	return msg, m, err
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
func (r *Iterator) secondWriteOf(v *routes.View, cut *routes.ZoneCut, q answer.Question, m *upstream.Reply) *secondWrite {
	if r.secondLevel == nil || m.SecondWritten == nil || q.Type == dns.TypeANY || !settlesQuestion(m) || len(m.Wire) > secondlevel.MaxPayload {
		return nil
	}
	now := r.Settings.Now()
	expires := earliest(now.Add(time.Duration(replyTTL(m))*time.Second), cut.Expires)
	if expires.Sub(now) < minSecondWriteTTL {
		return nil
	}
	return &secondWrite{key: r.secondLevel.key(v, cut.Zone, q), wire: m.Wire, received: now, expires: expires, written: m.SecondWritten}
}

// replyTTL is the least TTL of what a reply says.
func replyTTL(m *upstream.Reply) uint32 {
	life := uint32(answer.MaxTTL)
	for _, s := range m.Answer {
		life = min(life, s.TTL)
	}
	for _, a := range m.Aliases {
		life = min(life, a.Set.TTL)
	}
	for _, s := range m.Denial {
		life = min(life, s.TTL)
	}
	if m.Kind == answer.KindNoData || m.Kind == answer.KindNameError {
		life = min(life, answer.NegativeTTL(m.SOA))
	}
	if m.Kind == answer.KindReferral {
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
func (r *Iterator) writeBack(w *walk, f *fresh) {
	st := w.st
	if r.secondLevel == nil || st.SecondLevel == secondLevelUnused || w.view.Validator != nil && st.validation == nil {
		return
	}
	if f.Status == dnssec.Secure && st.SecondLevel == secondLevelReadAndWritten && len(st.secondReads.all()) > 0 {
		r.secondLevel.Believed() // only signed data shows that the store told the truth
	}
	r.writeSecond(w.writes)
	if st.validation != nil {
		r.writeSecond(st.validation.writes)
		st.validation.writes = nil
	}
}

func (r *Iterator) writeSecond(writes []*secondWrite) {
	now := r.Settings.Now()
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
