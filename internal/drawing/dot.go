package drawing

import (
	"fmt"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Dot writes a picture for Graphviz: each zone a node, each delegation an edge.
func Dot(p *Picture) string {
	var b strings.Builder
	b.WriteString("digraph trust {\n\tnode [shape=box, style=filled, fontname=monospace];\n\tedge [fontname=monospace];\n")
	title := append([]string{p.title, p.outcome}, p.aliases...)
	fmt.Fprintf(&b, "\tlabel=%s; labelloc=t; labeljust=l; fontname=monospace;\n", dotText(title...))
	ids := make(map[*box]int)
	for i, z := range p.boxes {
		ids[z] = i
		lines := []string{z.name + "   " + z.look().text}
		for _, line := range z.texts() {
			lines = append(lines, line.text)
		}
		fmt.Fprintf(&b, "\tz%d [label=%s, %s];\n", i, dotText(lines...), dotPaint(z.look().paint))
	}
	for i, z := range p.boxes {
		var texts []string
		for _, line := range z.linkTexts() {
			texts = append(texts, line.text)
		}
		switch {
		case z.above != nil:
			fmt.Fprintf(&b, "\tz%d -> z%d [label=%s, color=%q];\n", ids[z.above], i, dotText(texts...), paintOf(z.status).stroke)
		case len(texts) > 0:
			fmt.Fprintf(&b, "\ta%d [label=%s, shape=ellipse, style=solid];\n\ta%[1]d -> z%[1]d;\n", i, dotText(texts...))
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func dotPaint(status dnssec.Status) string {
	colours := paintOf(status)
	style := "filled"
	if colours.dash != "" {
		style = "filled,dashed"
	}
	return fmt.Sprintf("fillcolor=%q, color=%q, style=%q", colours.fill, colours.stroke, style)
}

// dotText makes a string of lines, each flush left. Within it a backslash begins an
// escape, so that those of DNS names have to be doubled.
func dotText(lines ...string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	b.WriteByte('"')
	for _, line := range lines {
		b.WriteString(quote.Replace(resolver.Printable(cut(line))) + `\l`)
	}
	b.WriteByte('"')
	return b.String()
}
