package resolver

import (
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
)

// serverAddr is one address of a server that may be asked.
type serverAddr struct {
	addr      netip.AddrPort
	name      dnsname.Name // of the name server
	forwarder *forwarder   // set for a server of a route that is given by address
	guard     *loopGuard   // nil: not a server of a route
	estimate  infra.Estimate
	score     time.Duration
	// jitter is added to how long a reply is waited for: next to nothing, but never the same
	// twice. So two queries that are lost together never time out at one instant, and what
	// is learnt about the server does not depend on which of them is handled first.
	jitter time.Duration
	tries  int
	// lowPriority: it is known not to serve the zone, or its data turned out bogus, or the
	// name's own zone has other addresses.
	lowPriority     bool
	apexOnly        bool         // only the zone itself names it
	endProbe        func()       // ends the probe that its exchange is; nil: it is not a probe
	waitLonger      bool         // there is no other server to ask meanwhile, or all others were silent
	onlyChoice      bool         // there is no other server to ask meanwhile
	lastTry         bool         // this is its last try
	waitedSlow      bool         // it has been given slowTimeout once
	udpSpoilt       bool         // UDP brought only what is not a reply, and TCP nothing: one try is left
	unconfirmedCut  dnsname.Name // zone of a referral over UDP that may be forged; "": none
	busy            bool         // it is being asked now
	excluded        bool         // it replied with something of no use, and is not asked again
	plain           bool         // it is asked in the plain form, for the plain retry
	extraSend       bool         // the plain retry is a query that it would not get otherwise
	questionRefused bool         // other servers have refused the question in every form
	plainMayHelp    bool         // it may have failed because of the form of the queries
	answeredError   bool         // it answered, with an error
	sends           sends        // queries for this question
	replies         uint64       // of the server to others, before it was asked this question
}

// sends counts the queries to one server by network.
type sends struct{ udp, tcp int }

// over counts one more query over a network, and returns how many that makes.
func (s *sends) over(network string) int {
	if network == "tcp" {
		s.tcp++
		return s.tcp
	}
	s.udp++
	return s.udp
}

func (c *serverAddr) leadsBackKnown() bool { return c.guard != nil && c.guard.leadsBackKnown() }

// network returns the network of the first query, as package transport names it.
func (c *serverAddr) network() string {
	if c.forwarder != nil && c.forwarder.stream {
		return "tcp"
	}
	return "udp"
}

// isEncrypted reports whether the query is encrypted on its way.
func (c *serverAddr) isEncrypted() bool {
	return c.forwarder != nil && c.forwarder.stream && c.forwarder.network != "tcp"
}

// getsSlowTimeout reports whether the only server gets slowTimeout: in the last send to it,
// and in the one before if nothing is known of it. It does once only, and not for server
// look-ups, of which there are many.
func (c *serverAddr) getsSlowTimeout(side bool) bool {
	switch {
	case !c.onlyChoice || c.udpSpoilt || c.waitedSlow:
		return false
	case c.estimate.Known:
		return c.lastTry && !side
	}
	return c.lastTry && !side || c.tries == 2
}
