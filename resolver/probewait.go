package resolver

// deadProbe is the wait for another question's probe of a server that is marked down.
type deadProbe struct {
	server *serverAddr
	ended  <-chan struct{} // closed when the probe has ended; nil: there is no wait
	resume func()          // staggers the questions that wait for the same probe in tests
	leave  func()          // releases this question's slot among those that wait
}

// endedProbe is the channel of a probe that has ended.
func endedProbe() <-chan struct{} {
	ended := make(chan struct{})
	close(ended)
	return ended
}

// awaitProbe reports whether this question waits for a server that another question is
// probing. Servers that are marked down are tried by one query at a time, and a question
// that comes meanwhile has no more reason to fail than the one that probes: they may be the
// question for a zone's keys and the one whose answer these validate. But the number that
// may wait is limited: otherwise random names of a zone with silent servers would take the
// slots of all other questions (attacks.md 24).
func (z *zoneQuery) awaitProbe() bool {
	if z.deadProbe.ended != nil {
		return true // it waits already
	}
	if z.fallback != nil {
		return false
	}
	p := z.probing()
	if p.ended == nil {
		return false
	}
	leave, ok := z.r.probeWaitSlots.tryEnter(p.server.addr)
	if !ok {
		z.errs = append(z.errs, z.st.budget.refuse(limitQuestions))
		return false
	}
	p.leave = leave
	z.deadProbe = p
	return true
}

// forgetDeadProbe ends the wait for a server.
func (z *zoneQuery) forgetDeadProbe() {
	if z.deadProbe.leave != nil {
		z.deadProbe.leave()
	}
	z.deadProbe = deadProbe{}
}

// probing finds a server that is being probed, or was just found to answer again.
func (z *zoneQuery) probing() deadProbe {
	if z.servers.tries >= maxTries || z.servers.probes >= maxProbes {
		return deadProbe{}
	}
	for _, c := range z.servers.askable(func(c *serverAddr) bool { return c.estimate.Dead }) {
		if ended := z.servers.infra.Probing(c.addr); ended != nil {
			return deadProbe{server: c, ended: ended, resume: z.r.flights.stagger.pause()}
		}
		if !z.servers.infra.Estimate(z.r.settings.Now(), c.addr).Dead {
			return deadProbe{server: c, ended: endedProbe(), resume: z.r.flights.stagger.pause()}
		}
	}
	return deadProbe{}
}

// takeDeadProbe takes in what the probe found. If the server is still down, that counts as
// if this question had probed it.
func (z *zoneQuery) takeDeadProbe() {
	c := z.deadProbe.server
	z.deadProbe.resume()
	z.forgetDeadProbe()
	if c.busy {
		return
	}
	c.estimate = z.servers.infra.Estimate(z.r.settings.Now(), c.addr)
	if c.estimate.Dead {
		c.excluded = true
		z.servers.probes++
	}
}
