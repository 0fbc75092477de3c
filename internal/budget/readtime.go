package budget

import (
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/secondlevel"
)

// maxReadTime is how long one question waits for the second level, all reads together: as
// many timeouts as it takes to find out that the store does not work.
const maxReadTime = 3 * secondlevel.ReadPatience

// readTime is how long one question has waited for the second level. Reads at the same time
// count once.
type readTime struct {
	mu    sync.Mutex
	spent time.Duration // guarded by mu
	until time.Time     // the end of the last wait; guarded by mu
}

// Add adds a wait that has ended now.
func (t *readTime) Add(wait time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spent += max(0, min(wait, now.Sub(t.until)))
	t.until = now
}

// Left is how much longer the question may wait.
func (t *readTime) Left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maxReadTime - t.spent
}
