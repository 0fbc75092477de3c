package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/resolver"
)

// opinion is what another server of the zone says about a name that does not exist.
type opinion string

const (
	opinionNone        opinion = ""            // it was not asked for, or the denial is signed
	opinionConfirmed   opinion = "confirmed"   // neither has the name
	opinionContradicts opinion = "contradicts" // the other server has it
	opinionUnavailable opinion = "unavailable" // there is no other server, or none answered
)

// errDisagreement is the error of a name that one server of its zone has and another has not.
var errDisagreement = errors.New("another server of the zone has the name")

const (
	// maxOpinions is how many names, and how many zones, are remembered.
	maxOpinions = 20_000
	// opinionTries is how many other servers are asked until one answers, and opinionWait for how
	// long each.
	opinionTries, opinionWait = 3, 2 * time.Second
	// opinionSize is the size of UDP replies (RFC 9715).
	opinionSize = 1232
)

// opinions asks other servers. Nil asks none.
type opinions struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	port  uint16
	pacer *pacer
	known *lru.Cache[string, opinion]          // by name
	zones *lru.Cache[string, []netip.AddrPort] // servers of a zone
}

func newOpinions(o resolver.Options, p *pacer) *opinions {
	known, _ := lru.New[string, opinion](maxOpinions) // fails for sizes below 1 only
	zones, _ := lru.New[string, []netip.AddrPort](maxOpinions)
	s := &opinions{dial: o.Dial, port: o.Port, pacer: p, known: known, zones: zones}
	if s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	if s.port == 0 {
		s.port = 53
	}
	return s
}

// denial is who said that a name does not exist.
type denial struct {
	mu     sync.Mutex
	zone   string         // guarded by mu; "": nobody said so to this question
	server netip.AddrPort // guarded by mu
}

// watch adds to a Trace what has to be known for an opinion.
func (s *opinions) watch(t *resolver.Trace, d *denial) {
	t.Start = func(i resolver.StartInfo) { s.addCut(i.Cut) }
	t.Referral = func(i resolver.ReferralInfo) { s.addCut(i.Cut) }
	t.ServerLookup = func(i resolver.ServerLookupInfo) { s.addAddrs(i.Zone, i.Addrs) }
	response := t.Response
	t.Response = func(i resolver.ResponseInfo) {
		response(i)
		if i.Kind == "name error" && i.Depth == 0 {
			d.mu.Lock()
			d.zone, d.server = i.Zone, i.Server
			d.mu.Unlock()
		}
	}
}

func (s *opinions) addCut(cut *glue.Delegation) {
	if cut == nil {
		return
	}
	var addrs []netip.Addr
	for _, server := range cut.Servers {
		addrs = append(addrs, server.Addrs...)
	}
	s.addAddrs(cut.Zone.String(), addrs)
}

// addAddrs adds addresses of a zone's servers, each once.
func (s *opinions) addAddrs(zone string, addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	have, _ := s.zones.Get(zone)
	all := slices.Clone(have)
	for _, addr := range addrs {
		to := netip.AddrPortFrom(addr, s.port)
		if !slices.Contains(all, to) && len(all) < glue.MaxServers*glue.MaxAddrs {
			all = append(all, to)
		}
	}
	s.zones.Add(zone, all)
}

// of returns a second opinion about the last name of an answer, and which servers were asked for it.
func (s *opinions) of(ctx context.Context, result *resolver.Result, d *denial) (said opinion, asked []netip.AddrPort) {
	name := result.Canonical()
	if known, ok := s.known.Get(name); ok {
		return known, nil
	}
	d.mu.Lock()
	zone, server := d.zone, d.server
	d.mu.Unlock()
	if zone == "" || !dns.IsSubDomain(zone, name) { // the answer was cached: any server of the zone is another
		zone, server = zoneOfDenial(result), netip.AddrPort{}
	}
	said = opinionUnavailable
	servers, _ := s.zones.Get(zone)
	for _, other := range servers {
		if other.Addr() == server.Addr() || len(asked) == opinionTries {
			continue
		}
		asked = append(asked, other)
		if exists, err := s.ask(ctx, other, name, len(asked)); err == nil {
			said = opinionConfirmed
			if exists {
				said = opinionContradicts
			}
			break
		}
	}
	if said == opinionConfirmed {
		s.known.Add(name, said)
	}
	return said, asked
}

// zoneOfDenial returns the zone of the SOA record that a denial has.
func zoneOfDenial(result *resolver.Result) string {
	for _, rr := range result.Authority {
		if rr.Header().Rrtype == dns.TypeSOA {
			return strings.ToLower(rr.Header().Name)
		}
	}
	return ""
}

// errNoOpinion is the error of a reply that says nothing about the name.
var errNoOpinion = errors.New("not an authoritative reply to the question")

// ask asks one server whether a name exists.
func (s *opinions) ask(ctx context.Context, server netip.AddrPort, name string, id int) (exists bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, longestPause+opinionWait)
	defer cancel()
	limited, give := context.WithCancelCause(ctx)
	defer give(nil)
	query := new(dns.Msg).SetQuestion(name, dns.TypeA)
	query.RecursionDesired = false
	query.SetEdns0(opinionSize, false)
	s.pacer.pass(limited, give, sentQuery{server: server, asked: query.Question[0], id: -id, walk: int(query.Id)})
	if err := limited.Err(); err != nil {
		return false, err
	}
	for _, network := range []string{"udp", "tcp"} {
		reply, err := s.exchange(limited, network, server, query)
		switch {
		case err != nil:
			return false, err
		case reply.Truncated:
			continue
		case !reply.Response || !reply.Authoritative || len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, name):
			return false, errNoOpinion
		case reply.Rcode == dns.RcodeNameError:
			return false, nil
		case reply.Rcode == dns.RcodeSuccess:
			return true, nil
		default:
			return false, errNoOpinion
		}
	}
	return false, errNoOpinion
}

func (s *opinions) exchange(ctx context.Context, network string, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, opinionWait)
	defer cancel()
	conn, err := s.dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := dns.Client{Net: network, Timeout: opinionWait, UDPSize: opinionSize}
	reply, _, err := client.ExchangeWithConnContext(ctx, query, &dns.Conn{Conn: conn, UDPSize: opinionSize})
	return reply, err
}
