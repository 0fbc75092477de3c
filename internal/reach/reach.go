package reach

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/answer"
)

// Way is how name servers are reached.
type Way uint8

const (
	Open    Way = iota // over UDP, as far as is known
	OverTCP            // UDP does not lead to the root servers, TCP does
	Closed             // neither does
)

const (
	// AddrsNeeded is how many root servers must fail over UDP before the network is blamed: they
	// are operated apart, and two of them are never down together.
	AddrsNeeded = 3
	// questionsNeeded is how many different questions must fail, at some or at all root servers:
	// one may fail for what it asks, as a filter drops some names only.
	questionsNeeded = 2
	// repliesNeeded is how many replies over TCP show that it leads to the root servers.
	repliesNeeded = 2
	// evidenceFor is how long observations add up. A network that drops UDP drops all of it: what
	// is needed comes together within the first seconds.
	evidenceFor = 30 * time.Second
	// rememberFor is how long what was found out about the network holds after it was last
	// confirmed: so long a laptop sleeps between two networks (Unbound forgets servers as late).
	rememberFor = 15 * time.Minute
	// backNeeded is how many tests in a row have to succeed before UDP, or the root servers, are used
	// again: one that gets through where an interceptor comes and goes shows nothing.
	backNeeded = 3
	// testFirst and testMax are after what time UDP is tested at first and at last; a test that
	// fails doubles it. Each is one query.
	testFirst = 30 * time.Second
	testMax   = 8 * time.Minute
	// testClosed is the time between two tests while no root server can be asked at all, so
	// that a user who logs in to a captive portal does not wait for long.
	testClosed = 15 * time.Second
	// testAgain is the time between two tests when the last one succeeded.
	testAgain = 5 * time.Second
	// checkEvery is how often the root servers are asked only because others are silent, and for
	// how long one reply over UDP shows that this is not needed.
	checkEvery = 10 * time.Second
	// movedEvery is how often it is looked whether the host has another address now.
	movedEvery = time.Second
)

// Network is what is known about the network. It is safe for concurrent use. The zero value is
// that of a network that nothing is known about.
type Network struct {
	// Local returns the address from which this host would ask a root server; the zero Addr if
	// there is none. When it changes, what is known belongs to another network. Nil: not known.
	Local func() netip.Addr

	way     atomic.Uint32 // a Way; written under mu
	doubted atomic.Bool   // there are observations that may add up; written under mu

	mu        sync.Mutex
	since     time.Time // of the first observation
	silent    []netip.AddrPort
	of        int               // how many addresses root servers have
	aliens    int               // observations that something else answered
	questions []answer.Question // that were asked of them
	replies   int               // over TCP meanwhile
	silentTCP []netip.AddrPort  // root servers that were silent over TCP meanwhile, or closed the connection
	failed    []answer.Question // questions that failed at all root servers, with no reply from one between
	aliensTCP []netip.AddrPort  // root servers in whose place something else answered over TCP, with no reply from one between
	toAliens  []answer.Question // that were asked there

	heardUDP  time.Time // the last reply of a root server over UDP
	checked   time.Time // the last check
	local     netip.Addr
	looked    time.Time // for local, the last time
	confirmed time.Time // the way
	testAt    time.Time // the next test
	testWait  time.Duration
	testing   bool
	testTCP   bool // it is over TCP: the two take turns where both are closed, while they fail
	back      int  // tests that have succeeded in a row
	counts    [Closed + 1]uint64
}

// Way returns how name servers are reached now.
func (n *Network) Way(now time.Time) Way {
	if Way(n.way.Load()) == Open {
		return Open
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !recent(now, n.confirmed, rememberFor) || n.moved(now) {
		n.set(now, Open)
	}
	return Way(n.way.Load())
}

// moved reports whether this host has another address than when the way was found out.
func (n *Network) moved(now time.Time) bool {
	if n.Local == nil || recent(now, n.looked, movedEvery) {
		return false
	}
	n.looked = now
	local := n.Local()
	return local.IsValid() && n.local.IsValid() && local != n.local
}

// Counts returns how often the way changed to OverTCP, and to Closed.
func (n *Network) Counts() (overTCP, closed uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts[OverTCP], n.counts[Closed]
}

// FailedUDP records that one of so many addresses of root servers did not answer q over UDP. alien
// says that something else answered in its place.
func (n *Network) FailedUDP(now time.Time, server netip.AddrPort, of int, q answer.Question, alien bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	n.silent, n.of = addOnce(n.silent, server, AddrsNeeded), of
	n.questions = addOnce(n.questions, q, questionsNeeded)
	if alien {
		n.aliens++
	}
	n.doubted.Store(true)
	n.decide(now)
}

// FailedTCP records that one of so many addresses of root servers did not answer q over TCP either. Where
// servers enough leave questions enough without a reply over all that they are asked over, the network is
// closed.
func (n *Network) FailedTCP(now time.Time, server netip.AddrPort, of int, q answer.Question) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	n.silentTCP, n.of = addOnce(n.silentTCP, server, AddrsNeeded), of
	n.questions = addOnce(n.questions, q, questionsNeeded)
	n.doubted.Store(true)
	n.decide(now)
}

// Heard records that a server that is no root server answered over UDP: where UDP is dropped, none
// does.
func (n *Network) Heard() {
	if !n.doubted.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.aliens == 0 {
		n.forgetObservations()
	}
}

// Reached records that a root server itself has answered, over TCP or UDP.
func (n *Network) Reached(now time.Time, overTCP bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	n.forgetFailures()
	switch Way(n.way.Load()) {
	case Open:
		if !overTCP {
			n.heardUDP = now
			n.forgetObservations()
			return
		}
		if n.doubted.Load() {
			n.replies++
			n.decide(now)
		}
	case OverTCP:
		if overTCP {
			n.confirmed = now
			n.forgetObservations()
		}
	case Closed:
		n.succeeded(now, overTCP)
	}
}

// AlienTCP records that something else than one of so many addresses of root servers answered q over
// TCP too.
func (n *Network) AlienTCP(now time.Time, server netip.AddrPort, of int, q answer.Question) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	n.aliensTCP, n.toAliens = addOnce(n.aliensTCP, server, AddrsNeeded), addOnce(n.toAliens, q, questionsNeeded)
	n.doubted.Store(true)
	switch {
	case Way(n.way.Load()) == Closed:
		n.confirmed = now
	case len(n.aliensTCP) >= min(AddrsNeeded, of) && len(n.toAliens) >= questionsNeeded:
		n.set(now, Closed)
	}
}

// ReachedOverTLS records that a root server has answered over TLS, as Options.RequireTLS asks for: it
// can be asked, and that says nothing about UDP and TCP at port 53.
func (n *Network) ReachedOverTLS(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	n.forgetFailures()
	if Way(n.way.Load()) == Closed {
		n.succeeded(now, false)
	}
}

// Failed records that q failed at all root servers, over UDP and TCP.
func (n *Network) Failed(now time.Time, q answer.Question) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	n.failed = addOnce(n.failed, q, questionsNeeded)
	n.doubted.Store(true)
	switch {
	case Way(n.way.Load()) == Closed:
		n.confirmed = now
	case len(n.failed) >= questionsNeeded:
		n.set(now, Closed)
	}
}

// NoRoute records that this host can send nothing: the next network may be another one.
func (n *Network) NoRoute(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if Way(n.way.Load()) == OverTCP {
		n.set(now, Open)
	}
}

// MayCheck reports whether root servers may be asked now only to find out whether they can be, and
// counts that as a check.
func (n *Network) MayCheck(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	heard := recent(now, n.heardUDP, checkEvery) && len(n.silentTCP) == 0 // else silence has followed
	if heard || recent(now, n.checked, checkEvery) || Way(n.way.Load()) == Closed {
		return false
	}
	n.checked = now
	return true
}

// Test reports whether one query may test the way now, and over which network. The test has to be
// ended by EndTest; there is one at a time.
func (n *Network) Test(now time.Time) (overTCP, due bool) {
	if Way(n.way.Load()) == Open {
		return false, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.testing || ahead(now, n.testAt, testMax) {
		return false, false
	}
	n.testing = true
	return n.testTCP, true
}

// EndTest ends a test over UDP or TCP. reached says that the root server itself has answered.
func (n *Network) EndTest(now time.Time, overTCP, reached bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.testing = false
	switch {
	case Way(n.way.Load()) == Open:
	case reached:
		n.succeeded(now, overTCP)
	default:
		n.confirmed, n.back = now, 0
		n.testAt = now.Add(n.testWait)
		if Way(n.way.Load()) == OverTCP {
			n.testWait = min(2*n.testWait, testMax)
		} else {
			n.testTCP = !n.testTCP
		}
	}
}

// succeeded counts a reply of a root server over what is taken to be closed.
func (n *Network) succeeded(now time.Time, overTCP bool) {
	n.back++
	n.testAt = now.Add(testAgain)
	switch {
	case n.back < backNeeded:
	case overTCP:
		n.set(now, OverTCP)
	default:
		n.set(now, Open)
	}
}

// decide moves to TCP, or finds the network closed, when enough has been observed.
func (n *Network) decide(now time.Time) {
	enough, way := min(AddrsNeeded, n.of), Way(n.way.Load())
	silent, silentTCP := len(n.silent) >= enough, len(n.silentTCP) >= enough && n.replies == 0 && n.aliens == 0
	switch {
	case len(n.questions) < questionsNeeded:
	case way == Open && silent && n.replies >= repliesNeeded:
		n.set(now, OverTCP)
	case way == Open && silent && silentTCP, way == OverTCP && silentTCP:
		n.set(now, Closed)
	}
}

// set changes the way.
func (n *Network) set(now time.Time, way Way) {
	n.forgetFailures()
	n.forgetObservations()
	n.back, n.testTCP = 0, false
	n.confirmed, n.testWait = now, testFirst
	if way == Closed {
		n.testWait = testClosed
	}
	n.testAt = now.Add(n.testWait)
	if n.Local != nil && way != Open {
		n.local, n.looked = n.Local(), now
	}
	n.counts[way]++
	n.way.Store(uint32(way))
}

// age forgets what was observed too long ago.
func (n *Network) age(now time.Time) {
	if !n.doubted.Load() {
		n.since = now
	}
	if !recent(now, n.since, evidenceFor) {
		n.forgetFailures()
		n.forgetObservations()
		n.since = now
	}
}

func (n *Network) forgetObservations() {
	n.silent, n.silentTCP, n.questions, n.aliens, n.replies = nil, nil, nil, 0, 0
	n.doubted.Store(len(n.failed)+len(n.aliensTCP) > 0)
}

func (n *Network) forgetFailures() { n.failed, n.aliensTCP, n.toAliens = nil, nil, nil }

// addOnce adds one that is not there yet, up to most of them.
func addOnce[T comparable](all []T, one T, most int) []T {
	if len(all) < most && !slices.Contains(all, one) {
		return append(all, one)
	}
	return all
}

// recent reports whether at was less than length ago, by a clock that may have been set back.
func recent(now, at time.Time, length time.Duration) bool {
	age := now.Sub(at)
	return !at.IsZero() && age < length && age > -length
}

// ahead reports whether until is still to come, and no further off than it was set.
func ahead(now, until time.Time, length time.Duration) bool {
	left := until.Sub(now)
	return left > 0 && left <= length
}
