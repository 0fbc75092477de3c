package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// picture is what is to be drawn: the zones as a tree, each with its keys, how it hangs
// below the zone above, the part of the answer that it holds, and what its servers were
// asked.
type picture struct {
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
	keys   []trustKey
	sets   []trustSet
	steps  []string
}

// link is what a zone hangs by.
type link struct {
	texts  []string
	status dnssec.Status
}

// maxBoxes is how many zones are drawn: more are no picture any more.
const maxBoxes = 64

// newPicture puts the chain of trust and the walk together.
func newPicture(question string, t *trust, walk *walkLog) *picture {
	p := &picture{title: question, status: t.status, aliases: walk.alias}
	p.outcome = outcomeOf(t, walk)
	for _, z := range t.zones {
		p.boxes = append(p.boxes, &box{
			name: z.name, status: z.status, why: z.why, link: linkOf(z), keys: z.keys, sets: z.sets,
		})
	}
	for _, z := range walk.zones {
		p.box(z.name).steps = z.texts()
	}
	p.boxes = p.boxes[:min(len(p.boxes), maxBoxes)]
	p.arrange()
	return p
}

// outcomeOf says how the question ended.
func outcomeOf(t *trust, walk *walkLog) string {
	text := "no answer"
	switch {
	case walk.done.Result != nil:
		text = verdict(walk.done)
	case walk.done.Err != nil:
		text = explain(walk.done.Err)
	}
	if t.why != "" && !strings.Contains(text, t.why) {
		text += " — " + t.why
	}
	return oneLine(text)
}

func linkOf(z *trustZone) link {
	l := link{status: z.status}
	for _, a := range z.anchors {
		l.texts = append(l.texts, fmt.Sprintf("trust anchor %d", a))
	}
	for _, ds := range firsts(z.ds) {
		l.texts = append(l.texts, dsText(ds))
	}
	if len(z.denial) > 0 && len(z.ds) == 0 {
		l.texts = append(l.texts, "no DS, "+signedText(z.vouched))
		l.texts = append(l.texts, firsts(z.denial)...)
	}
	return l
}

// box returns the box of a zone; one that only the walk came to is as little secure as
// that above it.
func (p *picture) box(name string) *box {
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
		b.status, b.why = above.status, "below "+above.name
	} else {
		b.why = "on the way only"
	}
	p.boxes = append(p.boxes, b)
	return b
}

// arrange hangs each box below the one above it and puts them in the order of the tree.
func (p *picture) arrange() {
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

// drawing returns what draws files of a name's extension; nil if nothing does.
func drawing(file string) func(*picture) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".svg":
		return svg
	case ".dot", ".gv":
		return dot
	}
	return nil
}

// draw writes the picture.
func draw(file string, p *picture) error {
	return os.WriteFile(file, []byte(drawing(file)(p)), 0o666)
}
