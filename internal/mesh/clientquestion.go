package mesh

import (
	"context"
	"encoding/binary"
	"sync/atomic"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/rescue"
)

// Answer answers from the cache, with an expired answer, or in a flight that equal questions
// share, and leaves out the addresses that are not allowed.
func (r *Mesh) Answer(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	f, err := r.answerUnfiltered(ctx, st, q)
	if err != nil {
		return nil, err
	}
	st.FromCache, st.Stale = f.FromCache, f.Stale
	if f.OverBogus {
		r.Counts.StaleOverBogus.Add(1)
	}
	if f.Fallback {
		r.Counts.FromFallback.Add(1)
	}
	return r.Settings.Filter.Apply(f)
}

func (r *Mesh) answerUnfiltered(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	if f, ok := r.iterate.SearchCache(q, st.Trust); ok {
		r.prefetchAll(f.Due)
		st.TellFound(f)
		return f, nil
	}
	if !r.Settings.ServeStale {
		return r.fetchAnswer(ctx, st, q)
	}
	if !r.hasStale(q, st.Trust) {
		return r.fetchAnswer(ctx, st, q)
	}
	f, err := r.answerOrStale(ctx, st, q)
	if err == nil && f.Stale {
		st.TellFound(f)
	}
	return f, err
}

// AnswerOrKnown is Answer, from the cache alone unless recurse is set.
func (r *Mesh) AnswerOrKnown(ctx context.Context, st *iterate.QueryState, q answer.Question, recurse bool) (*answer.Answer, error) {
	if recurse {
		return r.Answer(ctx, st, q)
	}
	if f, ok := r.iterate.SearchCache(q, st.Trust); ok {
		st.FromCache = true
		st.TellFound(f)
		return r.Settings.Filter.Apply(f)
	}
	return nil, failure.ErrNotCached
}

// fetchAnswer answers in a flight that equal questions share.
func (r *Mesh) fetchAnswer(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	st.Begin()
	c := &clientQuestion{r: r, st: st, q: q}
	if st.AnswerEarly != nil {
		return c.fetchHere(ctx)
	}
	return c.fetch(ctx)
}

// Work does a piece of work of several questions, in one slot of Limits.Questions and within the
// budget of st. Equal work at the same time, by its key, is done once. waiting, which other goroutines
// call, returns what the work waits for apart from flights; nil: nothing.
func (r *Mesh) Work(ctx context.Context, st *iterate.QueryState, key string, waiting func() *failure.ZoneError,
	work func(context.Context, *iterate.QueryState) (any, error)) (any, error) {
	st.Begin()
	var slot jostleSlot
	if err := r.admit(ctx, st, &slot, nil); err != nil {
		return nil, err
	}
	defer slot.leave()
	by := flight.Waiter{Events: st.Events, Budget: st.Budget, Parent: r.Flights.Of(ctx)}
	p := &pieceOfWork{r: r, waiting: waiting, Func: func(fl *flight.Flight) (any, error) {
		v, err := work(fl.Ctx, st.InFlight(fl))
		return v, st.Budget.End(err)
	}}
	v, err := r.Flights.Do(ctx, key, by, p)
	switch {
	case err != nil && r.Base.Err() != nil:
		err = failure.ErrClosed // whichever part Close ended first
	case err != nil && p.unanswered != nil:
		err = p.unanswered.EndedBy(err)
	}
	return v, err
}

// pieceOfWork is what Work does in a flight.
type pieceOfWork struct {
	flight.Func
	r       *Mesh
	waiting func() *failure.ZoneError

	unanswered *failure.ZoneError // as that of a clientQuestion
}

// Leaving notes what the caller did not wait for any longer, which the leader of the flight knows.
func (p *pieceOfWork) Leaving(fl *flight.Flight) {
	if led, ok := fl.Work().(*pieceOfWork); ok && led.waiting != nil {
		p.unanswered = led.waiting()
	}
	if p.unanswered == nil {
		p.unanswered = p.r.iterate.Unanswered(fl)
	}
}

// clientQuestion is a question of a client that the cache has no answer to.
type clientQuestion struct {
	r    *Mesh
	st   *iterate.QueryState
	q    answer.Question
	slot jostleSlot

	end   context.CancelCauseFunc // ends the wait for the answer; nil: place does, or it is never shed
	place flight.Place            // of one that is worked on here

	arrived func()      // undoes ClientQuestions.Enter; nil: it was not entered
	left    atomic.Bool // the slot has been released, or will be by others

	unanswered *failure.ZoneError // what it did not wait for any longer; nil: it has not left
}

// fetch waits for the answer until ctx ends, in the goroutine of the caller, while another one
// works.
func (c *clientQuestion) fetch(ctx context.Context) (*answer.Answer, error) {
	var holder sheddable
	if c.st.ClientQuestion != (answer.Question{}) {
		holder = c
		ctx, c.end = context.WithCancelCause(ctx)
		defer c.end(nil)
	}
	if err := c.r.admit(ctx, c.st, &c.slot, holder); err != nil {
		return nil, err
	}
	c.arrive()
	defer c.leave()
	by := c.waiter()
	by.Parent = c.r.Flights.Of(ctx) // a Dial function that asks waits for no work that waits for it
	f, err := c.answer(ctx, by)
	if c.unanswered != nil && err != nil && err != failure.ErrClosed {
		err = c.unanswered.EndedBy(err)
	}
	return f, err
}

// unanswered returns the query that the work on a question of a client waits for, or that the end
// of that work has met a moment ago; nil: none.
func (r *Mesh) unanswered(fl *flight.Flight) *failure.ZoneError {
	if u := r.iterate.Unanswered(fl); u != nil {
		return u
	}
	if led, ok := fl.Work().(*clientQuestion); ok {
		return led.st.Budget.Unanswered()
	}
	return nil
}

// fetchHere works in the goroutine of the caller, whose context ends only with the resolver.
func (c *clientQuestion) fetchHere(ctx context.Context) (*answer.Answer, error) {
	if err := c.r.admit(ctx, c.st, &c.slot, c); err != nil {
		return nil, err
	}
	c.arrive()
	defer c.leave()
	by := c.waiter()
	by.Place = &c.place
	return c.answer(ctx, by)
}

// shed ends the wait for the answer. When equal questions wait for the work that is done in this
// one's goroutine, its client is answered at once, and the work goes on in their slots.
func (c *clientQuestion) shed(cause error) {
	if c.end != nil {
		c.end(cause)
		return
	}
	if c.place.Leave(cause) {
		c.leave()
		go c.answerEarly(cause) // this may be the goroutine of another question
	}
}

// answerEarly answers the client. That may take as long as the client likes: its own call waits
// for it, but Close does not.
func (c *clientQuestion) answerEarly(cause error) {
	defer rescue.Quietly()
	c.st.AnswerEarly(cause)
}

// arrive notes that the question has come in: a forwarder that leads back to us shows by that.
func (c *clientQuestion) arrive() {
	if c.st.ClientQuestion == c.q && c.r.routes.CurrentRoutes().HasServers() {
		c.arrived = c.r.iterate.ClientQuestions.Enter(c.q)
	}
}

// leave releases the slot, once.
func (c *clientQuestion) leave() {
	if !c.left.Swap(true) {
		c.release()
	}
}

func (c *clientQuestion) release() {
	if c.arrived != nil {
		c.arrived()
	}
	c.slot.leave()
}

func (c *clientQuestion) waiter() flight.Waiter {
	return flight.Waiter{Events: c.st.Events, Budget: c.st.Budget}
}

// answer answers in a flight that equal questions share.
func (c *clientQuestion) answer(ctx context.Context, by flight.Waiter) (*answer.Answer, error) {
	v, err := c.r.Flights.Do(ctx, c.r.questionKey(c.q, c.st.Trust), by, c)
	if err != nil {
		if c.r.Base.Err() != nil {
			err = failure.ErrClosed // whichever part Close ended first
		}
		return nil, err
	}
	return v.(*answer.Answer), nil
}

// Lead, Joined, Retry and Leaving make the search for the answer the work of a flight.
func (c *clientQuestion) Lead(fl *flight.Flight) (any, error) {
	f, err := c.r.iterate.Search(fl.Ctx, c.st.InFlight(fl), c.q)
	return f, c.st.Budget.End(err)
}

func (c *clientQuestion) Joined() { c.st.Events.Joined(c.st.WalkRef(), "") }

func (c *clientQuestion) Retry() { c.st.RetryFailure = true }

func (c *clientQuestion) Leaving(fl *flight.Flight) {
	c.unanswered = c.r.unanswered(fl)
	if c.st.Leaving != nil && c.st.Leaving(fl, c.release) {
		c.left.Store(true)
		c.slot.keep() // from now on it cannot be shed
	}
}

// questionKey is the key of the flight for a client's question. It differs after a change of
// routes, of negative trust anchors or of local zones, so that answers found by the old ones
// are not shared.
func (r *Mesh) questionKey(q answer.Question, trust cache.Trust) string {
	var room [dnsname.MaxWire + 32]byte // so that the string is the only allocation
	b := binary.BigEndian.AppendUint64(append(room[:0], "question"...), r.routes.CurrentRoutes().Generation)
	b = binary.BigEndian.AppendUint64(b, r.iterate.LocalZones.Generation())
	b = append(b, q.Name...)
	b = binary.BigEndian.AppendUint16(b, q.Type)
	return string(append(b, byte(trust)))
}
