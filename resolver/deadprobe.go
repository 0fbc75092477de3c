package resolver

// deadProbe is a server held to be dead that somebody else is trying at the moment.
type deadProbe struct {
	server *serverAddr
	ended  <-chan struct{} // closed when it is known whether it answers; nil: nobody is waited for
	heard  func()          // waits for its turn among those who wait for the same probe
	leave  func()          // gives back the place of who waits
}

// endedProbe is the channel of a probe that has ended.
func endedProbe() <-chan struct{} {
	ended := make(chan struct{})
	close(ended)
	return ended
}

// awaitProbe reports whether a server that nobody but another question may try is waited
// for. Dead servers are tried by one query at a time; a question that comes meanwhile has
// no more reason to fail than the one that tries, such as the question for a zone's keys
// and the one whose answer they are for. But not all questions there may be: random names
// of a zone whose servers are silent would take the places of all others (attacks.md 24).
func (a *asking) awaitProbe() bool {
	if a.deadProbe.ended != nil {
		return true // it was waited for before
	}
	if a.fallback != nil {
		return false
	}
	p := a.probing()
	if p.ended == nil {
		return false
	}
	leave, ok := a.r.watchers.tryEnter(p.server.addr)
	if !ok {
		a.errs = append(a.errs, a.st.budget.refuse(limitQuestions))
		return false
	}
	p.leave = leave
	a.deadProbe = p
	return true
}

// forgetDeadProbe ends the wait for a server.
func (a *asking) forgetDeadProbe() {
	if a.deadProbe.leave != nil {
		a.deadProbe.leave()
	}
	a.deadProbe = deadProbe{}
}

// probing finds a server that is being tried, or has just been found to answer again.
func (a *asking) probing() deadProbe {
	if a.list.tries >= maxTries || a.list.probes >= maxProbes {
		return deadProbe{}
	}
	for _, c := range a.list.askable(func(c *serverAddr) bool { return c.estimate.Dead }) {
		if ended := a.list.infra.Probing(c.addr); ended != nil {
			return deadProbe{server: c, ended: ended, heard: a.r.flights.stagger.pause()}
		}
		if !a.list.infra.Estimate(a.r.config.Now(), c.addr).Dead {
			return deadProbe{server: c, ended: endedProbe(), heard: a.r.flights.stagger.pause()}
		}
	}
	return deadProbe{}
}

// takeDeadProbe takes in what has become known of the server. If it is dead still, that
// counts as if this question had tried it.
func (a *asking) takeDeadProbe() {
	c := a.deadProbe.server
	a.deadProbe.heard()
	a.forgetDeadProbe()
	if c.busy {
		return
	}
	c.estimate = a.list.infra.Estimate(a.r.config.Now(), c.addr)
	if c.estimate.Dead {
		c.excluded = true
		a.list.probes++
	}
}
