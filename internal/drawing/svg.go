package drawing

import (
	"encoding/xml"
	"fmt"
	"slices"
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

// svgText is one line of a box.
type svgText struct {
	text, class string
	status      string // that it has the colour of; "": none
	below       bool   // it belongs to the line above
}

// indent is how far to the right a line begins.
func (t svgText) indent() float64 {
	if t.below {
		return svgStep
	}
	return 0
}

// SVG draws a picture: each zone a box, below and to the right of the one it hangs below. It is a
// file of its own, which follows the reader's choice of a light or a dark scheme.
func SVG(p *Picture) string {
	return drawSVG(p).document(p, "<style>\n"+Style()+"</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n")
}

// InlineSVG is SVG as an element for a page of HTML that has [Style] among its styles: it has no
// style of its own, so that a Content-Security-Policy may forbid inline styles.
func InlineSVG(p *Picture) string { return drawSVG(p).document(p, "") }

func drawSVG(p *Picture) *svgDrawing {
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
	return d
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
		lines = append(lines, svgText{text: b.why, class: "why", status: b.status.String()})
	}
	for _, k := range firsts(b.keys) {
		text := "⚷ key " + keyText(k.Key)
		if role := k.role(); role != "" {
			text += " · " + role
		}
		lines = append(lines, svgText{text: text})
	}
	if more := len(b.keys) - maxShown; more > 0 {
		lines = append(lines, svgText{text: "and " + Count(more, "more key"), below: true})
	}
	for _, s := range b.sets {
		lines = append(lines, svgText{text: "■ " + s.Text + " · " + s.verdict(), status: s.Status.String()})
		for _, data := range s.Data {
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
		lines = append(lines, svgText{text: text, class: "link", status: b.link.status.String()})
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

func (d *svgDrawing) head(p *Picture) {
	d.y = svgMargin + svgLine
	d.text(svgMargin, svgText{text: p.title, class: "title"})
	d.text(svgMargin, svgText{text: p.outcome, class: "name", status: p.status.String()})
	for _, alias := range p.aliases {
		d.text(svgMargin, svgText{text: alias})
	}
}

// text draws a line at the height reached and goes to the next.
func (d *svgDrawing) text(x float64, t svgText) {
	fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\"%s>%s</text>\n", x+t.indent(), d.y, classes(t.class, t.status), escaped(cut(t.text)))
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
	status := b.status.String()
	fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"%s/>\n",
		x, top, d.right-x, height, classes("box", status))
	d.y = top + svgLine
	d.hang(b, x, d.y-5)
	fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\"%s>%s</text>\n",
		d.right-svgPad, d.y, classes("name", status), escaped(status))
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
	fmt.Fprintf(&d.lines, "<path d=\"M %.0f %.0f V %.0f H %.0f\"%s/>\n", from, d.drawn[b.above], y, x-2, classes("line", b.status.String()))
	fmt.Fprintf(&d.lines, "<path d=\"M %.0f %.0f l -9 -5 v 10 z\"%s/>\n", x-1, y, classes("head", b.status.String()))
}

// legend says what the signs mean.
func (d *svgDrawing) legend() {
	d.y += svgGap
	x := float64(svgMargin)
	for _, status := range []dnssec.Status{dnssec.Secure, dnssec.Insecure, dnssec.Bogus, dnssec.Indeterminate} {
		fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"14\" height=\"14\" rx=\"3\"%s/>\n",
			x, d.y-12, classes("box", status.String()))
		fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\">%s</text>\n", x+20, d.y, status)
		x += 20 + svgGlyph*float64(len(status.String())+3)
	}
	d.y += svgLine
	d.text(svgMargin, svgText{text: "⚷ key of the zone, ■ part of the answer, ? what its servers were asked", class: "walk"})
}

// classes returns a class attribute; "" without any class.
func classes(names ...string) string {
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" class=%q", strings.Join(names, " "))
}

// document returns the picture; style is what stands before its shapes.
func (d *svgDrawing) document(p *Picture, style string) string {
	width, height := d.right+svgMargin, d.y+svgMargin-svgLine
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">
<title>%s</title>
<desc>%s</desc>
%s%s%s</svg>
`, width, height, width, height, escaped(p.title), escaped(p.description()), style, d.lines.String(), d.shapes.String())
}

// description says in words what the picture shows.
func (p *Picture) description() string {
	texts := []string{p.outcome}
	for _, b := range p.boxes {
		text := quoted(b.name) + " is " + b.status.String()
		if b.why != "" {
			text += ", " + b.why
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// escaped makes a text of XML; what XML cannot hold becomes U+FFFD.
func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(resolver.Printable(text))) // a Builder does not fail
	return b.String()
}
