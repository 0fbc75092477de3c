package routes

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/printable"
)

const (
	// tlsFaultFirst is for how long a server that could not be asked over TLS is left to others at
	// first; each further time doubles that, up to tlsFaultMax, which is shorter than that of silent
	// servers (infra.deadMax), since not even a question without another server asks it before.
	tlsFaultFirst = time.Second
	tlsFaultMax   = 15 * time.Second
	// tlsFaultsUrgent is how often in a row a server is asked at once by a question that has no other:
	// a connection may fail once or twice because the server is being started.
	tlsFaultsUrgent = 3
	// tlsFaultKept is for how long it is remembered that a server could not be asked.
	tlsFaultKept = 15 * time.Minute
	// maxTLSFaults is how many such servers are remembered: hostile zones can name any number.
	maxTLSFaults = 1024
	// maxTLSFaultText is how much of an error is kept, which may have all names of a certificate.
	maxTLSFaultText = 256
)

// tlsPlace is a server as it is verified: a zone that names the server of another zone by a name that
// the certificate does not have must not make it fail for that one.
type tlsPlace struct {
	addr netip.AddrPort
	peer tlsPeer
}

func (s tlsSender) at(addr netip.AddrPort) tlsPlace {
	return tlsPlace{addr, s.peer}
}

// tlsFaults are the servers that could not be asked over TLS. The zero value has none.
type tlsFaults struct {
	mu sync.Mutex
	of map[tlsPlace]tlsFault
}

// tlsFault is what is remembered of such a server.
type tlsFault struct {
	times int       // in a row
	at    time.Time // the last time, by time.Now
	until time.Time // it is left to others
	err   error
}

// Fault is why a server is marked down that has to be asked over TLS.
type Fault struct {
	Err    error     // nil: it is not marked down
	Until  time.Time // only a question without another server asks it before
	Barred bool      // no question asks it now
}

// Fault returns whether the server is marked down because it could not be asked over TLS. It is for
// servers that have to be.
func (f *Forwarder) Fault(now time.Time) Fault {
	s, ok := f.Sender.(tlsSender)
	if !ok {
		return Fault{}
	}
	return s.faults.find(now, s.at(f.Addr))
}

// NoteFault marks the server down for an attempt to ask it that began at a time of time.Now. One of
// several that failed together counts.
func (f *Forwarder) NoteFault(now, began time.Time, err error) {
	if s, ok := f.Sender.(tlsSender); ok {
		s.faults.note(now, began, s.at(f.Addr), err)
	}
}

// NoteReply ends that.
func (f *Forwarder) NoteReply() {
	if s, ok := f.Sender.(tlsSender); ok {
		s.faults.forget(s.at(f.Addr))
	}
}

func (t *tlsFaults) find(now time.Time, at tlsPlace) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.of[at]
	switch {
	case !ok:
		return Fault{}
	case !known.holds(now):
		delete(t.of, at)
		return Fault{}
	}
	return Fault{known.err, known.until, known.times >= tlsFaultsUrgent && now.Before(known.until)}
}

func (t *tlsFaults) note(now, began time.Time, at tlsPlace, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.of[at]
	switch {
	case ok && !known.holds(now):
		known = tlsFault{}
	case ok && began.Before(known.at):
		return
	case !ok && len(t.of) >= maxTLSFaults:
		t.evict(now)
	}
	known.times++
	known.at, known.err = time.Now(), kept(err)
	known.until = now.Add(min(tlsFaultFirst<<min(known.times-1, 10), tlsFaultMax))
	if t.of == nil {
		t.of = make(map[tlsPlace]tlsFault)
	}
	t.of[at] = known
}

func (t *tlsFaults) forget(at tlsPlace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, at)
}

// evict forgets all that has expired, or one at random.
func (t *tlsFaults) evict(now time.Time) {
	for at, known := range t.of {
		if !known.holds(now) {
			delete(t.of, at)
		}
	}
	for at := range t.of {
		if len(t.of) < maxTLSFaults {
			return
		}
		delete(t.of, at)
	}
}

// holds reports whether a fault is remembered still, by a clock that may have been set back.
func (f tlsFault) holds(now time.Time) bool {
	left := f.until.Sub(now)
	return left > -tlsFaultKept && left <= tlsFaultMax
}

// kept returns an error without what it points to, which may be a whole certificate.
func kept(err error) error {
	var certificate *failure.CertificateError
	if errors.As(err, &certificate) {
		return &failure.CertificateError{What: certificate.What, Err: errors.New(short(certificate.Err.Error()))}
	}
	return errors.New(short(err.Error()))
}

func short(text string) string {
	if len(text) > maxTLSFaultText {
		text = text[:maxTLSFaultText] + "…"
	}
	return printable.Lines(text)
}
