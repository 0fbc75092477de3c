package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/transport"
)

// ExchangeUntilLate is Exchange for the first server asked: it waits in the goroutine of its
// caller, but only until the server is late, or its port is reported as unreachable. If the
// exchange has not ended by then, or takes a wait of another kind, rest is not nil: it goes on
// with the exchange until its own context ends, and returns the result. It has to be called once,
// in another goroutine. ctx is that of rq.Flight.
func (r *Client) ExchangeUntilLate(ctx context.Context, rq Request, to *slist.Server, why events.Reason) (out Result, rest func(ctx context.Context, unreachable chan<- struct{}) Result) {
	first := new(firstQuery)
	first.begin(r, rq, to, why)
	if !first.mayWaitHere() || !first.enter() {
		return Result{}, first.run
	}
	defer func() {
		if rest == nil { // also when a function of the program's does not return
			first.leave()
		}
	}()
	if first.markedDownMeanwhile() {
		return Result{Server: to, Unsent: true}, nil
	}
	again, out := first.send(ctx)
	if again {
		return Result{}, first.finish
	}
	return first.concluded(out), nil
}

// mayWaitHere reports whether the first query goes out without a wait that may last: over UDP, by
// our own transport, to a server that is not a forwarder and not probed.
func (x *exchange) mayWaitHere() bool {
	return x.network == "udp" && x.r.transport != nil && x.r.DialsAtOnce &&
		x.to.Forwarder == nil && x.to.EndProbe == nil && !x.Cut.Source.Forwards()
}

// firstQuery is the first query of an exchange, which is waited for in the goroutine of the search
// and, when it is late, in another one.
type firstQuery struct {
	exchange
	id              int
	giveUp          time.Time // when its reply is waited for no longer
	portUnreachable bool      // the wait here has ended because the port is unreachable
	pending         transport.Pending
	isPending       bool   // pending is open
	unwatch         func() // ends the watch on a context; nil: the flight's end is watched, or nothing
	sendSlots       sendSlots
}

// enter takes the slots of the exchange and of its first query, if they are free.
func (f *firstQuery) enter() (ok bool) {
	if !f.tryQuerySlots() {
		return false
	}
	if f.sendSlots, ok = f.trySocketSlot(); !ok {
		f.slots.leave()
	}
	return ok
}

// leave releases what the first query still holds, and then the exchange's slots.
func (f *firstQuery) leave() {
	f.end()
	f.slots.leave()
}

// end closes the socket, and releases its slot.
func (f *firstQuery) end() {
	if f.isPending {
		f.endWatch()
		f.pending.Close()
		f.isPending = false
	}
	f.sendSlots.leave()
}

// endWatch ends the watch for what closes the socket from outside.
func (f *firstQuery) endWatch() {
	if f.unwatch != nil {
		f.unwatch()
		return
	}
	f.Flight.CloseAtEnd(nil)
}

// send sends the query, and waits for its reply until the server is late. again is true when the
// exchange goes on in another goroutine.
func (f *firstQuery) send(ctx context.Context) (again bool, out Result) {
	if err := f.chargeSend(); err != nil {
		return false, f.fail(err)
	}
	id, timeout := f.prepare(ctx)
	f.id, f.giveUp = id, f.sent.Add(timeout)
	if end, ends := ctx.Deadline(); ends && end.Before(f.giveUp) {
		f.giveUp = end
	}
	late := f.sent.Add(f.to.Estimate.Late + f.to.Jitter)
	resume := f.r.Flights.Stagger.Pause()
	if err := f.r.transport.BeginIn(ctx, &f.pending, f.to.Addr, f.query); err != nil {
		resume()
		return f.ended(nil, err)
	}
	f.isPending = true
	if !f.Flight.CloseAtEnd(&f.pending) {
		f.pending.Close()
	}
	f.onSent()
	until := f.giveUp
	if late.Before(until) {
		until = late
	}
	msg, err := f.pending.Await(until, f.accept)
	resume()
	switch {
	case errors.Is(err, transport.ErrUnreachable):
		f.portUnreachable = true
	case !errors.Is(err, transport.ErrLate) || !until.Before(f.giveUp):
		return f.ended(msg, err)
	}
	f.endWatch()
	return true, Result{}
}

// finish waits for the reply of a query that is late, if that is what the exchange waits for, and
// goes on until the exchange ends.
func (f *firstQuery) finish(ctx context.Context, unreachable chan<- struct{}) Result {
	defer f.leave()
	f.unreachable = unreachable
	if f.portUnreachable {
		f.onUnreachable()
	}
	if f.isPending {
		f.unwatch = f.pending.CloseOn(ctx)
		resume := f.r.Flights.Stagger.Pause()
		msg, err := f.pending.Await(f.giveUp, f.accept)
		if errors.Is(err, transport.ErrUnreachable) {
			f.onUnreachable()
			msg, err = f.pending.Await(f.giveUp, f.accept)
		}
		resume()
		if again, out := f.ended(msg, err); !again {
			return f.concluded(out)
		}
	}
	return f.repeat(ctx)
}

// ended handles how the wait for the reply ended.
func (f *firstQuery) ended(msg []byte, err error) (again bool, out Result) {
	rtt := time.Since(f.sent)
	if errors.Is(err, transport.ErrLate) {
		err = f.pending.TimeoutError()
	}
	f.end()
	return f.handleSend(f.id, rtt, msg, err)
}
