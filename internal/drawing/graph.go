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
	walked bool // nobody judged it: its servers were asked on the way
	why    string
	note   string // on why
	above  *box   // nil: it hangs below nothing
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
			name: z.Name, status: z.Status, why: z.Why, note: z.Mismatch, link: linkOf(z), keys: z.Keys, sets: z.Sets,
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

// look is how the box of a zone is drawn: its status, or that of data in it that is worse.
func (b *box) look() look {
	switch {
	case b.walked:
		return wayLook
	case b.holdsBogus():
		return look{dnssec.Bogus.String(), "keys secure, data bogus", dnssec.Bogus}
	}
	return look{b.status.String(), b.status.String(), b.status}
}

// linkLook is how the line to a box is drawn.
func (b *box) linkLook() string {
	if b.walked {
		return wayLook.class
	}
	return b.status.String()
}

// holdsBogus reports whether the keys of a zone are secure, and not what they signed.
func (b *box) holdsBogus() bool {
	return b.status == dnssec.Secure && slices.ContainsFunc(b.sets, func(s Set) bool { return s.Status == dnssec.Bogus })
}

// look is the class of the style sheet, what stands in the corner, and the colours.
type look struct {
	class, text string
	paint       dnssec.Status
}

// wayLook is that of zones that were only walked through: not in the colour of a warning, for nothing is
// wrong with them as far as anybody has looked.
var wayLook = look{"way", "on the way", dnssec.Insecure}

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
	if above != nil && above.status != dnssec.Secure && !above.walked {
		b.status, b.why = above.status, "below "+quoted(above.name)
	} else {
		b.walked = true
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
