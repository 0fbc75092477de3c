package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Measures of the picture, in pixels. The font has a fixed width, so that a text's own is
// known without the font.
const (
	svgMargin   = 24
	svgIndent   = 40 // of a zone below its parent
	svgPad      = 12 // between a box and its text
	svgLine     = 19 // from one line of text to the next
	svgGap      = 18 // above a box and what it hangs by
	svgGlyph    = 7.85
	svgStep     = 28  // of a line that belongs to the one above
	svgMaxText  = 112 // characters; the rest is cut off
	svgMinWidth = 560
)

// paint is how a status looks. Each is also written out.
type paint struct{ fill, stroke, dash string }

func paintOf(status dnssec.Status) paint {
	switch status {
	case dnssec.Secure:
		return paint{"#e8f5e9", "#2e7d32", ""}
	case dnssec.Insecure:
		return paint{"#f3f3f3", "#6d6d6d", "6 4"}
	case dnssec.Bogus:
		return paint{"#ffebee", "#c62828", ""}
	case dnssec.Indeterminate:
	}
	return paint{"#fffde7", "#b28704", "2 3"}
}

// svgText is one line of a box.
type svgText struct {
	text, class string
	colour      string // "": that of the class
	below       bool   // it belongs to the line above
}

// indent is how far to the right a line begins.
func (t svgText) indent() float64 {
	if t.below {
		return svgStep
	}
	return 0
}

// svg draws a picture: each zone a box, below and to the right of the one it hangs below.
func svg(p *picture) string {
	d := &svgDrawing{right: svgMinWidth}
	for _, b := range p.boxes {
		x := svgMargin + svgIndent*float64(b.depth)
		for _, line := range append(b.texts(), b.linkTexts()...) {
			d.right = max(d.right, x+2*svgPad+line.indent()+svgWidth(line.text))
		}
		d.right = max(d.right, x+2*svgPad+svgWidth(b.name+"   "+b.status.String()))
	}
	for _, text := range append([]string{p.title, p.outcome}, p.aliases...) {
		d.right = max(d.right, svgMargin+svgWidth(text))
	}
	d.head(p)
	for _, b := range p.boxes {
		d.box(b)
	}
	d.legend()
	return d.document()
}

// svgWidth is how wide a text is drawn.
func svgWidth(text string) float64 { return svgGlyph * float64(utf8.RuneCountInString(cut(text))) }

// cut shortens a text to what is drawn of it.
func cut(text string) string {
	if utf8.RuneCountInString(text) <= svgMaxText {
		return text
	}
	return string([]rune(text)[:svgMaxText-1]) + "…"
}

// texts are the lines within a box, below its name.
func (b *box) texts() []svgText {
	var lines []svgText
	if b.why != "" {
		lines = append(lines, svgText{text: b.why, class: "why", colour: paintOf(b.status).stroke})
	}
	for _, k := range firsts(b.keys) {
		text := "⚷ key " + keyText(k.Key)
		if role := k.role(); role != "" {
			text += " · " + role
		}
		lines = append(lines, svgText{text: text})
	}
	if more := len(b.keys) - maxShown; more > 0 {
		lines = append(lines, svgText{text: "and " + count(more, "more key"), below: true})
	}
	for _, s := range b.sets {
		lines = append(lines, svgText{text: "■ " + s.text + " · " + s.verdict(), colour: paintOf(s.status).stroke})
		for _, data := range s.data {
			lines = append(lines, svgText{text: data, below: true})
		}
	}
	for _, step := range firsts(b.steps) {
		lines = append(lines, svgText{text: "? " + step, class: "walk"})
	}
	if more := len(b.steps) - maxShown; more > 0 {
		lines = append(lines, svgText{text: fmt.Sprintf("and %d more", more), class: "walk", below: true})
	}
	return lines
}

// linkTexts are the lines above a box.
func (b *box) linkTexts() []svgText {
	var lines []svgText
	for _, text := range b.link.texts {
		lines = append(lines, svgText{text: text, class: "link", colour: paintOf(b.link.status).stroke})
	}
	return lines
}

// svgDrawing is the picture as far as it has been drawn.
type svgDrawing struct {
	shapes strings.Builder
	lines  strings.Builder // below the shapes
	y      float64
	right  float64
	drawn  map[*box]float64 // the lower edge of each box
}

func (d *svgDrawing) head(p *picture) {
	d.y = svgMargin + svgLine
	d.text(svgMargin, svgText{text: p.title, class: "title"})
	d.text(svgMargin, svgText{text: p.outcome, class: "name", colour: paintOf(p.status).stroke})
	for _, alias := range p.aliases {
		d.text(svgMargin, svgText{text: alias})
	}
}

// text draws a line at the height reached and goes to the next.
func (d *svgDrawing) text(x float64, t svgText) {
	attributes := ""
	if t.class != "" {
		attributes += fmt.Sprintf(" class=%q", t.class)
	}
	if t.colour != "" {
		attributes += fmt.Sprintf(" fill=%q", t.colour)
	}
	fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\"%s>%s</text>\n", x+t.indent(), d.y, attributes, escaped(cut(t.text)))
	d.y += svgLine
}

func (d *svgDrawing) box(b *box) {
	x := svgMargin + svgIndent*float64(b.depth)
	d.y += svgGap
	for _, line := range b.linkTexts() {
		d.text(x+svgPad, line)
	}
	top := d.y - svgLine + 5
	lines := b.texts()
	height := svgLine*float64(len(lines)+1) + svgPad
	colours := paintOf(b.status)
	fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"6\" fill=%q stroke=%q stroke-width=\"2\" stroke-dasharray=%q/>\n",
		x, top, d.right-x, height, colours.fill, colours.stroke, colours.dash)
	d.y = top + svgLine
	d.hang(b, x, d.y-5)
	status := b.status.String()
	fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\" class=\"name\" text-anchor=\"end\" fill=%q>%s</text>\n",
		d.right-svgPad, d.y, colours.stroke, escaped(status))
	d.text(x+svgPad, svgText{text: b.name, class: "name"})
	for _, line := range lines {
		d.text(x+svgPad, line)
	}
	if d.drawn == nil {
		d.drawn = make(map[*box]float64)
	}
	d.drawn[b] = top + height
	d.y = top + height + svgLine
}

// hang draws the line from the box above to the left edge of a box.
func (d *svgDrawing) hang(b *box, x, y float64) {
	if b.above == nil {
		return
	}
	from := svgMargin + svgIndent*float64(b.above.depth) + svgIndent/2
	colours := paintOf(b.status)
	fmt.Fprintf(&d.lines, "<path d=\"M %.0f %.0f V %.0f H %.0f\" fill=\"none\" stroke=%q stroke-width=\"2\" stroke-dasharray=%q/>\n",
		from, d.drawn[b.above], y, x-2, colours.stroke, colours.dash)
	fmt.Fprintf(&d.lines, "<path d=\"M %.0f %.0f l -9 -5 v 10 z\" fill=%q/>\n", x-1, y, colours.stroke)
}

// legend says what the signs mean.
func (d *svgDrawing) legend() {
	d.y += svgGap
	x := float64(svgMargin)
	for _, status := range []dnssec.Status{dnssec.Secure, dnssec.Insecure, dnssec.Bogus, dnssec.Indeterminate} {
		colours := paintOf(status)
		fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"14\" height=\"14\" rx=\"3\" fill=%q stroke=%q stroke-width=\"2\" stroke-dasharray=%q/>\n",
			x, d.y-12, colours.fill, colours.stroke, colours.dash)
		fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\">%s</text>\n", x+20, d.y, status)
		x += 20 + svgGlyph*float64(len(status.String())+3)
	}
	d.y += svgLine
	d.text(svgMargin, svgText{text: "⚷ key of the zone, ■ part of the answer, ? what its servers were asked", class: "walk"})
}

func (d *svgDrawing) document() string {
	width, height := d.right+svgMargin, d.y+svgMargin-svgLine
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">
<style>
text { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 13px; }
.title { font-weight: bold; font-size: 15px; }
.name { font-weight: bold; }
.why, .link { font-style: italic; }
.walk { fill: #5f6368; }
</style>
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s%s</svg>
`, width, height, width, height, d.lines.String(), d.shapes.String())
}

// escaped makes a text of XML; what XML cannot hold becomes U+FFFD.
func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(resolver.Printable(text))) // a Builder does not fail
	return b.String()
}
