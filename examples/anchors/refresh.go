package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// retry is when to ask again if there was no answer: the shortest time that RFC 5011 §2.3
// allows.
const retry = time.Hour

// refresh asks the zone for its keys and takes one step of RFC 5011. It returns the new
// state and when to ask again; with an error that is the old state, but for
// dnssec.ErrNoAnchorLeft, with which the state is to be kept too.
//
// The keys are asked for with CD, since Rollover.Update checks them itself: it has to see
// them also when none is trusted any more, as in the moment when the last one is revoked.
// The resolver is made for this one question, so that no cache stands in between.
func refresh(ctx context.Context, o resolver.Options, state dnssec.Rollover) (updated dnssec.Rollover, next time.Time, err error) {
	next = time.Now().Add(retry)
	anchors, err := state.Anchors()
	if err != nil {
		return state, next, err
	}
	o.TrustAnchors = anchors
	r, err := resolver.New(o)
	if err != nil {
		return state, next, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	query := new(dns.Msg).SetQuestion(state.Zone, dns.TypeDNSKEY).SetEdns0(dns.DefaultMsgSize, true)
	query.CheckingDisabled = true
	reply, err := r.Exchange(ctx, query)
	if err != nil {
		return state, next, err
	}
	sets, err := dnssec.GroupRRsets(reply.Answer, false)
	if err != nil {
		return state, next, err
	}
	for _, set := range sets {
		if set.Type == dns.TypeDNSKEY {
			return state.Update(set, time.Now())
		}
	}
	return state, next, fmt.Errorf("%s has no keys: %s", state.Zone, dns.RcodeToString[reply.Rcode])
}
