package iterate

import (
	"context"
	"time"

	"github.com/iterdns/iterdns/internal/events"
)

// maxInFlight is how many servers are asked at the same time: one, and one more when it is
// late. Each further one would be another target for a forger.
const maxInFlight = 2

// hedge asks a second server, or looks up another address, because the first is later than
// expected: than infra's estimate for the server (Estimate.Late), or than lookupLate. The one that
// is late is still waited for, and the first reply that settles the question counts.
func (z *zoneQuery) hedge(ctx context.Context) {
	switch {
	case z.inFlight >= maxInFlight, z.onlyPlainRetry:
	case z.inFlight > 0 && z.send(ctx, events.ReasonHedge):
	case z.lookups < maxLookups:
		z.lookUp(ctx)
	}
}

// hedgeTimer fires when the reply or look-up that is waited for is later than expected. The zero
// value has not been started.
type hedgeTimer struct{ timer *time.Timer }

// start makes the timer fire after a while, unless it is stopped or started again before.
func (t *hedgeTimer) start(late time.Duration) {
	if t.timer == nil {
		t.timer = time.NewTimer(late)
		return
	}
	t.timer.Reset(late)
}

func (t *hedgeTimer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// late returns the channel on which the timer fires; nil before it was started.
func (t *hedgeTimer) late() <-chan time.Time {
	if t.timer == nil {
		return nil
	}
	return t.timer.C
}
