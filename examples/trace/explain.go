package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// errNoNetwork: every query failed at once, none was merely lost.
var errNoNetwork = errors.New("no network")

// failures counts what became of the queries, to tell a host without network from
// one whose packets are dropped on the way.
type failures struct {
	replies, silent int
	first           error // of those that could not be sent
}

// watch returns t's hooks with the counting added.
func (f *failures) watch(t *resolver.Trace) *resolver.Trace {
	watching := *t
	watching.Response = func(i resolver.ResponseInfo) {
		switch {
		case i.Message != nil:
			f.replies++
		case drawing.IsTimeout(i.Err):
			f.silent++
		case f.first == nil && !errors.Is(i.Err, context.Canceled):
			f.first = i.Err
		}
		if t.Response != nil {
			t.Response(i)
		}
	}
	return &watching
}

// add says in err that there is no network, if that is what the queries show.
func (f *failures) add(err error) error {
	if f.first == nil || f.replies > 0 || f.silent > 0 {
		return err
	}
	return fmt.Errorf("%w: %w (%w)", errNoNetwork, f.first, err)
}

// explain says in one line what went wrong, and the way out where there is one.
func explain(err error) string {
	var failure *resolver.Error
	where := ""
	if errors.As(err, &failure) && len(failure.Servers) > 0 {
		where = fmt.Sprintf(" (%d tried, last %s)", len(failure.Servers), failure.Servers[len(failure.Servers)-1].Addr())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, errNoNetwork):
		return "no network: no query could be sent" + where + "; without arguments the mock Internet is walked, which needs none"
	case errors.Is(err, resolver.ErrIntercepted):
		return "port 53 is intercepted: a recursive resolver in between answers in place of the root servers" + where +
			". The way out: forward to a resolver that may be asked, or use a network that leaves DNS alone"
	case errors.Is(err, resolver.ErrBlocked):
		return "port 53 is blocked: no root server answers" + where +
			". The way out: forward to a resolver that may be asked, or use a network that lets DNS through"
	case failure != nil:
		return drawing.OneLine(fmt.Sprintf("no answer for %s: %v", drawing.QuestionText(failure.Question), failure.Err))
	}
	return drawing.OneLine(err.Error())
}
