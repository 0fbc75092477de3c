package serve

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/wire"
)

// Package net asks for a host's A and AAAA records together and returns the error of
// whichever came last, so that the NODATA of one family hides a failure of the other: a
// host that may well exist becomes "no such host", and a mailer bounces. A denial therefore
// waits for the question for the other family, and becomes a failure if that fails.

// siblingGrace is how long a denial waits for the question beside it to arrive. Package net
// starts both in goroutines of their own, and a cache hit is answered before the other
// question has begun.
const siblingGrace = 20 * time.Millisecond

// siblings returns the types that package net asks for beside one type, and whose failure
// leaves open what its denial says. LookupCNAME asks for all three.
func siblings(rrtype uint16) []uint16 {
	switch rrtype {
	case dns.TypeA:
		return []uint16{dns.TypeAAAA}
	case dns.TypeAAAA:
		return []uint16{dns.TypeA}
	case dns.TypeCNAME:
		return []uint16{dns.TypeA, dns.TypeAAAA}
	}
	return nil
}

// netAsked are the questions of package net that are under way.
type netAsked struct {
	mu       sync.Mutex
	underWay map[answer.Question]*netQuestion // guarded by mu
}

// netQuestion is one of them, or several equal ones, which share a flight: the first reply
// is that of all. When one caller goes away, the others still wait.
type netQuestion struct {
	answered chan struct{}
	reply    *dns.Msg // to be read when answered is closed; nil: its callers ended without one
	asking   int      // guarded by netAsked.mu
}

// enter records that q is being asked, until answered is called with the reply, or with nil
// when there is none. Only its first call counts.
func (s *netAsked) enter(q answer.Question) (answered func(*dns.Msg)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, ok := s.underWay[q]
	if !ok {
		asked = &netQuestion{answered: make(chan struct{})}
		if s.underWay == nil {
			s.underWay = make(map[answer.Question]*netQuestion)
		}
		s.underWay[q] = asked
	}
	asked.asking++
	var once sync.Once
	return func(reply *dns.Msg) { once.Do(func() { s.leave(q, asked, reply) }) }
}

// leave ends a question with its reply, or, when there is none, after its last caller.
func (s *netAsked) leave(q answer.Question, asked *netQuestion, reply *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked.asking--
	if s.underWay[q] == asked && (reply != nil || asked.asking == 0) {
		delete(s.underWay, q)
		asked.reply = reply
		close(asked.answered)
	}
}

// get returns the question under way that is equal to q; nil if there is none.
func (s *netAsked) get(q answer.Question) *netQuestion {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.underWay[q]
}

// respondToNet is respondTo for package net.
func (s *Server) respondToNet(ctx context.Context, query *dns.Msg) (reply *dns.Msg, cause, err error) {
	q, ok := askedByNet(query)
	if !ok {
		return s.respondTo(ctx, query, 0)
	}
	answered := s.netAsked.enter(q)
	defer func() { answered(reply) }() // unless it is called before
	reply, cause, err = s.respondTo(ctx, query, 0)
	answered(reply)
	if err != nil || !denies(reply) {
		return reply, cause, err
	}
	for _, rrtype := range siblings(q.Type) {
		beside := answer.Question{Name: q.Name, Type: rrtype}
		if failed := s.siblingFailure(ctx, query, beside, reply); failed != nil {
			return failed, errors.New(siblingText(beside)), nil
		}
	}
	return reply, nil, nil
}

// askedByNet returns the question of a query that has siblings.
func askedByNet(query *dns.Msg) (answer.Question, bool) {
	if len(query.Question) != 1 || len(siblings(query.Question[0].Qtype)) == 0 {
		return answer.Question{}, false
	}
	name, err := dnsname.Parse(query.Question[0].Name)
	return answer.Question{Name: name, Type: query.Question[0].Qtype}, err == nil
}

// denies reports whether a reply says that there are no records of the type asked for.
func denies(reply *dns.Msg) bool {
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return false
	}
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == reply.Question[0].Qtype {
			return false
		}
	}
	return true
}

// siblingFailure returns the failure to answer query with, whose own answer is denial, when
// the question beside it has failed; nil when it has not. It sends nothing: if nobody asks
// the question beside it, neither does this.
func (s *Server) siblingFailure(ctx context.Context, query *dns.Msg, beside answer.Question, denial *dns.Msg) *dns.Msg {
	if _, known := s.iterate.SearchCached(beside, cache.Checked, iterate.LookQuietly); known {
		return nil
	}
	if failed, waited := s.awaitSibling(ctx, query, beside); waited {
		return failed
	}
	if failed := s.rememberedFailure(query, beside, denial); failed != nil {
		return failed
	}
	if !pause(ctx, siblingGrace) {
		return nil
	}
	if failed, waited := s.awaitSibling(ctx, query, beside); waited {
		return failed
	}
	return s.rememberedFailure(query, beside, denial)
}

// awaitSibling waits for the question beside query if it is under way, and returns the
// failure to answer query with if that fails. waited is false when it was not under way, or
// its caller went away: the sibling of query itself may still arrive.
func (s *Server) awaitSibling(ctx context.Context, query *dns.Msg, beside answer.Question) (failed *dns.Msg, waited bool) {
	asked := s.netAsked.get(beside)
	if asked == nil {
		return nil, false
	}
	select {
	case <-asked.answered:
	case <-ctx.Done():
		return nil, true
	}
	if asked.reply == nil {
		return nil, false
	}
	switch asked.reply.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return nil, true
	}
	return s.failedMessage(query, asked.reply.Rcode, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: siblingText(beside)}), true
}

// rememberedFailure returns the failure to answer query with when the question beside it is
// cached as a failure (RFC 9520), at its name or at one that the aliases of the denial lead
// to; nil when it is not.
func (s *Server) rememberedFailure(query *dns.Msg, beside answer.Question, denial *dns.Msg) *dns.Msg {
	now := s.Settings.Now()
	names := []dnsname.Name{beside.Name}
	for _, rr := range denial.Answer {
		if alias, ok := rr.(*dns.CNAME); ok {
			if target, err := dnsname.Parse(alias.Target); err == nil {
				names = append(names, target)
			}
		}
	}
	for _, name := range names {
		q := answer.Question{Name: name, Type: beside.Type}
		if _, failed := s.routes.ViewOf(now, q).Cache.GetFailure(now, q.Name, q.Type, cache.Checked); failed {
			return s.failedMessage(query, dns.RcodeServerFailure, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: siblingText(beside)})
		}
	}
	return nil
}

func siblingText(beside answer.Question) string {
	return answer.TypeName(beside.Type) + " of this name failed"
}

// pause waits for d, and reports whether ctx had not ended by then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// failedMessage makes the reply that is an error.
func (s *Server) failedMessage(query *dns.Msg, rcode int, extended failure.ExtendedError) *dns.Msg {
	x := requestOf(query)
	res := x.failed(rcode, extended)
	return x.message(query.Question, &res, s.options(&x, &res, nil, wire.MaxLen))
}
