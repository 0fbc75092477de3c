package drawing

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// Walk remembers which zones a walk came through, and what their servers said, for the
// picture.
type Walk struct {
	zones []*walkedZone // in the order in which they were first asked
	asked map[int]resolver.QueryInfo
	done  resolver.DoneInfo
	alias []string
}

type walkedZone struct {
	name  string
	steps []walkStep
}

type walkStep struct {
	at   time.Time
	text string
}

// texts returns the steps in order, also of those that happened at the same time.
func (z *walkedZone) texts() []string {
	slices.SortStableFunc(z.steps, func(a, b walkStep) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.text, b.text)) })
	texts := make([]string, len(z.steps))
	for i, s := range z.steps {
		texts[i] = s.text
	}
	return texts
}

// Watch returns t's hooks with the remembering added.
func (l *Walk) Watch(t *resolver.Trace) *resolver.Trace {
	watching := *t
	l.asked = make(map[int]resolver.QueryInfo)
	watching.Query = func(i resolver.QueryInfo) {
		l.asked[i.ID] = i
		if t.Query != nil {
			t.Query(i)
		}
	}
	watching.Response = func(i resolver.ResponseInfo) {
		l.response(i)
		if t.Response != nil {
			t.Response(i)
		}
	}
	watching.Referral = func(i resolver.ReferralInfo) {
		l.zone(i.Cut.Zone.String())
		if t.Referral != nil {
			t.Referral(i)
		}
	}
	watching.Alias = func(i resolver.AliasInfo) {
		l.alias = append(l.alias, fmt.Sprintf("%s is an alias (%s) of %s", i.From, AliasType(i.DNAME), i.To))
		if t.Alias != nil {
			t.Alias(i)
		}
	}
	watching.Done = func(i resolver.DoneInfo) {
		l.done = i
		if t.Done != nil {
			t.Done(i)
		}
	}
	return &watching
}

func (l *Walk) zone(name string) *walkedZone {
	for _, z := range l.zones {
		if z.name == name {
			return z
		}
	}
	z := &walkedZone{name: name}
	l.zones = append(l.zones, z)
	return z
}

func (l *Walk) response(i resolver.ResponseInfo) {
	q, ok := l.asked[i.ID]
	if !ok || i.Zone == "" || Overtaken(i) {
		return
	}
	z := l.zone(i.Zone)
	text := QuestionText(q.Asked) + " → " + i.Server.Addr().String() + ": "
	if i.Err == nil && !PassedOver(i.Kind) {
		text += fmt.Sprintf("%s, %d bytes in %s", i.Kind, len(i.Message), Millis(i.RTT))
	} else {
		text += Outcome(i)
	}
	z.steps = append(z.steps, walkStep{i.At, text})
}
