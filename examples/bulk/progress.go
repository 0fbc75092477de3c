package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/iterdns/iterdns/resolver"
)

// progressForm is how progress is shown.
type progressForm uint8

const (
	progressAuto progressForm = iota
	progressBar
	progressLines
	progressNone
)

func parseProgressForm(word string) (progressForm, error) {
	for form, name := range []string{"auto", "bar", "lines", "none"} {
		if word == name {
			return progressForm(form), nil
		}
	}
	return progressAuto, fmt.Errorf("-progress: %.40q is not bar, lines, none or auto", word)
}

// progress shows how far a run is: a bar on a terminal, lines elsewhere.
type progress struct {
	w     io.Writer // printable
	total uint64    // 0: not known
	tally *tally
	every time.Duration
	lines bool

	bars *mpb.Progress // nil: no bar
	bar  *mpb.Bar

	mu          sync.Mutex
	now         underWay  // guarded by mu
	begun, last time.Time // last line; guarded by mu
}

// underWay is what a run is busy with.
type underWay struct {
	flying, later int       // questions that are being asked, and that wait for another attempt
	next, last    time.Time // when the first and the last of those that wait are tried again
}

// newProgress chooses the form. total is the number of questions; 0: not known.
func newProgress(c *config, stderr io.Writer, total uint64, t *tally) *progress {
	now := time.Now()
	p := &progress{w: resolver.PrintableWriter(stderr), total: total, tally: t, every: c.progressEvery, begun: now, last: now}
	form := c.progress
	if form == progressAuto {
		form = progressLines
		if file, ok := stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			form = progressBar
		}
	}
	switch form {
	case progressBar:
		p.startBar(stderr)
	case progressLines:
		p.lines = true
	case progressNone, progressAuto:
	}
	return p
}

func (p *progress) startBar(stderr io.Writer) {
	p.bars = mpb.New(mpb.WithOutput(stderr), mpb.WithAutoRefresh(), mpb.WithWidth(40), mpb.WithRefreshRate(250*time.Millisecond))
	p.bar = p.bars.AddBar(int64(p.total),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.doneText() + " " })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.rateText() })))
	p.bar.SetCurrent(int64(p.tally.all()))
}

// update takes what is under way.
func (p *progress) update(now underWay) {
	p.mu.Lock()
	p.now = now
	due := p.lines && time.Since(p.last) >= p.every
	if due {
		p.last = time.Now()
	}
	p.mu.Unlock()
	if p.bar != nil {
		p.bar.SetCurrent(int64(p.tally.all()))
	}
	if due {
		fmt.Fprintf(p.w, "%s, %s\n", p.doneText(), p.rateText())
	}
}

// note shows a line of its own.
func (p *progress) note(text string) {
	switch {
	case p.bars != nil:
		fmt.Fprintln(p.bars, resolver.Printable(text))
	case p.lines:
		fmt.Fprintln(p.w, text)
	}
}

// finish ends the bar. done says that the list is done.
func (p *progress) finish(done bool) {
	if p.bars == nil {
		return
	}
	if done {
		p.bar.SetTotal(int64(p.tally.all()), true)
	} else {
		p.bar.Abort(false)
	}
	p.bars.Wait()
}

func (p *progress) doneText() string {
	if p.total == 0 {
		return fmt.Sprintf("%d done", p.tally.all())
	}
	return fmt.Sprintf("%d of %d done", p.tally.all(), p.total)
}

// rateText returns how fast it goes, the time left, the failures and what is under way.
func (p *progress) rateText() string {
	p.mu.Lock()
	now := p.now
	p.mu.Unlock()
	rate := float64(p.tally.all()-p.tally.before) / max(time.Since(p.begun).Seconds(), 0.001)
	return fmt.Sprintf("%.0f a second%s, %s, %d under way, %d tried again later",
		rate, p.leftText(rate, now), p.tally.kinds(), now.flying, now.later)
}

// leftText returns how long it takes at a rate, or until what waits is tried again: the rate says nothing
// about that.
func (p *progress) leftText(rate float64, now underWay) string {
	all := p.tally.all()
	if now.later > 0 && now.flying == 0 {
		return fmt.Sprintf(", waiting %v to try again", inSeconds(time.Until(now.next)))
	}
	if p.total <= all || rate == 0 {
		return ""
	}
	left := time.Duration(min(float64(p.total-all)/rate, 1e9) * float64(time.Second))
	if now.later > 0 {
		left = max(left, time.Until(now.last))
	}
	return fmt.Sprintf(", %v left", inSeconds(left))
}

// inSeconds rounds what is to come up, so that it is not 0 before it is over.
func inSeconds(d time.Duration) time.Duration {
	return max(0, d+time.Second-1).Truncate(time.Second)
}
