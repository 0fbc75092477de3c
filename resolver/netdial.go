package resolver

import (
	"context"
	"net"
	"strconv"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/stub"
)

// DialContext connects to an address as net.Dialer does, but resolves the host with this
// resolver: it is for http.Transport, gRPC and everything else that takes a dial function.
// The connections are the host's own, made by a zero net.Dialer, whatever Options.Dial is.
//
// Over tcp it races the addresses as Happy Eyeballs version 2 does (RFC 8305): IPv6 and
// IPv4 in turn, starting before both families are known, with a new attempt every 250 ms or
// when one fails. Over udp the addresses are tried in their order. Other networks are left
// to net.Dialer, with NetResolver for their names.
//
// The hooks of net/http/httptrace in ctx are called: DNSStart; DNSDone with the addresses
// that are known when the first attempt begins; ConnectStart and ConnectDone for every
// attempt. Errors are *net.OpError, wrapping a *net.DNSError when there is no address.
func (r *Resolver) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Resolver: r.NetResolver()}
	want, ok := stub.ParseDialNetwork(network)
	host, service, err := net.SplitHostPort(address)
	if _, literal := stub.ParseLiteral(host); !ok || err != nil || host == "" || literal {
		return d.DialContext(ctx, network, address)
	}
	port, err := r.LookupPort(ctx, network, service)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	dial := &stub.Dial{
		Network:    network,
		Port:       strconv.Itoa(port),
		Connect:    d.DialContext,
		Resolve:    func(ctx context.Context, out chan<- stub.Batch) { r.resolveDial(ctx, want, host, out) },
		Order:      r.config.sort,
		PreferIPv4: r.config.AddressOrder == OrderIPv4First,
		Trace:      stub.NewDialTrace(ctx, host),
	}
	if network[:3] == "udp" {
		return dial.InTurn(ctx)
	}
	return dial.Race(ctx)
}

// resolveDial sends a host's addresses to out as soon as they are known, those of one
// family first if the other's are late, or one error; then it closes out. It never
// sends more than two batches.
func (r *Resolver) resolveDial(ctx context.Context, want stub.Families, host string, out chan<- stub.Batch) {
	defer close(out)
	var ended error
	defer func() {
		if ended != nil {
			out <- stub.Batch{Err: ended}
		}
	}()
	rescue.Guarded(&ended, func() { r.resolveHost(ctx, want, host, out) })()
}

// resolveHost is resolveDial without closing out.
func (r *Resolver) resolveHost(ctx context.Context, want stub.Families, host string, out chan<- stub.Batch) {
	if addrs, ok := r.localAddrs(host); ok {
		b := stub.Batch{Addrs: want.Of(addrs)}
		if len(b.Addrs) == 0 {
			b.Err = stub.NoSuitableAddress(host)
		}
		out <- b
		return
	}
	var last error = stub.NoSuchHost(host)
	if stub.IsHostName(host) {
		for _, n := range r.config.search.Candidates(host) {
			err := r.resolveOne(ctx, want, n, out)
			if err == nil {
				return
			}
			last = dnsError(host, stub.WithContext(ctx, err))
		}
	}
	out <- stub.Batch{Err: last}
}

// resolveOne sends the addresses of one name, or returns why there are none.
func (r *Resolver) resolveOne(ctx context.Context, want stub.Families, n dnsname.Name, out chan<- stub.Batch) error {
	if addrs, ok := r.hitAddrs(ctx, want, n); ok {
		out <- stub.Batch{Addrs: addrs}
		return nil
	}
	ctx = withOneTrace(ctx)
	type outcome struct {
		familyAnswer
		rrtype uint16
	}
	types := typesOf(want)
	outcomes := make(chan outcome, len(types))
	for _, rrtype := range types {
		go func() {
			a := outcome{familyAnswer{err: rescue.ErrAborted}, rrtype}
			defer func() { outcomes <- a }()
			defer rescue.Into(&a.err)
			a.familyAnswer = r.askFamily(ctx, n, rrtype)
		}()
	}
	var failed error
	found := false
	for range types {
		a := <-outcomes
		rescue.Again(a.err)
		if addrs := a.addrs(a.rrtype); len(addrs) > 0 {
			found = true
			out <- stub.Batch{Addrs: addrs}
			continue
		}
		failed = worse(failed, a.err)
	}
	if found {
		return nil
	}
	return failed
}
