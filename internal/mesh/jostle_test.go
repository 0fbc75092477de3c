package mesh

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errTestFull = errors.New("full")

// guest is a question that takes a slot, or waits for one.
type guest struct {
	own   *jostleSlot
	err   error // why there was none
	work  context.Context
	since time.Duration // when that was known
	known chan struct{} // closed when it is
}

// ends is a question that is shed by a call.
type ends func(error)

func (e ends) shed(cause error) { e(cause) }

// guests lets messages, or others, ask for slots at the same moment, and returns what they
// hold when all of them wait or are inside.
func guests(ctx context.Context, l *jostleList, n int, messages bool) []*guest {
	begin := time.Now()
	var all []*guest
	for range n {
		g := &guest{known: make(chan struct{})}
		var message sheddable
		if messages {
			var end context.CancelCauseFunc
			g.work, end = context.WithCancelCause(ctx)
			message = ends(end)
		}
		all = append(all, g)
		go func() {
			s := new(jostleSlot)
			if g.err = l.enter(ctx, s, message); g.err == nil {
				g.own = s
			}
			g.since = time.Since(begin)
			close(g.known)
		}()
		synctest.Wait() // one after the other
	}
	return all
}

// yielded counts the guests that were shed.
func yielded(all []*guest) (n int) {
	for _, g := range all {
		if g.own != nil && g.work != nil && context.Cause(g.work) == errTestFull {
			n++
		}
	}
	return n
}

// Messages are shed for messages: every other one, after half a second, as many as wait;
// nothing else is shed, and nothing is shed for anything else.
func TestQuestionsAreShed(t *testing.T) {
	for name, test := range map[string]struct {
		inside, waiting               int
		insideMessage, waitingMessage bool
		early, late                   int // how many are shed, after 400 and after 500 ms
	}{
		"messages wait":               {10, 3, true, true, 0, 3},
		"more than have to yield":     {10, 8, true, true, 0, 5},
		"nobody waits":                {10, 0, true, true, 0, 0},
		"callers wait":                {10, 3, true, false, 0, 0},
		"callers are inside":          {10, 3, false, true, 0, 0},
		"there is room":               {7, 3, true, true, 0, 0},
		"there is not enough of room": {8, 3, true, true, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refusals := 0
				l := newJostleList(10, func() error { refusals++; return errTestFull })
				inside := guests(t.Context(), l, test.inside, test.insideMessage)
				waiting := guests(t.Context(), l, test.waiting, test.waitingMessage)
				time.Sleep(400 * time.Millisecond)
				synctest.Wait()
				if got := yielded(inside); got != test.early {
					t.Errorf("after 400 ms %d were shed, want %d", got, test.early)
				}
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if got := yielded(inside); got != test.late || refusals != test.late {
					t.Errorf("after 500 ms %d were shed and %d counted, want %d", got, refusals, test.late)
				}
				if want := test.inside + test.waiting; l.inside() != want {
					t.Errorf("%d inside or waiting, want %d", l.inside(), want)
				}
				for _, some := range [][]*guest{inside, waiting} { // those that waited come in when the first have left
					for i, g := range some {
						if g.err != nil || g.own == nil {
							t.Fatalf("guest %d has no place, error %v", i, g.err)
						}
						g.own.leave()
					}
					synctest.Wait()
				}
				if l.taken+l.forever+l.shedding+l.waitingMessages+l.jostled.Len()+l.waiting.Len() != 0 {
					t.Errorf("when all have left there remains %+v", l)
				}
			})
		})
	}
}

// A question that is shed is gone when the next one comes in, which is itself shed for one
// after it when it is half a second old.
func TestQuestionsAreShedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newJostleList(2, func() error { return errTestFull })
		inside := guests(t.Context(), l, 2, true) // the first stays for good
		waiting := guests(t.Context(), l, 3, true)
		for _, g := range append(inside, waiting...) {
			context.AfterFunc(g.work, func() { <-g.known; g.own.leave() })
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for i, g := range waiting {
			if want := time.Duration(i+1) * jostleTimeout; g.err != nil || g.since != want {
				t.Errorf("guest %d: place after %v, error %v; want one after %v", i, g.since, g.err, want)
			}
		}
		if context.Cause(waiting[2].work) != nil {
			t.Errorf("the last was shed although nobody waits: %v", context.Cause(waiting[2].work))
		}
	})
}

// A slot that is freed by shedding goes to a message, though others have waited for longer.
func TestQuestionsAreShedForMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newJostleList(10, func() error { return errTestFull })
		inside := guests(t.Context(), l, 10, true)
		callers := guests(t.Context(), l, 3, false)
		messages := guests(t.Context(), l, 1, true)
		for _, g := range inside {
			context.AfterFunc(g.work, func() { <-g.known; g.own.leave() })
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := yielded(inside); n != 1 || messages[0].own == nil {
			t.Errorf("%d were shed for one message, which has slot %v", n, messages[0].own)
		}
		for i, g := range callers {
			if g.own != nil {
				t.Errorf("caller %d has the place", i)
			}
		}
		inside[0].own.leave() // by itself: the line's first is next
		synctest.Wait()
		if callers[0].own == nil {
			t.Error("the first caller waits still")
		}
	})
}

// A slot that is kept for good is not shed again, and another is instead.
func TestPlacesKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newJostleList(4, func() error { return errTestFull })
		inside := guests(t.Context(), l, 4, true)
		inside[1].own.keep()
		guests(t.Context(), l, 1, true)
		time.Sleep(time.Second)
		synctest.Wait()
		if yielded(inside) != 1 || context.Cause(inside[3].work) != errTestFull {
			t.Errorf("got %d shed, the last with %v; want only the last", yielded(inside), context.Cause(inside[3].work))
		}
		inside[3].own.keep() // shed already, and stays: another has to go, and none can
		inside[1].own.leave()
		inside[1].own.keep() // too late, and without effect
		synctest.Wait()
		if l.taken != 4 || l.shedding != 0 || l.waiting.Len() != 0 {
			t.Errorf("got %+v, want all four slots taken and nobody waiting", l)
		}
	})
}

// Code that runs when a message's work ends may ask for slots, or how many are taken.
func TestPlacesEndUnlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *jostleList
		shed := 0
		l = newJostleList(2, func() error { return errTestFull })
		end := ends(func(error) {
			if l.tryEnter(new(jostleSlot), nil) || l.inside() == 0 {
				t.Error("a slot is free, or nobody is inside")
			}
			shed++
		})
		var inside []*jostleSlot
		for range 2 {
			s := new(jostleSlot)
			if err := l.enter(t.Context(), s, end); err != nil {
				t.Fatal(err)
			}
			inside = append(inside, s)
		}
		waiting := guests(t.Context(), l, 2, true)
		time.Sleep(jostleTimeout)
		synctest.Wait()
		if shed != 1 {
			t.Fatalf("%d were shed, want 1", shed)
		}
		inside[1].leave()
		synctest.Wait()
		inside[0].keep()
		if waiting[0].own == nil {
			t.Error("the question that waited has no slot")
		}
		inside[0].leave()
		synctest.Wait()
		for _, g := range waiting {
			g.own.leave()
		}
		if shed != 1 || l.inside() != 0 {
			t.Errorf("%d were shed and %d are inside, want 1 and none", shed, l.inside())
		}
	})
}
