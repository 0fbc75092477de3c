package drawing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
	same string // what it has in common with those that repeat it
}

// texts returns the steps in order, also of those that happened at the same time. What repeats one of
// them is counted there.
func (z *walkedZone) texts() []string {
	slices.SortStableFunc(z.steps, func(a, b walkStep) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.text, b.text)) })
	times := make(map[string]int)
	for _, s := range z.steps {
		times[s.same]++
	}
	var texts []string
	for _, s := range z.steps {
		switch n := times[s.same]; {
		case n == 0: // it repeats one that is there
			continue
		case n > 1:
			s.text += fmt.Sprintf(" (asked %d times, the same)", n)
		}
		texts = append(texts, s.text)
		times[s.same] = 0
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
	var same string
	if i.Err == nil && !PassedOver(i.Kind) {
		kind := KindText(i, q.Asked)
		same = strings.Join([]string{QuestionText(q.Asked), kind, fmt.Sprint(i.Rcode)}, "\n")
		text += fmt.Sprintf("%s, %d bytes in %s", kind, len(i.Message), Millis(i.RTT))
	} else {
		text += Outcome(i)
		same = fmt.Sprint(i.ID) // which server fails, and when, matters
	}
	z.steps = append(z.steps, walkStep{i.At, text, same})
}
