package drawing

import (
	"fmt"
	"strings"
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

// Outline is the chain of trust as lines below each other: zones, and of each zone who
// vouches for its keys, the keys, and what of the answer they signed.
func (t *Trust) Outline() []*Node {
	top := &Node{Left: "chain of trust", Right: StatusText(t.Status, t.Why)}
	for _, z := range t.Zones {
		zone := &Node{Left: z.Name, Right: StatusText(z.Status, z.Why)}
		for _, line := range z.lines() {
			zone.Below = append(zone.Below, &Node{Left: line[0], Right: line[1]})
		}
		top.Below = append(top.Below, zone)
	}
	return []*Node{top}
}

// lines say what holds a zone up and what it holds, each in two columns.
func (z *Zone) lines() [][2]string {
	var lines [][2]string
	for _, a := range z.Anchors {
		lines = append(lines, [2]string{fmt.Sprintf("trust anchor %d", a), ""})
	}
	for _, ds := range firsts(z.DS) {
		lines = append(lines, [2]string{DSText(ds), signedText(z.Vouched)})
	}
	if len(z.Denial) > 0 && len(z.DS) == 0 {
		lines = append(lines, [2]string{"no DS", signedText(z.Vouched) + ": " + strings.Join(firsts(z.Denial), ", ")})
	}
	if z.Mismatch != "" {
		lines = append(lines, [2]string{z.Mismatch, ""})
	}
	for _, k := range firsts(z.Keys) {
		lines = append(lines, [2]string{"DNSKEY " + keyText(k.Key), k.role()})
	}
	if more := len(z.Keys) - maxShown; more > 0 {
		lines = append(lines, [2]string{fmt.Sprintf("and %s", Count(more, "more key")), ""})
	}
	for _, s := range z.Sets {
		lines = append(lines, [2]string{s.Text, s.verdict()})
	}
	return lines
}

func firsts[T any](all []T) []T { return all[:min(len(all), maxShown)] }

// DSText returns a DS record without its digest.
func DSText(ds dnssec.DS) string {
	return fmt.Sprintf("DS %d %s %s", ds.KeyTag, dnssec.AlgorithmName(ds.Algorithm), dnssec.DigestName(ds.DigestType))
}

// keyText returns a key without the word.
func keyText(k dnssec.Key) string { return strings.TrimPrefix(k.String(), "key ") }

// role says what a key is there for.
func (k Key) role() string {
	var roles []string
	if k.Trusted {
		roles = append(roles, "vouched for")
	}
	if k.Signs {
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

func (s Set) verdict() string {
	text := s.Status.String() + ", " + signedText(s.Signed)
	if s.Note != "" {
		text += ", " + s.Note
	}
	return text
}

// StatusText returns a status with its reason.
func StatusText(status dnssec.Status, why string) string {
	if why == "" {
		return status.String()
	}
	return status.String() + " (" + OneLine(why) + ")"
}

// AddTrust puts the outline below the walk.
func (t *Tree) AddTrust(chain *Trust) {
	at := t.root.Below[len(t.root.Below)-1].At
	for _, top := range chain.Outline() {
		top.stamp(at)
		t.root.Below = append(t.root.Below, top)
	}
}

// stamp sets the time of a node and all below it.
func (n *Node) stamp(at time.Duration) {
	n.At = at
	for _, child := range n.Below {
		child.stamp(at)
	}
}
