package slist

import (
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/routes"
)

// Server is one address of a server that may be asked.
type Server struct {
	Addr      netip.AddrPort
	Name      dnsname.Name      // of the name server
	Forwarder *routes.Forwarder // set for a server of a route that is given by address, and where TLS is required
	Guard     *routes.LoopGuard // nil: not a server of a route
	Estimate  infra.Estimate
	Fault     routes.Fault // why it could not be asked over TLS, if it has to be
	// FaultNoted: it could not be asked over TLS now, which is remembered of it as it is verified, and
	// not of its address.
	FaultNoted bool
	score      time.Duration
	// Jitter is added to how long a reply is waited for: next to nothing, but never the same
	// twice. So two queries that are lost together never time out at one instant, and what
	// is learnt about the server does not depend on which of them is handled first.
	Jitter time.Duration
	Tries  int
	// lowPriority: it is known not to serve the zone, or its data turned out bogus, or the
	// name's own zone has other addresses.
	lowPriority     bool
	apexOnly        bool         // only the zone itself names it
	EndProbe        func()       // ends the probe that its exchange is; nil: it is not a probe
	WaitLonger      bool         // there is no other server to ask meanwhile, or all others were silent
	OnlyChoice      bool         // there is no other server to ask meanwhile
	LastTry         bool         // this is its last try
	WaitedSlow      bool         // it has been given the slow timeout once
	UDPSpoilt       bool         // UDP brought only what is not a reply, and TCP nothing: one try is left
	UnconfirmedCut  dnsname.Name // zone of a referral over UDP that may be forged; "": none
	Busy            bool         // it is being asked now
	Excluded        bool         // it replied with something of no use, and is not asked again
	Plain           bool         // it is asked in the plain form, for the plain retry
	ExtraSend       bool         // the plain retry is a query that it would not get otherwise
	QuestionRefused bool         // other servers have refused the question in every form
	PlainMayHelp    bool         // it may have failed because of the form of the queries
	AnsweredError   bool         // it answered, with an error
	OverTCP         bool         // it is asked over TCP, since UDP does not lead to it
	TCPUnproven     bool         // with OverTCP: it is not known yet that TCP leads to it
	Sends           sends        // queries for this question
	replies         uint64       // of the server to others, before it was asked this question
}

// sends counts the queries to one server by network.
type sends struct{ udp, tcp int }

// Over counts one more query over a network, and returns how many that makes.
func (s *sends) Over(network string) int {
	if network == "tcp" {
		s.tcp++
		return s.tcp
	}
	s.udp++
	return s.udp
}

func (c *Server) leadsBackKnown() bool { return c.Guard != nil && c.Guard.LeadsBackKnown() }

// Network returns the network of the first query, as package transport names it.
func (c *Server) Network() string {
	if c.OverTCP || c.Forwarder != nil && c.Forwarder.Stream {
		return "tcp"
	}
	return "udp"
}

// IsEncrypted reports whether the query is encrypted on its way.
func (c *Server) IsEncrypted() bool {
	return c.Forwarder != nil && c.Forwarder.Stream && c.Forwarder.Network != "tcp"
}

// IsOverTLS reports whether the query goes over DNS over TLS (RFC 7858).
func (c *Server) IsOverTLS() bool { return c.Forwarder != nil && c.Forwarder.Network == "tls" }

// Expect reads anew what is to be expected of the server. One that could not be asked over TLS, as it
// has to be, is marked down for that.
func (c *Server) Expect(now time.Time, t *infra.Table) {
	c.expect(now, t.Estimate(now, c.Addr))
}

func (c *Server) expect(now time.Time, e infra.Estimate) {
	c.Estimate, c.Fault = e, routes.Fault{}
	if c.MustBeTLS() {
		c.Fault = c.Forwarder.Fault(now)
		c.Estimate.Dead = e.Dead || c.Fault.Err != nil
	}
}

// IsDown reports whether the server is marked down now.
func (c *Server) IsDown(now time.Time, t *infra.Table) bool {
	return t.Estimate(now, c.Addr).Dead || c.MustBeTLS() && c.Forwarder.Fault(now).Err != nil
}

// MustBeTLS reports whether Options.RequireTLS has the server.
func (c *Server) MustBeTLS() bool { return c.Forwarder != nil && c.Forwarder.Required }

// GetsSlowTimeout reports whether the only server gets the slow timeout of package upstream:
// in the last send to it, and in the one before if nothing is known of it. It does once only,
// and not for server look-ups, of which there are many.
func (c *Server) GetsSlowTimeout(side bool) bool {
	switch {
	case !c.OnlyChoice || c.UDPSpoilt || c.WaitedSlow:
		return false
	case c.Estimate.Known:
		return c.LastTry && !side
	}
	return c.LastTry && !side || c.Tries == 2
}
