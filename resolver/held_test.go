package resolver_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// At thousands of questions a second, all of the last ten seconds would be in memory if
// each were held until its time is over.
func TestAnsweredQuestionIsNotHeld(t *testing.T) {
	const questions = 100
	in := resolvertest.New(t, `
-- zone . at 198.51.100.1 --
-- zone example. at 198.51.100.2 --
* A 192.0.2.1
`)
	r, err := resolver.New(in.Options())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	type key struct{}
	var callers []weak.Pointer[[1024]byte]
	for i := range questions {
		caller := new([1024]byte)
		callers = append(callers, weak.Make(caller))
		ctx := context.WithValue(context.Background(), key{}, caller)
		if _, err := r.Resolve(ctx, fmt.Sprintf("n%d.example.", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.GC()
	held := 0
	for _, c := range callers {
		if c.Value() != nil {
			held++
		}
	}
	t.Logf("%d of %d are held", held, questions)
	// Stopped timers leave the runtime's heap of timers in portions.
	if held > questions/2 {
		t.Errorf("%d of %d answered questions are held, want at most half", held, questions)
	}
}
