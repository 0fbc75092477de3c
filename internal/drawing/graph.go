package drawing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Picture is what is to be drawn: the zones as a tree, each with its keys, how it hangs
// below the zone above, the part of the answer that it holds, and what its servers were
// asked.
type Picture struct {
	title   string
	outcome string
	status  dnssec.Status
	boxes   []*box // each behind the one it hangs below
	aliases []string
}

// box is a zone in the picture.
type box struct {
	name   string
	status dnssec.Status
	why    string
	above  *box // nil: it hangs below nothing
	depth  int
	link   link
	keys   []Key
	sets   []Set
	steps  []string
}

// link is what a zone hangs by.
type link struct {
	texts  []string
	status dnssec.Status
}

// maxBoxes is how many zones are drawn: more are no picture any more.
const maxBoxes = 64

// NewPicture puts the chain of trust and the walk together.
func NewPicture(question string, t *Trust, walk *Walk) *Picture {
	p := &Picture{title: question, status: t.Status, aliases: walk.alias}
	p.outcome = outcomeOf(t, walk)
	for _, z := range t.Zones {
		p.boxes = append(p.boxes, &box{
			name: z.Name, status: z.Status, why: z.Why, link: linkOf(z), keys: z.Keys, sets: z.Sets,
		})
	}
	for _, z := range walk.zones {
		p.box(z.name).steps = z.texts()
	}
	p.boxes = p.boxes[:min(len(p.boxes), maxBoxes)]
	p.arrange()
	return p
}

// Zones returns how many zones the picture shows.
func (p *Picture) Zones() int { return len(p.boxes) }

// outcomeOf says how the question ended.
func outcomeOf(t *Trust, walk *Walk) string {
	text := "no answer"
	switch {
	case walk.done.Result != nil:
		text = Verdict(walk.done)
	case walk.done.Err != nil:
		text = headline(walk.done.Err)
	}
	if t.Why != "" && !strings.Contains(text, t.Why) {
		text += " — " + t.Why
	}
	return OneLine(text)
}

func linkOf(z *Zone) link {
	l := link{status: z.Status}
	for _, a := range z.Anchors {
		l.texts = append(l.texts, fmt.Sprintf("trust anchor %d", a))
	}
	for _, ds := range firsts(z.DS) {
		l.texts = append(l.texts, DSText(ds))
	}
	if len(z.Denial) > 0 && len(z.DS) == 0 {
		l.texts = append(l.texts, "no DS, "+signedText(z.Vouched))
		l.texts = append(l.texts, firsts(z.Denial)...)
	}
	return l
}

// box returns the box of a zone; one that only the walk came to is as little secure as
// that above it.
func (p *Picture) box(name string) *box {
	var above *box
	for _, b := range p.boxes {
		if b.name == name {
			return b
		}
		if dns.IsSubDomain(b.name, name) && (above == nil || dns.CountLabel(b.name) > dns.CountLabel(above.name)) {
			above = b
		}
	}
	b := &box{name: name}
	if above != nil && above.status != dnssec.Secure {
		b.status, b.why = above.status, "below "+quoted(above.name)
	} else {
		b.why = "on the way only"
	}
	p.boxes = append(p.boxes, b)
	return b
}

// quoted is a name within a text, where its final dot would end the sentence.
func quoted(name string) string { return `"` + name + `"` }

// arrange hangs each box below the one above it and puts them in the order of the tree.
func (p *Picture) arrange() {
	slices.SortStableFunc(p.boxes, func(a, b *box) int { return cmp.Compare(dns.CountLabel(a.name), dns.CountLabel(b.name)) })
	for i, b := range p.boxes {
		for _, other := range p.boxes[:i] {
			if dns.IsSubDomain(other.name, b.name) && other.name != b.name {
				b.above = other // the last one is the deepest
			}
		}
		if b.above != nil {
			b.depth = b.above.depth + 1
		}
	}
	var ordered []*box
	var hang func(above *box)
	hang = func(above *box) {
		for _, b := range p.boxes {
			if b.above == above {
				ordered = append(ordered, b)
				hang(b)
			}
		}
	}
	hang(nil)
	p.boxes = ordered
}
