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

// sharing says what the second level has to do with a search. What nobody validates
// keeps away from it: questions with CD, and the addresses of name servers.
type sharing uint8

const (
	sharesNothing sharing = iota
	sharesLessons         // what is learnt is written, but the servers are asked
	sharesAll             // it is read too
)

// maxReadTime is how long one question waits for the second level, all reads together:
// as many as it takes to find out that the store is dead.
const maxReadTime = 3 * secondlevel.ReadPatience

// second is the store shared with other resolvers, as the walk sees it: between a zone
// cut and the zone's servers. What it holds are replies of servers, and a reply that
// comes out of it goes the way of one that comes off the network.
type second struct {
	*secondlevel.Front

	mu sync.Mutex
	// Zone cuts that the store led to, and until when. Guarded by mu.
	cuts *simplelru.LRU[cutOf, time.Time]
}

// cutOf names a zone cut of a source.
type cutOf struct {
	source uint32
	zone   dnsname.Name
}

// maxSecondCuts is how many zone cuts are remembered as the store's word.
const maxSecondCuts = 4096

func (r *Resolver) newSecond() *second {
	if r.config.SecondLevel == nil {
		return nil
	}
	cuts, _ := simplelru.NewLRU[cutOf, time.Time](maxSecondCuts, nil) // fails for sizes below one only
	return &second{
		Front: secondlevel.New(r.base, r.config.SecondLevel, r.config.SecondLevelKey, r.spawn),
		cuts:  cuts,
	}
}

// key names a reply of a zone's servers for resolvers of the same view. What a route or a
// negative trust anchor has to do with is of another view.
func (s *second) key(rl *realm, zone dnsname.Name, q question) secondlevel.Key {
	return s.Key([]byte("reply"), rl.digest[:], []byte(zone), []byte(q.name), []byte{byte(q.rrtype >> 8), byte(q.rrtype)})
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

// recall gives what the second level knows of a zone's servers' reply to q; nil when it
// is not to be asked or knows nothing of use. Equal questions to it are one.
func (r *Resolver) recall(ctx context.Context, t *task, rl *realm, cut *zoneCut, q question) *reply {
	if r.second == nil || t.sharing != sharesAll || len(t.avoid) > 0 || q.rrtype == dns.TypeANY {
		return nil
	}
	patience := maxReadTime - time.Duration(t.budget.reading.Load())
	start := time.Now()
	by := traveller{parent: t.flight, heard: t.heard, budget: t.budget}
	key := r.second.key(rl, cut.Zone, q)
	v, err := r.flights.do(ctx, "recall"+string(key[:]), by, func(fl *flight) (any, error) {
		return r.readSecond(fl.ctx, t.in(fl), key, cut, q, patience), nil
	})
	t.budget.reading.Add(int64(time.Since(start)))
	if err != nil {
		return nil // whatever it is stops the servers from being asked too
	}
	m := v.(*reply)
	if m != nil {
		t.recalls.add(key)
	}
	return m
}

func (r *Resolver) readSecond(ctx context.Context, t *task, key secondlevel.Key, cut *zoneCut, q question, patience time.Duration) *reply {
	now, start := r.config.Now(), time.Now()
	b, ok := r.second.Get(ctx, key, now, patience)
	if !ok {
		t.tellSecond(cut, q, start, nil, 0, nil)
		return nil
	}
	m, err := r.secondReply(t, cut, q, b, now)
	if err != nil {
		r.second.Refuse(key)
	}
	t.tellSecond(cut, q, start, m, now.Sub(b.Stored), err)
	return m
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

// lesson is a reply off the network that may be worth telling others, once it is known to
// be true.
type lesson struct {
	key     secondlevel.Key
	octets  []byte
	learnt  time.Time
	expires time.Time
	told    *atomic.Bool // by whoever else learnt from the same reply
}

// minLesson is the least life that is worth writing: what is gone in a moment nobody else
// will ask for in time.
const minLesson = 5 * time.Second

// lessonOf makes a lesson of a reply; nil when it is of no use to others.
func (r *Resolver) lessonOf(rl *realm, cut *zoneCut, q question, m *reply) *lesson {
	if r.second == nil || m.told == nil || q.rrtype == dns.TypeANY || !worthKeeping(m) || len(m.wire) > secondlevel.MaxPayload {
		return nil
	}
	now := r.config.Now()
	expires := earliest(now.Add(time.Duration(lifeOf(m))*time.Second), cut.expires)
	if expires.Sub(now) < minLesson {
		return nil
	}
	return &lesson{key: r.second.key(rl, cut.Zone, q), octets: m.wire, learnt: now, expires: expires, told: m.told}
}

// lifeOf is how long all that a reply says is true, in seconds.
func lifeOf(m *reply) uint32 {
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
	if m.kind == noData || m.kind == nameError {
		life = min(life, negativeTTL(m.SOA))
	}
	if m.kind == referral {
		for _, ns := range m.NS {
			life = min(life, ns.TTL)
		}
		if m.DS != nil {
			life = min(life, m.DS.TTL)
		}
	}
	return life
}

// share tells others what led to a finding that is validated, or need not be.
func (r *Resolver) share(w *walk, f *finding) {
	t := w.t
	if r.second == nil || t.sharing == sharesNothing || w.rl.validator != nil && t.proof == nil {
		return
	}
	if f.status == dnssec.Secure && t.sharing == sharesAll && len(t.recalls.all()) > 0 {
		r.second.Believed() // what is not signed proves nothing of who says it
	}
	r.tellOthers(f.lessons)
	if t.proof != nil {
		r.tellOthers(t.proof.lessons)
		t.proof.lessons = nil
	}
}

func (r *Resolver) tellOthers(lessons []*lesson) {
	now := r.config.Now()
	for _, l := range lessons {
		if l != nil && l.told.CompareAndSwap(false, true) {
			b := secondlevel.Blob{Stored: l.learnt, Expires: l.expires, Payload: withoutSecrets(l.octets)}
			r.second.Put(l.key, b, now)
		}
	}
}

// withoutSecrets copies a message without what is between us and the server: the ID, and
// the options of the OPT record, which has cookies.
func withoutSecrets(octets []byte) []byte {
	octets = append([]byte(nil), octets...)
	if m, err := wire.Parse(octets); err == nil {
		m.BlankOptions()
	}
	octets[0], octets[1] = 0, 0
	return octets
}

// doubting decides what it means for the second level that a walk failed. When the store
// had a part in it, it gives a task that walks again as if there were no store; else nil.
func (r *Resolver) doubting(t *task, q question, err error) *task {
	if r.second == nil || t.sharing != sharesAll || !aboutZone(err) {
		return nil
	}
	keys, led := t.recalls.all(), r.forgetCuts(q)
	if len(keys) == 0 && !led {
		return nil
	}
	var bogus *bogusError
	if errors.As(err, &bogus) && len(keys) > 0 {
		r.second.Distrust(keys)
	}
	again := *t
	again.sharing, again.recalls = sharesLessons, nil
	if t.proof != nil {
		// One cut further up, so that the delegation and its DS come anew.
		again.startAbove = t.proof.started
		again.proof = r.newProof(&again, q)
	}
	return &again
}

// aboutZone reports whether an error is about what a zone's servers say, or that they say
// nothing.
func aboutZone(err error) bool {
	var bogus *bogusError
	var zone *zoneError
	return err != nil && !ownTrouble(err) && (errors.As(err, &bogus) || errors.As(err, &zone))
}

// noteCut remembers who said that there is a zone cut.
func (s *second) noteCut(cut *zoneCut, recalled bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if recalled {
		s.cuts.Add(cutOf{cut.from.id, cut.Zone}, cut.expires)
	} else {
		s.cuts.Remove(cutOf{cut.from.id, cut.Zone})
	}
}

// forgetCuts drops the zone cuts on the way to q that are the store's word, and reports
// whether there were any: their servers may be somebody else's.
func (r *Resolver) forgetCuts(q question) bool {
	now, led := r.config.Now(), false
	rl := r.realmOf(now, q)
	r.second.mu.Lock()
	defer r.second.mu.Unlock()
	for zone := q.name; !zone.IsRoot(); zone = zone.Parent() {
		at := cutOf{rl.source.id, zone}
		if until, ok := r.second.cuts.Peek(at); ok {
			r.second.cuts.Remove(at)
			rl.cuts.DropCut(zone)
			led = led || now.Before(until)
		}
	}
	return led
}

// SecondLevelStats counts what came of Options.SecondLevel. The counts only grow, and are
// not taken at one moment.
type SecondLevelStats struct {
	Hits        uint64 `json:"hits"`         // values that were read and could be opened
	Misses      uint64 `json:"misses"`       // there was none, or it had expired
	Errors      uint64 `json:"errors"`       // reads that failed or took too long
	Skipped     uint64 `json:"skipped"`      // reads not made: the store does not work, lies, or is too slow for the question
	Refused     uint64 `json:"refused"`      // values that are damaged, foreign, or say what no server could have said
	Bogus       uint64 `json:"bogus"`        // answers that values had a part in, and that were not true
	Writes      uint64 `json:"writes"`       // values stored
	WriteErrors uint64 `json:"write_errors"` // writes that failed
	Dropped     uint64 `json:"dropped"`      // writes not made: the queue was full, or the store does not work
}

// SecondLevelStats gives the counts since New; zero without Options.SecondLevel. Unlike
// Stats, which has them too, it looks at nothing else, and takes no locks.
func (r *Resolver) SecondLevelStats() SecondLevelStats {
	if r.second == nil {
		return SecondLevelStats{}
	}
	return SecondLevelStats(r.second.Stats())
}
