package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// progressAfter is how long a walk may take before its progress is told. Each further line comes
// after twice the time of the one before, so that a walk of ten seconds has four.
const progressAfter = time.Second

// progress tells of a walk that takes long, while it goes on: in lines of their own, since the
// steps of the walk may be printed to the same terminal at the same time.
type progress struct {
	mu      sync.Mutex
	sent    int                // guarded by mu
	waiting resolver.QueryInfo // the last query; guarded by mu
}

// watch returns t's hooks with the counting added.
func (p *progress) watch(t *resolver.Trace) *resolver.Trace {
	watching := *t
	watching.Query = func(i resolver.QueryInfo) {
		p.mu.Lock()
		p.sent++
		p.waiting = i
		p.mu.Unlock()
		if t.Query != nil {
			t.Query(i)
		}
	}
	return &watching
}

// tell writes to w until it is told to stop. A nil w gets nothing.
func (p *progress) tell(w io.Writer) (stop func()) {
	if w == nil {
		return func() {}
	}
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		begin := time.Now()
		for next := progressAfter; ; next *= 2 {
			select {
			case <-over:
				return
			case <-time.After(time.Until(begin.Add(next))):
				fmt.Fprintf(w, "trace: after %v: %s\n", next, p)
			}
		}
	})
	return func() {
		close(over)
		telling.Wait()
	}
}

func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == 0 {
		return "no query sent yet"
	}
	q := p.waiting
	return fmt.Sprintf("%s sent, the last to %s for %s", drawing.Count(p.sent, "query"),
		server(q.Server, q.ServerName), drawing.QuestionText(q.Asked))
}
