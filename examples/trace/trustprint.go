package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/drawing"
)

// trust prints the outline as comments below a walk as dig prints it.
func (d *digPrinter) trust(t *drawing.Trust) {
	width := 0
	for _, top := range t.Outline() {
		width = max(width, min(top.Width(0), drawing.MaxLeft))
	}
	var print func(n *drawing.Node, indent string)
	print = func(n *drawing.Node, indent string) {
		d.note("%s", strings.TrimRight(fmt.Sprintf("%-*s  %s", width, indent+n.Left, n.Right), " "))
		for _, child := range n.Below {
			print(child, indent+"   ")
		}
	}
	for _, top := range t.Outline() {
		print(top, "")
	}
}

// trust writes one event for each zone, and one for the answer.
func (p *jsonPrinter) trust(t *drawing.Trust) {
	for _, z := range t.Zones {
		e := event{Zone: z.Name, Status: z.Status.String(), Extended: z.Why, Anchors: z.Anchors, Denial: z.Denial}
		for _, ds := range z.DS {
			e.DS = append(e.DS, drawing.DSText(ds))
		}
		for _, k := range z.Keys {
			e.Keys = append(e.Keys, keyEvent{
				Tag: k.Tag, Algorithm: k.Algorithm, Mnemonic: dnssec.AlgorithmName(k.Algorithm),
				SEP: k.IsSEP(), Trusted: k.Trusted, SignsKeys: k.Signs,
			})
		}
		for _, s := range z.Sets {
			e.Sets = append(e.Sets, setEvent{RRset: s.Text, Status: s.Status.String(), SignedBy: slices.Clip(s.Signed), Note: s.Note})
		}
		p.put("trust", p.last, e)
	}
	p.put("verdict", p.last, event{Status: t.Status.String(), Extended: t.Why})
}
