package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// memoryStore is a store in memory, which programs that were started one after the other share.
type memoryStore struct {
	mu    sync.Mutex
	text  []byte
	saved int
}

func (s *memoryStore) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.text), nil
}

func (s *memoryStore) Save(_ context.Context, state, was []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(was) != string(s.text) {
		return dnssec.ErrStoreChanged
	}
	s.text, s.saved = slices.Clone(state), s.saved+1
	return nil
}

// rehearsal is what is announced for the root's keys, in virtual time: the key of 2017 is revoked
// while that of 2024 signs, and then an ECDSA key takes over, with signatures by both algorithms
// for most of a year.
type rehearsal struct {
	*rootRoll
	ksk2017, ksk2024, ecdsa rootKey
	began, resigned         time.Time
	current                 int // index in calendar; -1 at first
}

// Days of the rehearsal from which something is new.
const (
	dayRevoked2017 = 30
	dayRemoved2017 = 90
	dayECDSA       = 120
	dayRevoked2024 = 300
	dayOnlyECDSA   = 360
	dayEnd         = 400
)

func newRehearsal(t testing.TB) *rehearsal {
	t.Helper()
	return &rehearsal{
		rootRoll: newRootRoll(t, rsaZone), ksk2017: newRootKey(t, dns.RSASHA256), ksk2024: newRootKey(t, dns.RSASHA256),
		ecdsa: newRootKey(t, dns.ECDSAP256SHA256), began: time.Now(), current: -1,
	}
}

const (
	rsaZone   = "algorithm=8"
	bothZone  = "algorithm=8,13 bits=1536 zsk=1,2 sign=1,2"
	ecdsaZone = "algorithm=8,13 zsk=2 sign=2"
)

// today puts the root into the stage of the day, and has its zones signed anew before they expire.
func (r *rehearsal) today(t testing.TB) {
	t.Helper()
	a, b, c := r.ksk2017, r.ksk2024, r.ecdsa
	stages := []struct {
		from    int
		zone    string
		keys    []rootKey
		signers []rootKey
	}{
		{0, rsaZone, []rootKey{a, b}, []rootKey{b}},
		{dayRevoked2017, rsaZone, []rootKey{a.revoked(), b}, []rootKey{a.revoked(), b}},
		{dayRemoved2017, rsaZone, []rootKey{b}, []rootKey{b}},
		{dayECDSA, bothZone, []rootKey{b, c}, []rootKey{b, c}},
		{dayRevoked2024, bothZone, []rootKey{b.revoked(), c}, []rootKey{b.revoked(), c}},
		{dayOnlyECDSA, ecdsaZone, []rootKey{c}, []rootKey{c}},
	}
	now := 0
	for i, s := range stages {
		if time.Since(r.began) >= time.Duration(s.from)*day {
			now = i
		}
	}
	s := stages[now]
	if now != r.current || time.Since(r.resigned) >= 27*day {
		r.current, r.resigned = now, time.Now()
		r.stage(s.keys, s.signers...)
		r.resign(t, s.zone)
	}
}

// until lets time pass until a day, and calls each, if not nil, twice a day.
func (r *rehearsal) until(t testing.TB, last int, each func()) {
	t.Helper()
	for end := r.began.Add(time.Duration(last) * day); time.Now().Before(end); time.Sleep(12 * time.Hour) {
		r.today(t)
		if each != nil {
			each()
		}
	}
	r.today(t)
}

// A year and more of the root's changes of keys, with a program that follows them and asks all the
// time: every answer is secure, the root is asked for its keys some two times a day, and the replies
// of both algorithms need no TCP.
func TestRootRehearsal(t *testing.T) {
	if testing.Short() {
		t.Skip("a year takes seconds")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newRehearsal(t)
		w.today(t)
		r, err := w.resolver(t, new(memoryStore), []rootKey{w.ksk2017, w.ksk2024})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n, largest, tcp := 0, 0, 0
		states := make(map[string]int) // the day of each change
		w.until(t, dayEnd, func() {
			n++
			today := int(time.Since(w.began) / day)
			if got := statusOf(t, r, fmt.Sprintf("n%d.www.example.", n)); got != dnssec.Secure {
				t.Errorf("day %d: got %v", today, got)
			}
			for name, key := range map[string]rootKey{"2017": w.ksk2017, "2024": w.ksk2024, "ECDSA": w.ecdsa} {
				change := name + " " + stateOf(r, key)
				if _, ok := states[change]; !ok {
					states[change] = today
				}
			}
		})
		for change, want := range map[string]int{
			"2017 Valid": 0, "2017 Revoked": dayRevoked2017, "2017 Removed": dayRemoved2017,
			"ECDSA AddPend": dayECDSA, "ECDSA Valid": dayECDSA + 30, "2024 Revoked": dayRevoked2024, "2024 Removed": dayOnlyECDSA,
		} {
			if got, ok := states[change]; !ok || got < want || got > want+2 {
				t.Errorf("%s on day %d (%t), want %d or soon after", change, got, ok, want)
			}
		}
		if n := w.keyQueries(); n < dayEnd || n > 5*dayEnd/2 {
			t.Errorf("%d queries for the root's keys in %d days, want one a day to follow them and less than two to validate", n, dayEnd)
		}
		for _, q := range w.in.Log(resolvertest.Name("."), resolvertest.Type(dns.TypeDNSKEY)) {
			// While an RSA key is revoked two of them sign, which does not fit into 1,232 bytes.
			if d := q.Time.Sub(w.began); d < dayRevoked2017*day || d >= dayRemoved2017*day {
				largest = max(largest, q.ReplySize)
				if q.Network == "tcp" {
					tcp++
				}
			}
		}
		if tcp != 0 || largest > 1232 || largest < 1000 {
			t.Errorf("%d queries over TCP; the largest set of keys has %d bytes, want at most 1232", tcp, largest)
		}
		if s := r.Stats(); s.Anchors.RefreshFailed != 0 || s.Failures[resolver.FailureBogus] != 0 {
			t.Errorf("got %+v and failures %v", s.Anchors, s.Failures)
		}
	})
}

// slept is a program that did not run from one day of the rehearsal to another.
type slept struct {
	label      string
	from, till int
	fails      bool // it is bogus when it runs again, and with newer anchors it is not
	lost       bool // what it has stored then is of no use without newer anchors
}

// A program that slept a month, a year or three ends validating, or is told what to do, and that
// helps: anchors of a newer library beside the same store.
func TestRootRehearsalSlept(t *testing.T) {
	for _, s := range []slept{
		{"a month, while the first key is revoked", 20, 50, false, false},
		{"half a year, into the time of both algorithms", 100, 260, false, false},
		{"a year, past both", 20, 385, true, false},
		{"three years", 20, 20 + 3*365, true, false},
		{"until its last key is being revoked", 100, 310, true, true},
	} {
		t.Run(s.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { s.run(t) })
		})
	}
}

func (s *slept) run(t *testing.T) {
	w := newRehearsal(t)
	store, trusted := new(memoryStore), []rootKey{w.ksk2017, w.ksk2024}
	w.today(t)
	r, err := w.resolver(t, store, trusted)
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, s.from, nil)
	if got := statusOf(t, r, "before.www.example."); got != dnssec.Secure {
		t.Fatalf("before it slept: got %v", got)
	}
	r.Close()
	time.Sleep(time.Until(w.began.Add(time.Duration(s.till) * day)))
	w.today(t)
	if r, err = w.resolver(t, store, trusted); err != nil {
		t.Fatal(err)
	}
	n := 0
	w.until(t, s.till+3, func() {
		n++
		got, err := r.Resolve(t.Context(), fmt.Sprintf("n%d.www.example.", n), dns.TypeA)
		switch {
		case !s.fails && (err != nil || got.Status != dnssec.Secure):
			t.Fatalf("got %v, %v", got, err)
		case s.fails && !tellsOfNewKeys(err):
			t.Fatalf("got %v, explained as %q", err, resolver.Explain(err))
		}
	})
	r.Close()
	if !s.fails {
		return
	}
	r, err = w.resolver(t, store, trusted) // once more, with nothing new
	if lost := errors.Is(err, dnssec.ErrNoAnchorLeft); lost != s.lost || lost && !tellsOfNewKeys(err) {
		t.Fatalf("got %v, explained as %q; want lost %t", err, resolver.Explain(err), s.lost)
	}
	if err == nil {
		r.Close()
	}
	if r, err = w.resolver(t, store, append(trusted, w.ecdsa)); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := statusOf(t, r, "after.www.example."); got != dnssec.Secure {
		t.Errorf("with the anchors of a newer library: got %v", got)
	}
	w.until(t, s.till+6, nil)
	if old := stateOf(r, w.ksk2024); s.lost && old != "Revoked" {
		t.Errorf("the revoked key is %q, want Revoked: a list must not bring it back", old)
	}
}

// tellsOfNewKeys reports whether an error, explained, says that the keys are new ones, and where
// they are.
func tellsOfNewKeys(err error) bool {
	text := resolver.Explain(err)
	return (strings.Contains(text, "have been replaced while this program did not run") || strings.Contains(text, "has been revoked by its owner while it did not run")) &&
		strings.Contains(text, "Update the library") && strings.Contains(text, "https://data.iana.org/root-anchors/")
}
