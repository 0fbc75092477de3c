package resolver

import (
	"context"
	"net"
	"net/http/httptrace"
	"net/netip"
	"strconv"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// DialContext connects to an address as net.Dialer does, but to addresses that this
// resolver has found: for http.Transport, gRPC and everything else that takes a dial
// function. The connections are the host's own, made by a zero net.Dialer, whatever
// Options.Dial is.
//
// Over tcp it races the addresses as Happy Eyeballs version 2 does (RFC 8305): IPv6 and
// IPv4 in turn, beginning before both families are known, a new attempt every 250 ms or
// when one fails. Over udp the addresses are tried in their order. Other networks are
// left to net.Dialer, with NetResolver for their names.
//
// The hooks of net/http/httptrace in ctx are called: DNSStart; DNSDone with the
// addresses that are known when the first attempt begins; ConnectStart and ConnectDone
// for every attempt. Errors are *net.OpError, around a *net.DNSError when there is no
// address.
func (r *Resolver) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Resolver: r.NetResolver()}
	want, ok := dialFamilies(network)
	host, service, err := net.SplitHostPort(address)
	if _, literal := parseLiteral(host); !ok || err != nil || host == "" || literal {
		return d.DialContext(ctx, network, address)
	}
	port, err := r.LookupPort(ctx, network, service)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	e := &eyeballs{
		network: network,
		port:    strconv.Itoa(port),
		connect: d.DialContext,
		resolve: func(ctx context.Context, out chan<- batch) { r.resolveDial(ctx, want, host, out) },
		order:   r.config.sort,
		prefer4: r.config.AddressOrder == OrderIPv4First,
		trace:   newDialTrace(ctx, host),
	}
	if network[:3] == "udp" {
		return e.inTurn(ctx)
	}
	return e.race(ctx)
}

// dialFamilies gives the address families of a network that has ports.
func dialFamilies(network string) (families, bool) {
	switch network {
	case "tcp", "udp":
		return bothFamilies, true
	case "tcp4", "udp4":
		return onlyIPv4, true
	case "tcp6", "udp6":
		return onlyIPv6, true
	}
	return 0, false
}

// batch is what the resolution of a host being dialled has brought: addresses, or why
// there are none.
type batch struct {
	addrs []netip.Addr
	err   error // a *net.DNSError
}

// resolveDial sends a host's addresses to out as soon as they are known, those of one
// family first if the other's are late, or one error; then it closes out. It never
// sends more than two batches.
func (r *Resolver) resolveDial(ctx context.Context, want families, host string, out chan<- batch) {
	defer close(out)
	var ended error
	defer func() {
		if ended != nil {
			out <- batch{err: ended}
		}
	}()
	rescue.Guarded(&ended, func() { r.resolveHost(ctx, want, host, out) })()
}

// resolveHost is resolveDial but for the end.
func (r *Resolver) resolveHost(ctx context.Context, want families, host string, out chan<- batch) {
	if addrs, ok := r.localAddrs(host); ok {
		b := batch{addrs: want.of(addrs)}
		if len(b.addrs) == 0 {
			b.err = noSuitableAddress(host)
		}
		out <- b
		return
	}
	var last error = noSuchHost(host)
	if isHostName(host) {
		for _, n := range r.config.candidates(host) {
			err := r.resolveOne(ctx, want, n, out)
			if err == nil {
				return
			}
			last = dnsError(host, withContext(ctx, err))
		}
	}
	out <- batch{err: last}
}

// resolveOne sends the addresses of one name, or returns why there are none.
func (r *Resolver) resolveOne(ctx context.Context, want families, n dnsname.Name, out chan<- batch) error {
	if addrs, ok := r.hitAddrs(ctx, want, n); ok {
		out <- batch{addrs: addrs}
		return nil
	}
	ctx = withOneTrace(ctx)
	type answer struct {
		lane
		rrtype uint16
	}
	answers := make(chan answer, len(addressTypes))
	asked := 0
	for _, q := range addressTypes {
		if want&q.family != 0 {
			asked++
			go func() {
				a := answer{lane{err: rescue.ErrAborted}, q.rrtype}
				defer func() { answers <- a }()
				defer rescue.Into(&a.err)
				a.lane = r.askLane(ctx, n, q.rrtype)
			}()
		}
	}
	var failed error
	found := false
	for range asked {
		a := <-answers
		rescue.Again(a.err)
		if addrs := a.addrs(a.rrtype); len(addrs) > 0 {
			found = true
			out <- batch{addrs: addrs}
			continue
		}
		failed = worse(failed, a.err)
	}
	if found {
		return nil
	}
	return failed
}

// dialTrace calls the hooks for the resolution of a host. Those for connections are
// called by net.Dialer.
type dialTrace struct{ hooks *httptrace.ClientTrace }

func newDialTrace(ctx context.Context, host string) dialTrace {
	t := dialTrace{httptrace.ContextClientTrace(ctx)}
	if t.hooks != nil && t.hooks.DNSStart != nil {
		t.hooks.DNSStart(httptrace.DNSStartInfo{Host: host})
	}
	return t
}

func (t dialTrace) done(b batch) {
	if t.hooks != nil && t.hooks.DNSDone != nil {
		t.hooks.DNSDone(httptrace.DNSDoneInfo{Addrs: ipAddrs(b.addrs), Err: b.err})
	}
}
