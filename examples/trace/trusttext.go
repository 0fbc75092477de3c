package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

// outline is the chain of trust as lines below each other: zones, and of each zone who
// vouches for its keys, the keys, and what of the answer they signed.
func (t *trust) outline() []*node {
	top := &node{left: "chain of trust", right: statusText(t.status, t.why)}
	for _, z := range t.zones {
		zone := &node{left: z.name, right: statusText(z.status, z.why)}
		for _, line := range z.lines() {
			zone.below = append(zone.below, &node{left: line[0], right: line[1]})
		}
		top.below = append(top.below, zone)
	}
	return []*node{top}
}

// lines say what holds a zone up and what it holds, each in two columns.
func (z *trustZone) lines() [][2]string {
	var lines [][2]string
	for _, a := range z.anchors {
		lines = append(lines, [2]string{fmt.Sprintf("trust anchor %d", a), ""})
	}
	for _, ds := range firsts(z.ds) {
		lines = append(lines, [2]string{dsText(ds), signedText(z.vouched)})
	}
	if len(z.denial) > 0 && len(z.ds) == 0 {
		lines = append(lines, [2]string{"no DS", signedText(z.vouched) + ": " + strings.Join(firsts(z.denial), ", ")})
	}
	for _, k := range firsts(z.keys) {
		lines = append(lines, [2]string{"DNSKEY " + keyText(k.Key), k.role()})
	}
	if more := len(z.keys) - maxShown; more > 0 {
		lines = append(lines, [2]string{fmt.Sprintf("and %s", count(more, "more key")), ""})
	}
	for _, s := range z.sets {
		lines = append(lines, [2]string{s.text, s.verdict()})
	}
	return lines
}

func firsts[T any](all []T) []T { return all[:min(len(all), maxShown)] }

func dsText(ds dnssec.DS) string {
	return fmt.Sprintf("DS %d %s %s", ds.KeyTag, dnssec.AlgorithmName(ds.Algorithm), dnssec.DigestName(ds.DigestType))
}

// keyText returns a key without the word.
func keyText(k dnssec.Key) string { return strings.TrimPrefix(k.String(), "key ") }

// role says what a key is there for.
func (k trustKey) role() string {
	var roles []string
	if k.trusted {
		roles = append(roles, "vouched for")
	}
	if k.signs {
		roles = append(roles, "signs the keys")
	}
	return strings.Join(roles, ", ")
}

func signedText(tags []uint16) string {
	if len(tags) == 0 {
		return "not signed"
	}
	texts := make([]string, 0, len(tags))
	for _, tag := range firsts(tags) {
		texts = append(texts, fmt.Sprint(tag))
	}
	return "signed by " + strings.Join(texts, ", ")
}

func (s trustSet) verdict() string {
	text := s.status.String() + ", " + signedText(s.signed)
	if s.note != "" {
		text += ", " + s.note
	}
	return text
}

// statusText returns a status with its reason.
func statusText(status dnssec.Status, why string) string {
	if why == "" {
		return status.String()
	}
	return status.String() + " (" + oneLine(why) + ")"
}

// trust prints the outline as comments below a walk as dig prints it.
func (d *digPrinter) trust(t *trust) {
	width := 0
	for _, top := range t.outline() {
		width = max(width, min(top.width(0), maxLeft))
	}
	var print func(n *node, indent string)
	print = func(n *node, indent string) {
		d.note("%s", strings.TrimRight(fmt.Sprintf("%-*s  %s", width, indent+n.left, n.right), " "))
		for _, child := range n.below {
			print(child, indent+"   ")
		}
	}
	for _, top := range t.outline() {
		print(top, "")
	}
}

// trust puts the outline below the walk.
func (t *tree) trust(chain *trust) {
	at := t.root.below[len(t.root.below)-1].at
	for _, top := range chain.outline() {
		top.stamp(at)
		t.root.below = append(t.root.below, top)
	}
}

// stamp sets the time of a node and all below it.
func (n *node) stamp(at time.Duration) {
	n.at = at
	for _, child := range n.below {
		child.stamp(at)
	}
}

// trust writes one event for each zone, and one for the answer.
func (p *jsonPrinter) trust(t *trust) {
	for _, z := range t.zones {
		e := event{Zone: z.name, Status: z.status.String(), Extended: z.why, Anchors: z.anchors, Denial: z.denial}
		for _, ds := range z.ds {
			e.DS = append(e.DS, dsText(ds))
		}
		for _, k := range z.keys {
			e.Keys = append(e.Keys, keyEvent{
				Tag: k.Tag, Algorithm: k.Algorithm, Mnemonic: dnssec.AlgorithmName(k.Algorithm),
				SEP: k.IsSEP(), Trusted: k.trusted, SignsKeys: k.signs,
			})
		}
		for _, s := range z.sets {
			e.Sets = append(e.Sets, setEvent{RRset: s.text, Status: s.status.String(), SignedBy: slices.Clip(s.signed), Note: s.note})
		}
		p.put("trust", p.last, e)
	}
	p.put("verdict", p.last, event{Status: t.status.String(), Extended: t.why})
}
