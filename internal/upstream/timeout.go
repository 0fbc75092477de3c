package upstream

import "time"

// timeout is how long to wait for the reply to this send.
func (x *exchange) timeout() time.Duration { return x.wait() + x.to.Jitter }

func (x *exchange) wait() time.Duration {
	e := x.to.Estimate
	switch {
	case x.to.TCPUnproven && x.network == "tcp":
		return unprovenTCPTimeout
	case x.network == "tcp":
		return tcpTimeout
	case x.Cut.Source.Forwards():
		return max(e.Timeout, forwardTimeout<<min(max(x.to.Tries-1, 0), 2))
	case x.to.ExtraSend:
		return max(e.Timeout, LoneTimeout)
	case e.Dead:
		return e.Timeout
	case x.to.GetsSlowTimeout(x.SideLookup):
		x.to.WaitedSlow = true
		return max(e.Timeout, slowTimeout)
	case x.to.WaitLonger && !e.Known, x.to.OnlyChoice && x.to.LastTry:
		return max(e.Timeout, LoneTimeout)
	}
	return e.Timeout
}

// tcpTimeout is how long a reply over TCP is waited for, connecting included.
const tcpTimeout = 3 * time.Second

// unprovenTCPTimeout is the same for a root server of which it is only tried whether it can be reached
// over TCP: one lost packet (RFC 6298 §2: a second), and two round trips to the nearest instance.
const unprovenTCPTimeout = 1500 * time.Millisecond

// LoneTimeout is how long the first reply of a server is waited for when no other server
// could be asked: asking the same server again too early throws its reply away.
const LoneTimeout = 800 * time.Millisecond

// slowTimeout is how long the reply of the only server is waited for when the first one did
// not come. Either it was lost, or the server is slower than most, as behind a satellite and
// a queue, or is slow with this question: a server that answers for its keys at once may
// have to fetch the rest. The sockets of earlier sends are not kept open instead, since each
// would be one more target for a forger. With three sends a silent server is found out after
// 3.6 s, before stub resolvers give up (resolv.conf(5): 5 s).
const slowTimeout = 2 * time.Second

// forwardTimeout is how long a forwarder is waited for at first, twice as long the next
// time, and so on: it answers at once from its cache, and waits for other servers otherwise.
const forwardTimeout = time.Second
