package main

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

const (
	// ahead is how many questions are read before they are needed.
	ahead = 1024
	// mostRests is how often a question comes back because a server's rate was used up, beside its
	// attempts.
	mostRests = 100
)

// errInterrupted is the error of a run that was told to end.
var errInterrupted = errors.New("interrupted")

// batch is a run.
type batch struct {
	config   *config
	place    *place
	r        *resolver.Resolver
	out      *output
	before   *written
	pacer    *pacer
	opinions *opinions // nil: none are asked for
	control  *controller
	tally    *tally
	progress *progress
	start    time.Time
	stats    resolver.Stats // when the resolver was closed

	tasks   chan *task // for the workers
	ended   chan *task
	waiting waitingTasks // for another attempt
	flying  int
	workers int // as many as there were tasks under way at most
	working sync.WaitGroup

	seen windowCounts
}

// task is a question that is being worked on.
type task struct {
	question
	record *record
	err    error     // of the last attempt
	again  time.Time // when it is tried again
	rests  int
}

// newBatch makes the resolver.
func newBatch(c *config, p *place, out *output, before *written) (*batch, error) {
	b := &batch{
		config: c, place: p, out: out, before: before, pacer: newPacer(c.serverRate),
		control: newController(c.minConcurrency, c.maxConcurrency), tally: &tally{}, start: time.Now(),
		tasks: make(chan *task, c.maxConcurrency), ended: make(chan *task, c.maxConcurrency),
	}
	b.tally.add(&before.tally)
	b.tally.before = before.lines
	out.tally = b.tally
	p.noteStore(func(text string) { b.progress.note(text) })
	var err error
	if b.r, err = resolver.New(p.options); err != nil {
		return nil, err
	}
	if c.opinion {
		b.opinions = newOpinions(p.options, b.pacer)
	}
	return b, nil
}

// awaitLocalRoot waits for the copy of the root zone, if there is to be one, and notes what came of
// it.
func (b *batch) awaitLocalRoot(ctx context.Context) {
	if b.config.localRoot == "" {
		return
	}
	if err := b.r.AwaitLocalRoot(ctx); err != nil {
		b.progress.note(resolver.Explain(err))
		return
	}
	b.progress.note("local root: " + b.r.LocalRootState().String())
}

// close closes the resolver.
func (b *batch) close() error {
	b.stats = b.r.Stats()
	return b.r.Close()
}

// run asks all questions and returns when their lines are written, or why that cannot be.
func (b *batch) run(ctx context.Context, in *lists, s survey) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel(nil)
	b.awaitLocalRoot(ctx)
	if b.before.cut > 0 {
		b.progress.note("the last line of the output was not whole; its question is asked again")
	}
	if b.config.warm && b.before.lines < s.questions {
		warm(ctx, b.r, b.pacer, s.topLevel)
	}
	questions, read := make(chan question, ahead), make(chan error, 1)
	beside.Go(func() {
		defer close(questions)
		m := newMet()
		read <- in.read(ctx, func(q question) error {
			q.duplicate = b.config.duplicates != duplicatesIgnored && m.again(q)
			if had, err := b.before.has(q); had || err != nil {
				return err
			}
			select {
			case questions <- q:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	beside.Go(func() { b.watchTimer(ctx) })
	err := b.work(ctx, cancel, questions)
	cancel(err)
	for range questions {
		// until the reader has ended
	}
	unread := <-read
	if ctxErr := context.Cause(ctx); unread != nil && !errors.Is(unread, ctxErr) && !errors.Is(unread, context.Canceled) {
		return errors.Join(err, unread)
	}
	return err
}

// work is the loop of a run: it alone begins attempts and sees their ends.
func (b *batch) work(ctx context.Context, cancel context.CancelCauseFunc, questions <-chan question) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	watch := time.NewTicker(window)
	defer watch.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	defer b.working.Wait()
	defer close(b.tasks) // no task is under way then
	collector := newCollector(b.config)
	defer collector.end()
	var failed error
	for {
		if failed == nil && ctx.Err() != nil {
			failed = errInterrupted
			cancel(failed)
		}
		if failed != nil && b.flying == 0 {
			return failed
		}
		take := questions
		if failed != nil || b.flying >= b.control.limit || len(b.waiting) >= b.config.waiting {
			take = nil
		}
		if failed == nil && b.flying < b.control.limit && len(b.waiting) > 0 {
			if pause := time.Until(b.waiting[0].again); pause <= 0 {
				b.begin(ctx, heap.Pop(&b.waiting).(*task))
				continue
			} else {
				retry.Reset(pause)
			}
		}
		if failed == nil && questions == nil && b.flying == 0 && len(b.waiting) == 0 {
			return b.out.tick(time.Now())
		}
		var err error
		select {
		case q, open := <-take:
			if !open {
				questions = nil
				continue
			}
			err = b.take(ctx, q)
		case t := <-b.ended:
			b.flying--
			err = b.end(t, failed != nil)
		case <-retry.C:
		case <-tick.C:
			err = b.out.tick(time.Now())
		case <-watch.C:
			b.control.observe(b.seen.end(b.flying, b.pacer.waits()))
			next, last := b.waiting.due()
			b.progress.update(underWay{flying: b.flying, later: len(b.waiting), next: next, last: last})
			collector.adjust()
		case <-ctx.Done():
			if failed != nil {
				b.await()
			}
		}
		if err != nil && failed == nil {
			failed = err
			cancel(err)
		}
	}
}

// await waits for one of the attempts that are ending.
func (b *batch) await() {
	<-b.ended
	b.flying--
}

// errDuplicate is the error of a question that is in the lists before, with -duplicates error.
var errDuplicate = errors.New("the question is in the lists before")

// take begins a question, or writes that the line is none or is not asked.
func (b *batch) take(ctx context.Context, q question) error {
	switch {
	case q.err != nil:
		return b.write(recordNotAsked(q, reasonInput, q.err))
	case q.duplicate && b.config.duplicates == duplicatesRefused:
		return b.write(recordNotAsked(q, reasonDuplicate, errDuplicate))
	}
	b.begin(ctx, &task{question: q, record: newRecord(q)})
	return nil
}

// begin begins an attempt. A goroutine makes one after another, since its stack, which an attempt
// makes grow, is costly to get anew.
func (b *batch) begin(ctx context.Context, t *task) {
	if b.flying++; b.flying > b.workers {
		b.workers++
		b.working.Go(func() { b.attempts(ctx) })
	}
	b.tasks <- t
}

// attempts makes attempts until the run ends.
func (b *batch) attempts(ctx context.Context) {
	for t := range b.tasks {
		b.attempt(ctx, t)
		b.ended <- t
	}
}

// end writes what came of a question, or puts it back for another attempt.
func (b *batch) end(t *task, stopping bool) error {
	b.seen.done()
	switch {
	case stopping:
		return nil // it may have ended for that: it is asked again
	case t.err == nil:
		return b.write(t.record)
	}
	why := reasonOf(t.err)
	if t.record.Attempts > 1 && errors.Is(t.err, resolver.ErrCached) && t.record.Reason != "" {
		why = t.record.Reason // nobody was asked again
	}
	pause := b.config.retryAfter << (max(1, t.record.Attempts) - 1)
	if why == reasonRate && t.rests < mostRests {
		t.rests++
		t.record.Attempts--
		pause = longestPause
	}
	if why == reasonDescriptors {
		b.seen.starve()
	}
	t.record.setError(why, t.err)
	if !why.passes() || t.record.Attempts >= b.config.attempts {
		return b.write(t.record)
	}
	t.again = time.Now().Add(pause)
	heap.Push(&b.waiting, t)
	return nil
}

func (b *batch) write(r *record) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	return b.out.add(line, ending{r.Status, r.Reason, r.Duplicate})
}

// waitingTasks are the questions that wait for another attempt, the next one first.
type waitingTasks []*task

// due returns when the next of them is tried again, and when the last; zero times if there is none.
func (w waitingTasks) due() (next, last time.Time) {
	for i, t := range w {
		if i == 0 {
			next = t.again
		}
		if t.again.After(last) {
			last = t.again
		}
	}
	return next, last
}

func (w waitingTasks) Len() int           { return len(w) }
func (w waitingTasks) Less(i, j int) bool { return w[i].again.Before(w[j].again) }
func (w waitingTasks) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waitingTasks) Push(t any)        { *w = append(*w, t.(*task)) }
func (w *waitingTasks) Pop() any {
	last := len(*w) - 1
	t := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return t
}
