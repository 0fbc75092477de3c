package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// state is whether something works, for the log: only changes are logged, since a line for
// each failure would hide the rest.
type state struct {
	mu     sync.Mutex
	failed string // the error; "": it works. Guarded by mu
}

// report logs what does not work any more, or works again.
func (s *state) report(log *slog.Logger, what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == s.failed:
	case text == "":
		log.Info("over: " + what)
	default:
		log.Warn(what, "error", text)
	}
	s.failed = text
}

// watchInterval is how often is looked at what an operator can mend.
const watchInterval = 10 * time.Second

// watch does what is to be done while the proxy runs, until ctx ends: snapshots, the
// certificate, and a look at why questions fail.
func (p *proxy) watch(ctx context.Context) {
	look := time.NewTicker(watchInterval)
	defer look.Stop()
	var saving <-chan time.Time
	if p.config.snapshotInterval > 0 && p.config.snapshotFile != "" {
		ticker := time.NewTicker(p.config.snapshotInterval)
		defer ticker.Stop()
		saving = ticker.C
	}
	var saved state
	var faults faults
	for {
		select {
		case <-ctx.Done():
			return
		case <-saving:
			saved.report(p.log, "the snapshot cannot be written", p.cache.save())
		case <-look.C:
			faults.report(p.log, p.resolver.Stats().Failures)
			if c := p.config.certificate; c != nil {
				_, _ = c.get(nil) // which reads a changed one, and says what is wrong
			}
		}
	}
}

// faults are the reasons for failures that an operator can mend.
type faults struct {
	descriptors, certificate fault
}

// fault is one of them.
type fault struct {
	state
	count uint64
}

// report tells of reasons that there were since the last call, and of those that are gone.
func (f *faults) report(log *slog.Logger, failures map[resolver.FailureReason]uint64) {
	f.descriptors.note(log, "questions fail", failures[resolver.FailureDescriptors], resolver.ErrNoDescriptors)
	f.certificate.note(log, "questions to a route fail", failures[resolver.FailureCertificate], resolver.ErrCertificate)
}

func (f *fault) note(log *slog.Logger, what string, count uint64, err error) {
	if count == f.count {
		err = nil
	}
	f.count = count
	f.state.report(log, what, err)
}
