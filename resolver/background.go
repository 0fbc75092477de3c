package resolver

import (
	"github.com/iterdns/iterdns/internal/rescue"
)

// spawn runs work in a goroutine that Close waits for. A panic ends the work and nothing
// else: work must defer what wakes those that wait for it.
func (r *env) spawn(work func()) {
	r.running.Go(r.flights.stagger.delayed(func() {
		defer rescue.Quietly()
		growStack(0)
		work()
	}))
}
