// Package iterdns is a CoreDNS plugin that finds answers itself: it walks from the root
// servers, or along routes, and validates what it finds. README.md is its plugin page.
package iterdns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// name is what the plugin is called in Corefiles, logs and metrics.
const name = "iterdns"

// Iterdns answers questions for names of its zones, and leaves all others to the next
// plugin. It is made by the directive in a Corefile; it serves from Start to Stop.
type Iterdns struct {
	// Next gets what is not for this plugin.
	Next plugin.Handler

	config   *config
	resolver *resolver.Resolver
	pending  atomic.Int64
	ready    atomic.Bool
	store    storeState
	saver    *saver // nil: none, or before Start
	// reloading says that OnShutdown, when it is called, is part of a reload.
	reloading atomic.Bool

	life       context.Context // ends with Stop
	end        context.CancelFunc
	background sync.WaitGroup
	stop       func() error // nil before Start; called once
	stopped    atomic.Bool
}

// Name implements plugin.Handler.
func (h *Iterdns) Name() string { return name }

// errBusy says that more questions wait than may.
var errBusy = errors.New("too many questions under way")

// ServeDNS implements plugin.Handler. A failure is answered with SERVFAIL that carries an
// extended DNS error (RFC 8914), and returned as error so that the plugin errors logs it:
// the response code returned is that of an answer that has been written.
func (h *Iterdns) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	state := request.Request{W: w, Req: r}
	if !h.config.answers(state.Name()) {
		return plugin.NextOrFailure(name, h.Next, ctx, w, r)
	}
	begin := time.Now()
	reply, err := h.answer(ctx, r)
	if err != nil {
		return dns.RcodeServerFailure, plugin.Error(name, err)
	}
	requestDuration.WithLabelValues(metrics.WithServer(ctx), h.config.label).Observe(time.Since(begin).Seconds())
	why := failure(reply)
	if r.IsEdns0() == nil {
		reply.Extra = slices.DeleteFunc(reply.Extra, isOPT)
	}
	if err := w.WriteMsg(reply); err != nil {
		return dns.RcodeSuccess, plugin.Error(name, err) // nobody is there to tell
	}
	if why != nil {
		return dns.RcodeSuccess, plugin.Error(name, why)
	}
	return dns.RcodeSuccess, nil
}

// answer has the resolver answer a query. The reply has an OPT record even if the query
// has none, since the reason of a failure is in it.
func (h *Iterdns) answer(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	defer h.pending.Add(-1)
	if limit := h.config.maxPending(); h.pending.Add(1) > limit {
		return nil, errBusy
	}
	if query.IsEdns0() == nil {
		query = query.Copy()
		query.SetEdns0(dns.MinMsgSize, false)
	}
	reply, err := h.resolver.Exchange(ctx, query)
	if err != nil {
		return nil, err
	}
	reply.Compress = true
	return reply, nil
}

// failure says why the reply is SERVFAIL; nil if it is not.
func failure(reply *dns.Msg) error {
	if reply.Rcode != dns.RcodeServerFailure {
		return nil
	}
	if opt := reply.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if e, ok := option.(*dns.EDNS0_EDE); ok {
				return errors.New(resolver.ExtendedError{Code: e.InfoCode, Text: e.ExtraText}.String())
			}
		}
	}
	return fmt.Errorf("no answer")
}

func isOPT(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT }
