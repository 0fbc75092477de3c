package resolver

import (
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/internal/wire"
)

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
